"""Column types that mean the same on every database."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT, VARBINARY
from sqlalchemy.types import TypeDecorator, TypeEngine

LARGEST_ID = 2**63 - 1

Prose = Text().with_variant(LONGTEXT(), "mysql")
"""Text of any length. MySQL's plain TEXT ends at 64 KB."""


class Id(TypeDecorator[int]):
    """A row's number. A number that no row can have (ids come from clients) finds nothing, instead of failing."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # SQLite numbers the rows of an INTEGER PRIMARY KEY only, spelled so; it holds 64 bits too
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None or 0 < value <= LARGEST_ID else 0


class Word(TypeDecorator[StrEnum]):
    """A word of an enumeration, stored as it is. What a later release calls otherwise is what the enumeration itself makes
    of a value that it does not know."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum], length: int) -> None:
        super().__init__(length)
        self.words = words
        self.length = length

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in Python; in the database UTC without a zone, to the microsecond."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Key(TypeDecorator[str]):
    """Text that is unique exactly, character by character. MySQL gets bytes: all collations that it shares with
    MariaDB take trailing spaces as equal."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(VARBINARY(4 * self.length))
        return dialect.type_descriptor(String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value.encode() if value is not None and dialect.name == "mysql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value
