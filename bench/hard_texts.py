"""Texts that are made to be hard to read, whatever the schema: to just below each bound, and beyond it."""

from collections.abc import Iterator

from graph.limits import MAX_CHARACTERS, MAX_LINES, MAX_SELECTIONS, MAX_VALUES, Limits

BODY = 262_144
"""Bytes of the largest request."""
LIMITS = Limits()
TOKENS = LIMITS.tokens - 40
SELECTIONS = MAX_SELECTIONS - 10
TEXT = MAX_CHARACTERS - 100

Shape = tuple[str, str]


def texts() -> Iterator[Shape]:
    """Large in characters and lines, outside of strings."""
    fillers = (
        ("comment", "#" + "x" * BODY), ("commas", "," * BODY), ("byte order marks", "\ufeff" * BODY), ("spaces", " " * BODY),
        ("lines", "\n" * BODY), ("lines of Windows", "\r\n" * (BODY // 2)), ("name", "x" * BODY),
        ("short comments", "#\n" * (BODY // 2)), ("comments of emoji", "#" + "\U0001f600" * BODY),
    )  # fmt: skip
    for name, filler in fillers:
        yield f"{name}, 256 KB", "{ viewer { id " + filler + "\n} }"
        yield f"{name}, to the bound of characters", "{ viewer { id " + filler[:TEXT] + "\n} }"
        yield f"{name}, to the bound of lines", "{ viewer { id " + filler[: MAX_LINES - 2] + "\n} }"
    yield "comments, to the bound of tokens", "{ viewer { id } }" + "#\n" * TOKENS
    yield "long comments, to the bound of tokens", "{ viewer { id } }" + f"#{'x' * (TEXT // TOKENS - 2)}\n" * TOKENS
    yield (
        "blanks, and fields to the bound",
        "{ viewer { " + ", " * (TEXT // 2 - TOKENS) + numbered("f", SELECTIONS) + "} }",
    )
    yield "an error on each line", "{ viewer { " + "\n" * (MAX_LINES - 1) + numbered("f", SELECTIONS) + " } }"


def strings() -> Iterator[Shape]:
    """Large in one string, and in many."""
    escapes = (
        ("letters", "x"), ("\\u0041", "\\u0041"), ('\\"', '\\"'), ("\\u{1F600}", "\\u{1F600}"), ("emoji", "\U0001f600"),
        ("pairs", "\\uD83D\\uDE00"), ("alternating escapes", "x\\n"), ("controls", "\x01"),
    )  # fmt: skip
    for name, unit in escapes:
        yield f"a string of {name}", '{ node(id: "' + unit * (TEXT // len(unit)) + '") { id } }'
        yield (
            f"a string of {name}, and fields",
            (
                '{ node(id: "'
                + unit * ((TEXT - 6 * SELECTIONS) // len(unit))
                + '") { '
                + numbered("f", SELECTIONS)
                + "} }"
            ),
        )
    for name, unit in (
        ("letters", "x"),
        ("quotes", '\\"""'),
        ("lines", "\n"),
        ("indented lines", "\n    x"),
        ("quote", '" '),
    ):
        repeated = min(TEXT // len(unit), MAX_LINES - 10 if "\n" in unit else TEXT)
        yield f"a block string of {name}", '{ node(id: """' + unit * repeated + '""") { id } }'
    lines = "xxxx\n" * (MAX_LINES - 1)
    yield "a block string of lines, and fields", f'{{ node(id: """{lines}""") {{ {"id " * TOKENS} }} }}'
    yield "empty strings", "{ node(id: [" + '"" ' * TOKENS + "]) { id } }"
    yield "empty block strings", "{ node(id: [" + '"""""" ' * TOKENS + "]) { id } }"
    yield (
        "escapes in each of many strings",
        ("{ node(id: [" + f'"{chr(92)}u0041{chr(92)}u0041" ' * (MAX_VALUES - 2) + "]) { id } }"),
    )
    yield (
        "a text that does not fit, with unknown members",
        (
            f'subscription {{ sendMessage(input: {{ text: "{"x" * (TEXT - 4_000)}" {numbered("f", 99, ": 1")} }}) {{ seq }} }}'
        ),
    )
    escaped = "\\u0001" * (TEXT // 6 - 1_000)
    yield (
        "controls that are printed, with unknown members",
        (f'subscription {{ sendMessage(input: {{ text: "{escaped}" {numbered("f", 99, ": 1")} }}) {{ seq }} }}'),
    )


def broken() -> Iterator[Shape]:
    """Texts that are no GraphQL, late."""
    fields_ = "{ viewer { " + "id " * SELECTIONS
    room = TEXT - len(fields_)
    for name, end in (
        ("string", '"' + "x" * room), ("string of escapes", '"' + "\\n" * (room // 2)), ("block string", '"""' + "x" * room),
        ("block string of quotes", '"""' + '\\"""' * (room // 4)), ("number", "1" * room + "x"), ("brace", ""),
        ("bad character", "\x00"), ("spread", "..")
    ):  # fmt: skip
        yield f"fields, then an unclosed {name}", fields_ + end
        yield f"an unclosed {name}", "{ viewer { id " + end
    for name, unit in (("punctuation", "!$&()"), ("braces", "{"), ("brackets", "["), ("parentheses", "("), ("quotes", '"" '),
                       ("letters", "x "), ("spreads", "..."), ("numbers", "0 ")):  # fmt: skip
        yield f"nothing but {name}, 256 KB", unit * (BODY // len(unit))
        yield f"nothing but {name}, to the bound", unit * (TOKENS // len(unit.strip()))
    yield "lists in lists", "{ node(id: " + "[" * (TOKENS // 2) + "]" * (TOKENS // 2) + ") { id } }"
    yield "objects in objects", "{ node(id: " + "{a:" * (TOKENS // 4) + "1" + "}" * (TOKENS // 4) + ") { id } }"
    yield "fields in fields", "{ viewer " * (TOKENS // 2) + "}" * (TOKENS // 2)
    yield "braces in braces", "{ viewer { " + "...{" * 190 + "id" + "}" * 192


def numbered(stem: str, number: int, end: str = "") -> str:
    return " ".join(f"{stem}{n}{end}" for n in range(number))
