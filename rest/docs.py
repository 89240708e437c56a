"""The documentation page: Swagger UI, served from here, so that it needs no other host."""

from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_MEDIA_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
_A_DAY = {"Cache-Control": "public, max-age=86400"}


def add_docs(app: FastAPI) -> None:
    """Adds `/docs` and what it loads."""
    app.add_route("/docs", _page, include_in_schema=False)
    app.add_route("/docs/{name}", _asset, include_in_schema=False)


async def _page(request: Request) -> Response:
    root = request.scope.get("root_path", "").rstrip("/")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon.png",
    )


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _MEDIA_TYPES:
        raise HTTPException(404)
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    return Response(content, media_type=_MEDIA_TYPES[name], headers=_A_DAY)
