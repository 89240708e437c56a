"""The checks of text that comes from outside, the same for every face.

    inputs = Inputs()
    title = inputs.title("title", title)
    inputs.check()                  # one BadUserInput that names every field that does not fit

Lengths are in characters (code points). No text may hold a lone surrogate or U+0000, which databases and wires refuse.
"""

import re
import unicodedata
from collections.abc import Callable

from email_validator import EmailNotValidError, validate_email

from domain.errors import BadUserInput

MESSAGE_LENGTH = 8_000
TITLE_LENGTH = 200
USERNAME_LENGTH = 64
EMAIL_LENGTH = 254
"""Of an address that can be used in a mail transaction: RFC 3696, erratum 1690."""
PASSWORD_LENGTHS = (8, 1_024)
CLIENT_MESSAGE_ID_LENGTH = 128
COMMENT_LENGTH = 2_000
SEARCH_LENGTH = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Unicode's category Cc: C0, U+007F and C1."""
_CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"[\n\r\u2028\u2029]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_USERNAME_MARKS = frozenset("._-@+")
_BLANK_LETTERS = frozenset("\u115f\u1160")
"""The Hangul fillers: letters for Unicode, nothing for the eye."""


class _UnfitError(ValueError):
    """What is wrong with a text, for a person, so that it reads on after the field's name."""


class Inputs:
    """Collects what is wrong with the fields of one call. Each method returns the text to go on with: exactly as it
    was sent unless it says otherwise. What an unfit one returns is of no use; `check` raises."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}

    def check(self) -> None:
        """Raises BadUserInput, with every field, when any did not fit."""
        if self._problems:
            raise BadUserInput(fields=self._problems)

    def message(self, field: str, text: str) -> str:
        """1 to 8,000 characters that are not all white space. Line ends and tabs are the only controls."""
        return self._take(field, text, _message)

    def title(self, field: str, text: str) -> str:
        """One line of 1 to 200 characters, returned without the white space around it."""
        return self._take(field, text, _title)

    def username(self, field: str, text: str) -> str:
        """1 to 64 letters, digits and `. _ - @ +`, in the form that NFKC leaves alone."""
        return self._take(field, text, _username)

    def email(self, field: str, text: str) -> str:
        """An address by its syntax, returned normalized. Domains for tests (`.test`) are allowed, nothing is looked up."""
        return self._take(field, text, _email)

    def password(self, field: str, text: str) -> str:
        """8 to 1,024 characters of any kind."""
        return self._take(field, text, _password)

    def client_message_id(self, field: str, text: str | None) -> str | None:
        """1 to 128 printable ASCII characters, no space at either end; or none at all."""
        return None if text is None else self._take(field, text, _client_message_id)

    def comment(self, field: str, text: str | None) -> str | None:
        """Up to 2,000 characters; None when there is nothing but white space."""
        return None if text is None else self._take(field, text, _comment) or None

    def search(self, field: str, text: str | None) -> str | None:
        """Up to 200 characters, stripped; None when nothing is left to search for."""
        return None if text is None else self._take(field, text, _search) or None

    def _take(self, field: str, text: str, check: Callable[[str], str]) -> str:
        try:
            return check(text)
        except _UnfitError as unfit:
            self._problems[field] = str(unfit)
            return ""


def is_username(text: str) -> bool:
    """Whether `text` could be the name of an account."""
    try:
        return bool(_username(text))
    except _UnfitError:
        return False


def is_password(text: str) -> bool:
    """Whether `text` could be the password of an account."""
    try:
        return bool(_password(text))
    except _UnfitError:
        return False


def _message(text: str) -> str:
    _at_most(text, MESSAGE_LENGTH)
    _writable(text, _CONTROL_BUT_LAYOUT)
    return _not_blank(text)


def _title(text: str) -> str:
    text = text.strip()
    _at_most(text, TITLE_LENGTH)
    if _LINE_END.search(text):
        raise _UnfitError("must be a single line")
    _writable(text)
    return _not_blank(text)


def _username(text: str) -> str:
    _not_empty(text)
    _at_most(text, USERNAME_LENGTH)
    if not all((c.isalnum() or c in _USERNAME_MARKS) and c not in _BLANK_LETTERS for c in text):
        raise _UnfitError("may hold only letters, digits and . _ - @ +")
    if unicodedata.normalize("NFKC", text) != text:
        raise _UnfitError("holds a character that looks like another one: write it in its plain form")
    return text


def _email(text: str) -> str:
    _not_empty(text)
    _at_most(text, EMAIL_LENGTH)
    _writable(text)
    try:
        address = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise _UnfitError("is not an e-mail address") from error
    _at_most(address.normalized, EMAIL_LENGTH)
    return address.normalized


def _password(text: str) -> str:
    shortest, longest = PASSWORD_LENGTHS
    if len(text) < shortest:
        raise _UnfitError(f"must have at least {shortest} characters")
    _at_most(text, longest)
    _whole(text)
    return text


def _client_message_id(text: str) -> str:
    _not_empty(text)
    _at_most(text, CLIENT_MESSAGE_ID_LENGTH)
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise _UnfitError("may hold only printable ASCII characters, without a space at either end")
    return text


def _comment(text: str) -> str:
    _at_most(text, COMMENT_LENGTH)
    _writable(text, _CONTROL_BUT_LAYOUT)
    return text if text.strip() else ""


def _search(text: str) -> str:
    text = text.strip()
    _at_most(text, SEARCH_LENGTH)
    _writable(text)
    return text


def _not_empty(text: str) -> None:
    if not text:
        raise _UnfitError("must not be empty")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise _UnfitError("must not be empty")
    return text


def _at_most(text: str, length: int) -> None:
    if len(text) > length:
        raise _UnfitError(f"must have at most {length:,} characters")


def _writable(text: str, forbidden: re.Pattern[str] = _CONTROL) -> None:
    _whole(text)
    if forbidden.search(text):
        raise _UnfitError("must not hold control characters")


def _whole(text: str) -> None:
    """A lone surrogate is half a character: JSON can carry it, UTF-8 cannot."""
    if _LONE_SURROGATE.search(text):
        raise _UnfitError("holds half a character (a lone surrogate)")
