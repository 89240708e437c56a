"""Calls a route's function without FastAPI's solving of dependencies, where all that the function takes is the request,
who asks, and a JSON body, which is valid.

FastAPI finds out for each request anew what a function takes, which takes half as long as to store a message. What is not
just as it should be is FastAPI's to tell: it reads the same body again. tests/rest/test_direct.py holds both ways equal
(docs/decisions/0066).
"""

from collections.abc import Awaitable, Callable
from inspect import signature
from json import JSONDecodeError

from fastapi import params
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from rest.requests import JSON, DeskRequest
from rest.viewer import login

DirectCall = Callable[[DeskRequest], Awaitable[Response | None]]
"""Gives None where FastAPI has to answer; nothing was done then. Fails as the function does."""


def direct_call(route: APIRoute) -> DirectCall | None:
    """For a request whose viewer is known. None for a route whose function takes anything else."""
    function, body, taken = route.endpoint, route.body_field, route.dependant
    if body is None or isinstance(body.field_info, params.Form) or [it.call for it in taken.dependencies] != [login]:
        return None
    names = (str(taken.request_param_name), str(taken.dependencies[0].name), body.name)
    if signature(function).parameters.keys() != set(names):
        return None

    async def call(request: DeskRequest) -> Response | None:
        if request.media_type != JSON:
            return None
        try:
            sent = await request.json()
        except (JSONDecodeError, ClientDisconnect):
            return None
        value, errors = body.validate(sent, {}, loc=("body",))
        if errors:
            return None
        response: Response = await function(**dict(zip(names, (request, request.viewer, value), strict=True)))
        return response

    return call
