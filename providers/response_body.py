"""The body of a model's response, as it comes from the network."""

from collections.abc import AsyncGenerator

import aiohttp
import httpx2
from multidict import CIMultiDict, CIMultiDictProxy

_NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())


def reads_of(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """What came at once, each time; to be closed when it is left early. Raises httpx2.TransportError.

    httpx2 passes every read through five generators. Where the SDK's aiohttp client carries the response, unpacked,
    they are left out: aiohttp's own reader says the same."""
    carried = getattr(getattr(response.stream, "_stream", None), "_aiohttp_response", None)
    if isinstance(carried, aiohttp.ClientResponse) and "content-encoding" not in response.headers:
        # Nobody reads the headers of either any more, and the body may take its time.
        response.headers = httpx2.Headers()
        carried._request_info = carried._request_info._replace(headers=_NO_HEADERS)
        return _straight(carried.content)
    return response.aiter_bytes()


async def _straight(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    try:
        while read := await content.readany():
            yield read
    except TimeoutError as late:
        raise httpx2.ReadTimeout(str(late)) from late
    except aiohttp.ClientError as lost:
        raise httpx2.ReadError(str(lost)) from lost
