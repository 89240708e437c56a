"""One operation's results as server-sent events: graphql-sse's distinct connections mode.

After https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: `event: next` per result, then
`event: complete`. Turn events carry their `seq` as `id:`. LF line ends; a comment first, so that the headers go out
before there is a result, and after every silence.
"""

from graph.answers import Answer
from graph.negotiation import EVENT_STREAM
from graph.streams import ResultStream

COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"


class EventStream(ResultStream):
    form = EVENT_STREAM
    opening = silence = COMMENT
    closing = COMPLETE

    def frame(self, answer: Answer) -> bytes:
        if answer.cursor is None:
            return b"event: next\ndata: %b\n\n" % answer.body
        return b"event: next\nid: %d\ndata: %b\n\n" % (answer.cursor, answer.body)
