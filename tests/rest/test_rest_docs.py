"""OpenAPI, and the page that shows it without any other host."""

import re

import httpx
import pytest

ROUTES = {
    ("post", "/auth/register"),
    ("post", "/auth/token"),
    ("post", "/auth/refresh"),
    ("post", "/auth/logout"),
    ("get", "/auth/me"),
    ("post", "/chat/new-chat"),
    ("get", "/chat/sessions"),
    ("patch", "/chat/{chat_id}"),
    ("delete", "/chat/{chat_id}"),
    ("get", "/chat/{chat_id}/messages"),
    ("get", "/chat/messages/{message_id}/sources"),
    ("post", "/chat/message"),
    ("post", "/chat/chat-lg"),
    ("get", "/chat/turns/{turn_id}/events"),
    ("post", "/chat/turns/{turn_id}/stop"),
    ("post", "/chat/messages/{message_id}/regenerate"),
    ("get", "/chat/messages/{message_id}/versions"),
    ("get", "/chat/agents"),
    ("get", "/chat/documents/{agent}/{document_id}"),
}


async def test_openapi_describes_every_route(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == ROUTES
    assert document["servers"] == [{"url": "/api/v1"}]
    assert next(iter(document["paths"])) == "/chat/message", "routes are looked for in this order"
    assert [tag["name"] for tag in document["tags"]] == ["auth", "chat", "turns"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            assert "HTTPValidationError" not in str(answers), "the framework's error body is not ours"
            assert answers["default"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorBody")
            assert operation["description"], (method, path)
            signed_in = not path.startswith("/auth") or path in ("/auth/logout", "/auth/me")
            assert bool(operation.get("security")) is signed_in, (method, path)
    message = document["paths"]["/chat/message"]["post"]["responses"]["200"]["content"]
    assert message.keys() == {"text/event-stream", "application/json"}
    assert message["application/json"]["schema"]["$ref"].endswith("AnswerShape")
    events = document["paths"]["/chat/turns/{turn_id}/events"]["get"]["responses"]["200"]["content"]
    assert events.keys() == {"text/event-stream"}


async def test_the_page_loads_from_here_alone(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text), "another host"
    loaded = re.findall(r'(?:src|href)="/api/v1(/[^"]+)"', page.text)
    assert len(loaded) == 3
    for path in loaded:
        asset = await http.get(path)
        assert asset.status_code == 200
        assert len(asset.content) > 1_000
    assert "/api/v1/openapi.json" in page.text


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e%2fapp.py", "redoc.standalone.js"])
async def test_nothing_else_is_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/docs/{name}")).status_code == 404
