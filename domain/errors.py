"""Every failure that a person can be told about.

    DeskError                     code, retryable
    ├── Unauthenticated           UNAUTHENTICATED          no token, or one that is not (or no longer) good
    ├── Forbidden                 FORBIDDEN                signed in, but not allowed
    ├── NotFound                  NOT_FOUND                missing, or somebody else's: the two are not told apart
    ├── BadUserInput              BAD_USER_INPUT           `details["fields"]` names what does not fit
    ├── UsernameTaken             USERNAME_TAKEN
    ├── EmailTaken                EMAIL_TAKEN
    ├── ChatBusy                  CHAT_BUSY                `details["turn_id"]` names the running turn   (retryable)
    ├── IdempotencyMismatch       IDEMPOTENCY_MISMATCH     same client message id, other text
    ├── PayloadTooLarge           PAYLOAD_TOO_LARGE
    ├── UnsupportedMediaType      UNSUPPORTED_MEDIA_TYPE
    ├── NotAcceptable             NOT_ACCEPTABLE
    ├── MethodNotAllowed          METHOD_NOT_ALLOWED
    ├── RateLimited               RATE_LIMITED             `details["retry_after"]` in seconds           (retryable)
    ├── ContentFiltered           CONTENT_FILTERED         the model's provider refused
    ├── ModelUnavailable          MODEL_UNAVAILABLE        (prompts.PromptTooLong is not retryable)     (retryable)
    ├── SearchUnavailable         SEARCH_UNAVAILABLE                                                     (retryable)
    ├── DatabaseUnavailable       DATABASE_UNAVAILABLE                                                   (retryable)
    ├── ServiceUnavailable        SERVICE_UNAVAILABLE      restarting, or too much waits already         (retryable)
    └── Internal                  INTERNAL                 anything unexpected, masked

Each face maps the codes in one table of its own; a test fails when a code is missing there.
"""

from enum import StrEnum
from typing import Any, ClassVar


class ErrorCode(StrEnum):
    """The words that clients branch on, the same on every face."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    USERNAME_TAKEN = "USERNAME_TAKEN"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    CHAT_BUSY = "CHAT_BUSY"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    RATE_LIMITED = "RATE_LIMITED"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    SEARCH_UNAVAILABLE = "SEARCH_UNAVAILABLE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    INTERNAL = "INTERNAL"

    @classmethod
    def _missing_(cls, value: object) -> "ErrorCode":
        """What another release calls a failure that this one does not know."""
        return cls.INTERNAL


class DeskError(Exception):
    """A failure with a code for programs, a message for a person, and whether trying again may help."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    retryable: ClassVar[bool] = False
    default_message: ClassVar[str] = "Something went wrong on our side."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or self.default_message
        self.details = details
        super().__init__(self.message)


class Unauthenticated(DeskError):
    code = ErrorCode.UNAUTHENTICATED
    default_message = "Sign in to do this: the access token is missing, or it is not valid any more."


class Forbidden(DeskError):
    code = ErrorCode.FORBIDDEN
    default_message = "You are not allowed to do this."


class NotFound(DeskError):
    code = ErrorCode.NOT_FOUND
    default_message = "There is nothing here with that id."


class BadUserInput(DeskError):
    """`fields` maps the name of each field that does not fit to what is wrong with it."""

    code = ErrorCode.BAD_USER_INPUT
    default_message = "The input does not fit."

    def __init__(self, message: str | None = None, *, fields: dict[str, str] | None = None) -> None:
        fields = fields or {}
        super().__init__(message or "; ".join(f"{name}: {why}" for name, why in fields.items()), fields=fields)


class UsernameTaken(DeskError):
    code = ErrorCode.USERNAME_TAKEN
    default_message = "That username is taken."


class EmailTaken(DeskError):
    code = ErrorCode.EMAIL_TAKEN
    default_message = "There is an account with that e-mail address already."


class ChatBusy(DeskError):
    code = ErrorCode.CHAT_BUSY
    retryable = True
    default_message = "This chat is still answering another message."

    def __init__(self, turn_id: int) -> None:
        self.turn_id = turn_id
        super().__init__(turn_id=turn_id)


class IdempotencyMismatch(DeskError):
    code = ErrorCode.IDEMPOTENCY_MISMATCH
    default_message = "This client message id was used in this chat for another text."


class PayloadTooLarge(DeskError):
    code = ErrorCode.PAYLOAD_TOO_LARGE
    default_message = "The request is too large."


class UnsupportedMediaType(DeskError):
    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    default_message = "The content type of the request is not supported here."


class NotAcceptable(DeskError):
    code = ErrorCode.NOT_ACCEPTABLE
    default_message = "There is no answer in a form that the client accepts."


class MethodNotAllowed(DeskError):
    code = ErrorCode.METHOD_NOT_ALLOWED
    default_message = "This address does not take that method."


class RateLimited(DeskError):
    code = ErrorCode.RATE_LIMITED
    retryable = True
    default_message = "Too many requests. Wait a little, then try again."

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)


class ContentFiltered(DeskError):
    code = ErrorCode.CONTENT_FILTERED
    default_message = "The model's provider refused this content."


class ModelUnavailable(DeskError):
    code = ErrorCode.MODEL_UNAVAILABLE
    retryable = True
    default_message = "The answer model cannot be reached just now."


class SearchUnavailable(DeskError):
    code = ErrorCode.SEARCH_UNAVAILABLE
    retryable = True
    default_message = "The knowledge base cannot be searched just now."


class DatabaseUnavailable(DeskError):
    code = ErrorCode.DATABASE_UNAVAILABLE
    retryable = True
    default_message = "The database cannot be reached just now."


class ServiceUnavailable(DeskError):
    """`after`, where a stream was ended: the `seq` of the last event that was sent on it."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    retryable = True
    default_message = "This server is restarting. Try again in a moment."


class Internal(DeskError):
    code = ErrorCode.INTERNAL
