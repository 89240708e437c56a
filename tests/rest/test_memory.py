"""What was said long ago, over REST: the model's prompt holds it, and the desk quotes it."""

from domain.agents.summaries import BEHIND, WINDOW
from tests.rest.conftest import QUESTION, User
from tests.rest.event_frames import read_frames
from tests.standins.azure_openai import AzureOpenAIStandIn

FACT = "We are a team of 12."


async def test_what_was_said_long_ago_is_known(
    user: User, stranger: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    await user.asked(chat_id)
    await user.asked(chat_id, f"{FACT} {QUESTION}")
    for _ in range((WINDOW + 2 * BEHIND) // 2):
        await user.asked(chat_id)
    *earlier, asked = upstream.requests[-1].body["messages"]
    notes, _, question = asked["content"].partition("</notes>")
    assert f"- {FACT}\n" in notes
    assert question.endswith(f"Question: {QUESTION}")
    assert all(FACT not in message["content"] for message in earlier)

    requests = len(upstream.requests)
    frames = read_frames(await user.asked(chat_id, "What is my team size?"))
    message = frames[-1].data["message"]
    assert f"you wrote: “{FACT}”" in message["text"]
    assert message["sources"] == []
    assert len(upstream.requests) == requests
    [*_, stored] = (await user.ok("GET", f"/chat/{chat_id}/messages?limit=100"))["items"]
    assert stored["text"] == message["text"]

    for other, where in ((user, await user.new_chat()), (stranger, await stranger.new_chat())):
        text = read_frames(await other.asked(where, "What is my team size?"))[-1].data["message"]["text"]
        assert FACT not in text
