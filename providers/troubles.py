"""What the failures of the services' SDKs mean to whoever runs the desk: their classes read as `Trouble`."""

from collections.abc import Iterator

import openai
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from domain.troubles import Trouble
from providers.entra import NoTokenError
from providers.model_errors import is_lost

_BY_STATUS = {
    400: Trouble.REFUSED,
    401: Trouble.UNAUTHORISED,
    403: Trouble.UNAUTHORISED,
    404: Trouble.MISSING,
    405: Trouble.REFUSED,
    408: Trouble.SILENT,
    422: Trouble.REFUSED,
    429: Trouble.BUSY,
    501: Trouble.REFUSED,
}


def trouble_of(failure: BaseException) -> Trouble:
    """Of the first failure, in the chain of causes, that a service's SDK raised; FAILING when none did."""
    for error in _causes(failure):
        match error:
            case NoTokenError():
                return Trouble.ANONYMOUS
            case openai.APIStatusError() | HttpResponseError():
                return _BY_STATUS.get(error.status_code or 0, Trouble.FAILING)
            case AuthenticationError() | AuthorizationError() | NoPermissionError() | ClientAuthenticationError():
                return Trouble.UNAUTHORISED
            case openai.APITimeoutError():
                return Trouble.UNREACHABLE if is_lost(error) else Trouble.SILENT
            case openai.APIConnectionError() | ServiceRequestError():
                return Trouble.UNREACHABLE
            case ServiceResponseTimeoutError() | RedisTimeoutError() | TimeoutError():
                return Trouble.SILENT
            case RedisConnectionError() | OSError():
                return Trouble.UNREACHABLE
    return Trouble.FAILING


def _causes(failure: BaseException) -> Iterator[BaseException]:
    error: BaseException | None = failure
    while error is not None:
        yield error
        error = error.__cause__
