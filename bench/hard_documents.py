"""Documents that are made to be hard: whatever one can be made large with, to just below each bound, and beyond it.

Each function yields names and texts. Numbers come from the bounds: where one moves, the documents move with it.
"""

from collections.abc import Iterator

from graphql import get_introspection_query

from bench.hard_texts import LIMITS, SELECTIONS, TEXT, TOKENS, Shape, broken, numbered, strings, texts
from domain.inputs import MESSAGE_LENGTH
from graph.limits import MAX_DEFINITIONS, MAX_LINES, MAX_VALUES


def documents() -> Iterator[Shape]:
    yield "introspection, all options", get_introspection_query(True, True, True, True, True)
    yield "a long message in the document", f'{{ sessions(search: "{"x" * MESSAGE_LENGTH}") {{ edges {{ cursor }} }} }}'
    for shapes in (texts, strings, broken, fields, merging, arguments, values, directives, variables, operations):
        yield from shapes()
    for number in (MAX_DEFINITIONS - 2, MAX_DEFINITIONS // 2, 10):
        yield from fragments(number, (SELECTIONS - 2 * MAX_DEFINITIONS) // number)
    yield from fragments(TOKENS // 9, 1)
    yield from definitions()
    yield from without_operations()


def fields() -> Iterator[Shape]:
    for number in (SELECTIONS, TOKENS):
        yield f"{number} times one field", "{ viewer { " + "id " * number + "} }"
        yield f"{number} unknown fields", "{ viewer { " + numbered("f", number) + " } }"
    for number in (SELECTIONS // 2, TOKENS // 4):
        yield f"{number} inline fragments", "{ viewer { " + "... { id } " * number + "} }"
        yield f"{number} typed inline fragments", "{ viewer { " + "... on User { id } " * (number * 2 // 3) + "} }"
    for number in (LIMITS.aliases, TOKENS // 3):
        yield f"{number} aliases", "{ viewer { " + numbered("a", number, ": id") + " } }"
    rest = SELECTIONS - LIMITS.aliases - 4
    yield "aliases, and fields", f"{{ viewer {{ {numbered('a', LIMITS.aliases, ': id')} {numbered('f', rest)} }} }}"
    yield "almost known fields", "{ sessions { " + _similar("edgesPageInfoConnection", SELECTIONS) + " } }"
    yield "almost known root fields", "{ " + _similar("agentsSessionMessages", LIMITS.root_fields) + " }"
    yield (
        "almost known fields of inner types",
        "{ viewer { " + "sessions { edges { " + _similar("createdUpdated", 900) + "}}}}",
    )
    yield "almost known mutations", "mutation { " + _similar("regenerateChatMessage", LIMITS.root_fields) + " }"
    yield "almost known types", "{ viewer { id " + _typed("ChatSessionConnectionsEdge") + "} }"
    yield "almost known types, long", "{ viewer { id " + _typed("ChatSessionConnectionEdgeMessageTurn") + "} }"
    yield "leaves with selections", "{ viewer { " + "id { id } " * (SELECTIONS // 2) + "} }"
    yield "objects without selections", "{ " + " ".join(f"a{n}: viewer" for n in range(LIMITS.root_fields)) + " }"
    deep = LIMITS.depth - 4
    repeated = "versions { id " * deep + "}" * deep
    each = (SELECTIONS - 4) // (deep * 2)
    yield "deep fields, many times", f"{{ node(id: 1) {{ ... on Message {{ {repeated * each} }} }} }}"
    yield (
        "inline fragments in each other",
        "{ viewer { " + ("... { " * 150 + "id" + " }" * 150) * (SELECTIONS // 160) + " } }",
    )
    yield (
        "introspection of types in types",
        "{ __schema { types " + "{ fields { type " * 8 + "{ name }" + "} }" * 8 + "} }",
    )
    yield (
        "introspection, many times",
        ("{ " + " ".join(f"a{n}: __type(name: {n}) {{ name kind }}" for n in range(LIMITS.root_fields)) + " }"),
    )


def without_operations() -> Iterator[Shape]:
    for number in (SELECTIONS, TOKENS):
        yield f"a fragment of {number} unknown fields alone", "fragment F on User { " + numbered("f", number) + " }"
    hidden = f"fragment F on User {{ {numbered('f', TOKENS - 60)} }}" + "fragment F on User { id }"
    yield "a large fragment hidden by another", "{ viewer { ...F } }" + hidden
    yield "many fragments alone", "".join(f"fragment F{n} on User {{ id }} " for n in range(TOKENS // 7))


def merging() -> Iterator[Shape]:
    """Fields of the same names, which are compared with each other."""
    for name, pair in (("the same", "a: id a: id"), ("other fields", "a: id a: username"),
                       ("other arguments", "a: f(x: 1) a: f(x: 2)")):  # fmt: skip
        for number in (20, 35, 60, SELECTIONS // 2):
            yield f"merging {number} times two, {name}", "{ viewer { " + f"{pair} " * number + "} }"
    for number in (3, 8, 20):
        inner = " ".join(f"messages(first: 1) {{ edges {{ node {{ {_plain('id', (SELECTIONS - 99) // number)} }} }} }}"
                         for _ in range(number))  # fmt: skip
        yield f"merging {number} large fields", f"{{ node(id: 1) {{ ... on ChatSession {{ {inner} }} }} }}"
        spread = " ".join(f"x: id ...F{n}" for n in range(number))
        of_fragments = "".join(
            f"fragment F{n} on User {{ x: username {_plain('id', (SELECTIONS - 99) // number)} }}"
            for n in range(number)
        )
        yield f"conflicts in {number} fragments", f"{{ viewer {{ {spread} }} }}{of_fragments}"
    long = "x" * 10_000
    yield "conflicts of long arguments", f'{{ viewer {{ a: f(x: "{long}") a: f(x: "{long}y") a: f(x: "{long}z") }} }}'
    members = numbered("m", MAX_VALUES - 10, ": 1")
    yield "conflicts of objects", "{ viewer { " + f"a: f(x: {{ {members} }}) " * (TOKENS // (MAX_VALUES * 3)) + "} }"


def arguments() -> Iterator[Shape]:
    yield "unknown arguments", "{ viewer { id(" + numbered("f", TOKENS // 3, ": 1") + ") } }"
    yield "the same argument", "{ viewer { id(" + "a: 1 " * (TOKENS // 3) + ") } }"
    almost = " ".join(f"sessionIdAfterFirst{n}: 1" for n in range(TOKENS // 3))
    yield "almost known arguments", "{ messages(" + almost + ") { edges { cursor } } }"
    yield "arguments on each field", "{ viewer { " + "id(a: 1) " * (TOKENS // 6) + "} }"
    yield (
        "arguments that are missing",
        (
            "{ node(id: 1) { ... on Query { "
            + numbered("a", LIMITS.aliases, ": messages { edges { cursor } }")
            + "} } }"
        ),
    )


def values() -> Iterator[Shape]:
    yield "a long list", "{ node(id: [" + "1 " * TOKENS + "]) { id } }"
    yield (
        "lists to the bound, many times",
        _roots(f"node(id: [{'1 ' * (MAX_VALUES - 2)}]) {{ id }}", TOKENS // MAX_VALUES),
    )
    for number in (MAX_VALUES - 10, TOKENS // 3):
        members = numbered("f", number, ": 1")
        yield f"{number} unknown members", f"subscription {{ sendMessage(input: {{ {members} }}) {{ seq }} }}"
        same = "text: 1 " * number
        yield f"{number} times one member", f"subscription {{ sendMessage(input: {{ {same} }}) {{ seq }} }}"
        almost = " ".join(f"clientMessageIdentifier{n}: 1" for n in range(number))
        yield f"{number} almost known members", f"subscription {{ sendMessage(input: {{ {almost} }}) {{ seq }} }}"
    nested = "[" * 90 + '"x"' + "]" * 90
    yield "nested lists, many times", _roots(f"node(id: {nested}) {{ id }}", TOKENS // 190)
    agents = "[" + "1 " * (MAX_VALUES - 10) + "]"
    yield (
        "wrong items",
        f'subscription {{ sendMessage(input: {{ sessionId: 1 text: "" agents: {agents} }}) {{ seq }} }}',
    )
    yield (
        "an almost known enum",
        (
            "mutation { "
            + " ".join(f"a{n}: rateMessage(messageId: 1, rating: UPP{n}) {{ id }}" for n in range(20))
            + " }"
        ),
    )
    yield "numbers that do not fit", _roots(f"sessions(first: {'9' * 3_000}) {{ edges {{ cursor }} }}", 19)
    yield "one long number", "{ sessions(first: " + "9" * TEXT + ") { edges { cursor } } }"


def directives() -> Iterator[Shape]:
    for name, directive, tokens in (
        ("known", "@skip(if: false) ", 6),
        ("unknown", "@x ", 2),
        ("almost known", "@includes ", 2),
    ):
        for number in (LIMITS.directives - 1, TOKENS // tokens - 10):
            yield f"{number} {name} directives", "{ viewer { id " + directive * number + "} }"
            on_fields = min(number, TOKENS // (tokens + 1) - 10)
            yield f"{on_fields} {name} directives on fields", "{ viewer { " + f"id {directive}" * on_fields + "} }"
        yield (
            f"{name} directives, and fields",
            (
                "{ viewer { "
                + f"id {directive}" * LIMITS.directives
                + numbered("f", SELECTIONS - LIMITS.directives)
                + "} }"
            ),
        )


def variables() -> Iterator[Shape]:
    for number in (100, TOKENS // 9):
        declared = numbered("$v", number, ": Int")
        used = " ".join(f"s{n}: sessions(first: $v{n}) {{ edges {{ cursor }} }}" for n in range(19))
        yield f"{number} variables", f"query({declared}) {{ {used} }}"
    most = TOKENS // 4
    yield "variables that are not used", f"query({numbered('$v', most, ': Int')}) {{ viewer {{ id }} }}"
    yield "the same variable", f"query({'$v: Int ' * most}) {{ viewer {{ id }} }}"
    yield "variables of unknown types", f"query({numbered('$v', most, ': Chat')}) {{ viewer {{ id }} }}"
    almost = " ".join(f"$v{n}: SendMessagesInputs{n}" for n in range(most))
    yield "variables of almost known types", f"query({almost}) {{ viewer {{ id }} }}"
    yield "variables of objects", f"query({numbered('$v', most, ': User')}) {{ viewer {{ id }} }}"
    wrapped = "[" * 90 + "Int" + "]" * 90
    yield "variables of nested lists", f"query({numbered('$v', TOKENS // 190, f': {wrapped}')}) {{ viewer {{ id }} }}"
    defaults = numbered("$v", TOKENS // 6, ': Int = "x"')
    yield "variables with wrong defaults", f"query({defaults}) {{ viewer {{ id }} }}"
    undefined = " ".join(f"$u{n}" for n in range(MAX_VALUES - 2))
    yield "undefined variables", _roots(f"node(id: [{undefined}]) {{ id }}", TOKENS // (MAX_VALUES * 2))
    read = " ".join(f"$v{n}" for n in range(MAX_VALUES - 10))
    declared = numbered("$v", MAX_VALUES - 10, ": ID")
    yield "variables in a list", f"query({declared}) {{ node(id: [{read}]) {{ id }} }}"
    yield (
        "one variable in lists, of another type",
        "query($v: Int)" + _roots(f"node(id: [{'$v ' * (MAX_VALUES - 10)}]) {{ id }}", TOKENS // (MAX_VALUES * 2)),
    )


def operations() -> Iterator[Shape]:
    each = range(MAX_DEFINITIONS - 2)
    for number, read in ((95, 20), (60, 33), (20, 20), (20, 95), (20, 200), (TOKENS // 20, 20)):
        shared = "fragment F on Query { " + "node(id: $a) { id } " * read + "}"
        text = "".join(f"query Q{n}($a: ID!) {{ ...F }} " for n in range(number)) + shared
        yield f"{number} operations, {read} variables", text
        without = "".join(f"query Q{n} {{ ...F }} " for n in range(number)) + shared
        yield f"{number} operations, {read} undefined variables", without
    yield "operations of one name", "".join("query Q0 { viewer { id } } " for _ in each)
    yield "operations without names", "{ viewer { id } } " * (MAX_DEFINITIONS - 2)
    fill = numbered("f", SELECTIONS // MAX_DEFINITIONS - 2)
    yield "operations with unknown fields", "".join(f"query Q{n} {{ viewer {{ {fill} }} }} " for n in each)
    half = MAX_DEFINITIONS // 2 - 1
    chain = "".join(f"fragment F{n} on Query {{ ...F{n + 1} }} " for n in range(half))
    yield (
        "operations over a chain of fragments",
        (
            "".join(f"query Q{n} {{ ...F0 }} " for n in range(half))
            + chain
            + f"fragment F{half} on Query {{ __typename }}"
        ),
    )
    subscribed = "agents { id } " * 3
    yield "subscriptions to many things", "".join(f"subscription Q{n} {{ {subscribed} ...F }} " for n in each)
    spreads = numbered("...F", half)
    yield (
        "operations that spread every fragment",
        (
            "".join(f"query Q{n} {{ {spreads} }} " for n in range((SELECTIONS - half) // half))
            + "".join(f"fragment F{n} on Query {{ __typename }} " for n in range(half))
        ),
    )


def fragments(number: int, fields_: int) -> Iterator[Shape]:
    each = range(number)
    fill = "id " * fields_
    unknown = numbered("f", fields_)
    side_by_side = "{ viewer { " + numbered("...F", number) + " } }"
    for name, filling in (("", fill), (", with unknown fields", unknown)):
        texts_ = "".join(f"fragment F{n} on User {{ {filling} }}" for n in each)
        yield f"{number} fragments, side by side{name}", side_by_side + texts_
        yield f"{number} fragments, not used{name}", "{ viewer { id } }" + texts_
    last = f"fragment F{number} on User {{ id }}"
    for name, repeated in (("in a chain", 1), ("doubling", 2)):
        spreads = [f"fragment F{n} on User {{ {fill}{f'...F{n + 1} ' * repeated}}}" for n in each]
        yield f"{number} fragments, {name}", "{ viewer { ...F0 } }" + "".join(spreads) + last
    for lines in (0, MAX_LINES - 1):
        circle = "\n" * lines + "".join(
            f"fragment F{n} on User {{ ...F{(n + 1) % number} ...F{(n * 7) % number} }}" for n in each
        )
        yield f"{number} fragments, in circles, {lines} lines", "{ viewer { id } }" + circle
    all_ = max(1, min(number, (SELECTIONS - 4) // number))
    knot = "".join(
        f"fragment F{n} on User {{ {' '.join(f'...F{(n + k) % number}' for k in range(all_))} }}" for n in each
    )
    yield f"{number} fragments, in a knot", "{ viewer { ...F0 } }" + knot
    later = "".join(
        f"fragment F{n} on User {{ id {' '.join(f'...F{m}' for m in range(n + 1, min(number, n + all_)))} }}"
        for n in each
    )
    yield f"{number} fragments, each with all later ones", "{ viewer { ...F0 } }" + later
    yield f"{number} fragments of one name", "{ viewer { ...F } }" + f"fragment F on User {{ {fill} }}" * number
    other = "".join(f"fragment F{n} on Agents{n} {{ {fill} }}" for n in each)
    yield f"{number} fragments on almost known types", side_by_side + other
    strange = "".join(f"fragment F{n} on Agent {{ {fill} }}" for n in each)
    yield f"{number} fragments that cannot be spread", side_by_side + strange


def definitions() -> Iterator[Shape]:
    """Of a schema, which has no place in what is asked."""
    yield "scalars", "{ viewer { id } }" + numbered("scalar S", TOKENS // 2)
    yield "types", "{ viewer { id } }" + numbered("type T", TOKENS // 7, " { a: Int }")
    yield "one type of many fields", "type T { " + numbered("f", TOKENS // 3, ": Int") + " }"
    yield "enums of many values", "enum E { " + numbered("V", TOKENS - 10) + " }"
    yield (
        "unions of unknown types",
        "union U = " + " | ".join(f"ChatSessionConnections{n}" for n in range(TOKENS // 2 - 9)),
    )
    yield "descriptions", '"x" query { viewer { id } } ' * (MAX_DEFINITIONS - 2)


def _plain(unit: str, number: int) -> str:
    return f"{unit} " * number


def _similar(name: str, number: int) -> str:
    """Names that are long, differ, and all resemble this one."""
    return " ".join(f"{name[: n % len(name)]}X{n}{name[n % len(name) :]}" for n in range(number))


def _typed(name: str) -> str:
    return " ".join(f"... on {part} {{ id }}" for part in _similar(name, SELECTIONS // 2 - 2).split())


def _roots(field: str, number: int) -> str:
    """An operation of so many root fields, as far as they are allowed."""
    return "{ " + " ".join(f"r{n}: {field}" for n in range(min(number, LIMITS.root_fields))) + " }"
