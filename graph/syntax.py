"""Syntax: graphql-core's parser, which reads every character in Python, helped by regular expressions.

What a document means, and what is told of one that means nothing, stays graphql-core's: only the characters between two
tokens and inside of one are passed over faster, and tests/graph/test_syntax.py holds both equal, tokens and errors.
"""

import json
import re
from typing import cast

from graphql import DocumentNode, GraphQLSyntaxError, Source, Token, TokenKind
from graphql import SelectionSetNode as ComparedSelectionSet
from graphql.language import Lexer, SourceLocation
from graphql.language.block_string import dedent_block_string_lines
from graphql.language.parser import Parser

_SURROGATE = re.compile("[\ud800-\udfff]")
_NEXT = re.compile(r"([ \t,\ufeff\n\r]*)(?:([A-Za-z_][A-Za-z_0-9]*)|([!$&():=@\[\]{}|]))?")
"""What is ignored, then a name or a punctuator."""
_PUNCTUATORS = {kind.value: kind for kind in TokenKind if len(kind.value) == 1 and kind is not TokenKind.DOT}
_LINE_END = re.compile("\r\n|[\n\r]")
_DIGITS = re.compile("[0-9]*")
_COMMENT = re.compile("[^\n\r]*")
_BLOCK = re.compile(r'(?:[^"\\]++|\\"""|\\|"(?!""))*+')
_STRING = re.compile(
    r"""(?:[^"\\\n\r]++
    | \\["\\/bfnrt]
    | \\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}
    | \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
    | \\u\{(?=[0-9a-fA-F]{1,8}\})0*
      (?:[0-9a-fA-F]{1,3}|[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}|[1-9a-fA-F][0-9a-fA-F]{4}
        |10[0-9a-fA-F]{4})?\}
    )*+""",
    re.VERBOSE,
)
"""What a string may hold, to its end or to the first character that it may not hold."""
_BRACED = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\.")


def parse(text: str, max_tokens: int) -> DocumentNode:
    """Raises GraphQLSyntaxError, also for what is nested too deeply."""
    source = QuickSource(text)
    odd = not text.isascii() and _SURROGATE.search(text)
    parser = QuickParser(source, max_tokens=max_tokens, lexer=Lexer(source) if odd else QuickLexer(source))
    try:
        return parser.parse_document()
    except RecursionError:
        start = parser.reached
    raise GraphQLSyntaxError(source, start, "Document is nested too deeply. Parsing aborted.")


class QuickSource(Source):
    def get_location(self, position: int) -> SourceLocation:
        lines, last = _lines(self.body[:position])
        return SourceLocation(1 + lines, position - last)


class QuickLexer(Lexer):
    """For texts without surrogates. Where one of its expressions ends early, graphql-core goes on, and tells why."""

    def read_next_token(self, start: int) -> Token:
        found = cast("re.Match[str]", _NEXT.match(self.source.body, start))
        ignored, name, punctuator = found.groups()
        if "\n" in ignored or "\r" in ignored:
            self._pass_lines(ignored, start)
        position = start + len(ignored)
        if name is not None:
            return Token(TokenKind.NAME, position, found.end(), self.line, 1 + position - self.line_start, name)
        if punctuator is not None:
            kind = _PUNCTUATORS[punctuator]
            return Token(kind, position, found.end(), self.line, 1 + position - self.line_start)
        return super().read_next_token(position)

    def _pass_lines(self, passed: str, start: int) -> None:
        lines, last = _lines(passed)
        if lines:
            self.line += lines
            self.line_start = start + last + 1

    def read_digits(self, start: int, first_char: str) -> int:
        end = _DIGITS.match(self.source.body, start).end()  # type: ignore[union-attr]
        return end if end > start else super().read_digits(start, first_char)

    def read_comment(self, start: int) -> Token:
        found = cast("re.Match[str]", _COMMENT.match(self.source.body, start + 1))
        return self.create_token(TokenKind.COMMENT, start, found.end(), found[0])

    def read_string(self, start: int) -> Token:
        body = self.source.body
        end = _STRING.match(body, start + 1).end()  # type: ignore[union-attr]
        if body[end : end + 1] != '"':
            return super().read_string(end - 1)  # as if it began just before what it may not hold
        value = body[start + 1 : end]
        return self.create_token(TokenKind.STRING, start, end + 1, _unescaped(value) if "\\" in value else value)

    def read_block_string(self, start: int) -> Token:
        body = self.source.body
        end = _BLOCK.match(body, start + 3).end()  # type: ignore[union-attr]
        if end == len(body):
            return super().read_block_string(end - 3)
        raw = body[start + 3 : end]
        lines = _LINE_END.split(raw.replace('\\"""', '"""'))
        token = self.create_token(TokenKind.BLOCK_STRING, start, end + 3, "\n".join(dedent_block_string_lines(lines)))
        self._pass_lines(raw, start + 3)
        return token


class QuickParser(Parser):
    @property
    def reached(self) -> int:
        return self._lexer.token.start

    def parse_selection_set(self) -> "SelectionSetNode":
        parsed = super().parse_selection_set()
        return SelectionSetNode(selections=parsed.selections, loc=parsed.loc)


class SelectionSetNode(ComparedSelectionSet):
    """Equal to itself alone, as in GraphQL.js. graphql-core's validation looks these up in dicts all the time, and
    hashed each with all that is below it. (The name is what tells graphql-core the kind of a node.)"""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _lines(text: str) -> tuple[int, int]:
    """How many lines end in it, and where the last of these ends; -1 when none does."""
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    return ends, max(text.rfind("\n"), text.rfind("\r"))


def _unescaped(valid: str) -> str:
    """JSON's escapes are GraphQL's, but for `\\u{…}`."""
    if "\\u{" in valid:
        valid = _BRACED.sub(_as_json, valid)
    value: str = json.loads(f'"{valid}"', strict=False)
    return value


def _as_json(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[0]
    point = int(escape[1], 16)
    return chr(point) if point > 0xFFFF else f"\\u{point:04x}"
