"""One operation's results as the parts of a multipart body: what Apollo's clients ask for.

After https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol, `subscriptionSpec`
1.0: each part is a JSON object with the result as `payload`, or an empty one that fills a silence. Parts are framed by
RFC 2046 § 5.1.1, with CRLF. Every part is followed by the delimiter at once, since clients take a part for whole only
when they see it.
"""

from graph.answers import Answer, encode
from graph.streams import ResultStream

DELIMITER = b"\r\n--graphql"


def part(body: bytes) -> bytes:
    return b"\r\nContent-Type: application/json\r\n\r\n" + body + DELIMITER


class MultipartStream(ResultStream):
    """Without a part at the start: some clients take an empty one there for an answer without content."""

    form = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    opening = DELIMITER
    silence = part(b"{}")
    closing = b"--\r\n"
    _begun = False

    def frame(self, answer: Answer) -> bytes:
        """The protocol tells GraphQL's errors, inside the payload, from those that end the connection, beside it. Here
        the first are those of the request; the last come when something has been sent."""
        ending = self._begun and answer.errors is not None
        self._begun = True
        return part(encode({"payload": None, "errors": answer.errors}) if ending else b'{"payload":%b}' % answer.body)
