"""What an answer model's failure means to a person.

    the provider refused the question or the answer      ContentFiltered
    it was given more than it can read at once           PromptTooLong
    its server does not know such requests               RequestRefused
    anything else between us and a finished answer       ModelUnavailable

Messages are ours alone: the SDK's can hold the endpoint, the deployment and parts of a key. The caller raises
the result `from` the original, which goes to the log.
"""

import json

import aiohttp
import httpx2
import openai
from azure.core.exceptions import ClientAuthenticationError
from langchain_core.exceptions import ContextOverflowError

from domain.agents.prompts import PromptTooLong, RequestRefused
from domain.errors import ContentFiltered, DeskError, ModelUnavailable
from providers.event_stream import EventTooLongError
from providers.retry_after import retry_after

FILTERED = "content_filter"
"""The error code of a refused prompt, and the finish reason of an answer that was cut off."""
_PROMPT_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error")
"""Error codes of OpenAI and Azure, and the error type of llama.cpp's server."""
_SAYS_TOO_LONG = "maximum context length"
"""What vLLM's message says, whose code is the bare status; OpenAI's says it too."""

_REFUSED = frozenset({400, 422, 501})
_BY_STATUS = {
    401: "The answer model refuses this server's credentials.",
    403: "The answer model refuses this server's credentials.",
    404: "The answer model that is configured does not exist.",
    408: "The answer model took too long.",
    429: "The answer model is busy. Wait a little, then try again.",
}
_TOO_LONG = "The answer model took too long."
_ANONYMOUS = "This server has no credentials for the answer model."
_BROKE_OFF = "The answer model's reply broke off or could not be read."


def model_error(error: Exception) -> DeskError | None:
    """None when `error` is not a model's doing. `details["retry_after"]` is there, in seconds, when the server said so."""
    if _is_filtered(error):
        return ContentFiltered()
    if _is_too_long(error):
        return PromptTooLong()
    match error:
        case openai.APITimeoutError() | httpx2.TimeoutException() | TimeoutError():
            return ModelUnavailable(None if is_lost(error) else _TOO_LONG)
        case openai.APIConnectionError() | httpx2.TransportError():
            return ModelUnavailable()
        case ClientAuthenticationError():  # of Entra ID, before the model was asked
            return ModelUnavailable(_ANONYMOUS)
        case openai.APIStatusError() if error.status_code in _REFUSED:
            return RequestRefused(None, **_details(error.response))
        case openai.APIStatusError():
            return ModelUnavailable(_BY_STATUS.get(error.status_code), **_details(error.response))
        # A chunk that is not JSON, not text, or has no end; an error object among the chunks, or an end before the
        # answer's.
        case json.JSONDecodeError() | UnicodeDecodeError() | EventTooLongError() | openai.OpenAIError():
            return ModelUnavailable(_BROKE_OFF)
    return None


def _is_filtered(error: Exception) -> bool:
    if isinstance(error, openai.ContentFilterFinishReasonError):
        return True
    if isinstance(error, openai.APIError):
        return error.code == FILTERED
    # AzureChatOpenAI, not streaming, raises this class with nothing but its text to know it by.
    return type(error) is ValueError and "content filter being triggered" in str(error)


def _is_too_long(error: Exception) -> bool:
    if not isinstance(error, openai.APIError):
        return isinstance(error, ContextOverflowError)
    return error.code in _PROMPT_TOO_LONG or error.type in _PROMPT_TOO_LONG or _SAYS_TOO_LONG in error.message


def is_lost(error: BaseException) -> bool:
    """The SDK's aiohttp transport gives connections that are refused or dropped out as timed out too."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientConnectionError):
        cause = cause.__cause__
    return cause is not None and not isinstance(cause, TimeoutError)


def _details(response: httpx2.Response) -> dict[str, int]:
    seconds = retry_after(response.headers)
    return {} if seconds is None else {"retry_after": seconds}
