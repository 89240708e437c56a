"""The playground: what a browser gets that opens /graphql. A page of our own around npm's GraphiQL, which
`web/build.mjs` bundles into `web/dist` when the project is set up, so that nothing is loaded from elsewhere.

What is in the folder is looked up at each request: it can be built while the server runs.
"""

import asyncio
import re
import secrets
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from domain.errors import NotFound
from graph.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, MULTIPART, choose
from settings import Settings

HTML = "text/html"
ASSETS = "/graphql/assets"
PAGE = "playground.html"
OPERATION = frozenset({"query", "extensions", "documentId"})
"""Parameters of an address that asks for an operation."""
NONCE = "{{nonce}}"
INTROSPECTION = "{{introspection}}"
FOR_EVER = "public, max-age=31536000, immutable"
"""Names carry a hash of the content."""
HASHED = re.compile(r"-[0-9A-Z]{8}\.[a-z0-9]+(\.LEGAL\.txt)?$")
SAFE = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self' 'nonce-{nonce}'",
        "style-src-attr 'unsafe-inline'",  # the editor writes its lines as HTML with positions in style attributes
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The page's Content-Security-Policy (https://www.w3.org/TR/CSP3/): docs/decisions/0026."""

NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Answerdesk: the playground is not built</title>
<style nonce="{{nonce}}">
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 38rem; margin: 12vh auto; padding: 0 1rem; }
  pre { padding: .75rem 1rem; border-radius: .5rem; background: color-mix(in srgb, currentColor 8%, transparent); overflow-x: auto; }
</style>
<h1>The playground is not built</h1>
<p>It is made from npm packages, with Node 20 or newer. In the project's folder:</p>
<pre><code>make playground</code></pre>
<p>or, without make:</p>
<pre><code>npm ci --prefix web --ignore-scripts
npm run build --prefix web</code></pre>
<p>Then load this page again; the server need not be restarted. Everything else works without it: this address answers
GraphQL over HTTP, WebSocket and server-sent events.</p>
"""


class Playground:
    """The page, and its files below /graphql/assets."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.serves_playground
        self._folder = settings.playground_dir
        self._introspection = "on" if settings.allows_introspection else "off"
        files = _HashedFiles(directory=self._folder / "assets", check_dir=False)
        self.routes = [Mount(ASSETS, files)] if self._on else []

    def is_asked(self, request: Request, accept: str) -> bool:
        """Whether this is a browser that opens the address, and no GraphQL request."""
        if request.method != "GET" or OPERATION.intersection(request.query_params):
            return False
        return choose(accept, (JSON, GRAPHQL_JSON, EVENT_STREAM, MULTIPART, HTML)) == HTML

    async def page(self) -> Response:
        """The page, or how to build it. Raises NotFound where there is to be none."""
        if not self._on:
            raise NotFound("There is no playground on this server. This address answers GraphQL requests.")
        built = await asyncio.to_thread(_text, self._folder / PAGE)
        nonce = secrets.token_urlsafe(18)
        text = (built or NOT_BUILT).replace(NONCE, nonce).replace(INTROSPECTION, self._introspection)
        headers = {
            **SAFE,
            "Content-Security-Policy": POLICY.format(nonce=nonce),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Vary": "Accept",
        }
        return HTMLResponse(text, HTTPStatus.OK if built else HTTPStatus.SERVICE_UNAVAILABLE, headers)


class _HashedFiles(StaticFiles):
    async def check_config(self) -> None:
        """The folder may come later."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(SAFE)
        response.headers["Cache-Control"] = FOR_EVER if HASHED.search(path) else "no-cache"
        return response


def _text(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
