"""Cutting documents into chunks."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chunking import MARKDOWN, MAX_CHARACTERS, OPENAPI, PLAIN_TEXT, chunk
from domain.documents import read_documents
from domain.knowledge import Chunk, Document
from domain.terms import sentences

KNOWLEDGE = Path(__file__).parents[2] / "knowledge"


def chunks(body: str, media_type: str = MARKDOWN, title: str = "Plans") -> list[Chunk]:
    return chunk(Document("plans", "pricing", title, body, media_type, "1", "https://t.example/plans"))


def long(words: str) -> str:
    return f"{words} is explained here. " * (150 // len(words) + 1)


def test_one_chunk_for_each_section() -> None:
    first, nano, seats = chunks(
        f"# Plans\n\n{long('intro')}\n\n## Nano {{#the-nano}}\n\n{long('nano')}\n\n### Seats & more!\n\n{long('seats')}"
    )
    assert (first.title_path, first.url) == (("Plans",), "https://t.example/plans")
    assert (nano.title_path, nano.url) == (("Plans", "Nano"), "https://t.example/plans#the-nano")
    assert (seats.title_path, seats.url) == (("Plans", "Nano", "Seats & more!"), "https://t.example/plans#seats--more")
    assert [c.position for c in (first, nano, seats)] == [0, 1, 2]
    assert len({c.id for c in (first, nano, seats)}) == 3


def test_a_first_heading_other_than_the_title_is_kept() -> None:
    assert chunks(f"# Prices\n\n{long('x')}")[0].title_path == ("Plans", "Prices")


def test_markup_goes_and_its_text_stays() -> None:
    [only] = chunks(
        'A [link](https://x.example/y "t"), **bold** `code_word`, ![a picture](p.png),\nnext line&nbsp;&amp; <b>more</b>\\*.\n\n'
        "> quoted\n\n<div>html <p>block</p><script>no()</script></div>\n\n```sh\ncurl  -X POST\n  --data 1\n```\n\n* * *\n"
    )
    assert only.text == (
        "A link, bold code_word, a picture, next line & more*.\n\nquoted\n\nhtml block\n\ncurl  -X POST\n  --data 1"
    )


def test_lists_are_lines() -> None:
    [only] = chunks("Steps:\n\n3. Open it\n4. Close it\n   - gently\n\n     and slowly\n   - firmly\n")
    assert only.text == "Steps:\n\n3. Open it\n4. Close it\n  - gently\n    and slowly\n  - firmly"


def test_a_row_of_a_table_is_a_sentence_that_can_be_read_alone() -> None:
    [only] = chunks(
        "| Plan | Monthly price | Support, first reply | Overage? |\n|---|---|---|---|\n| Nano | $9 | E-mail, 2 days | |\n"
        "| Micro | $24 | E-mail. Ask for Mr. Smith. | Yes |\n\n| Code | Meaning |\n|---|---|\n| **TG-1** | Closed |\n"
    )
    assert only.text.split("\n") == [
        "Plan Nano: Monthly price $9; Support, first reply: E-mail, 2 days.",
        "Plan Micro: Monthly price $24; Support, first reply: E-mail; Ask for Mr. Smith; Overage: Yes.",
        "",
        "Code TG-1 — Meaning: Closed.",
    ]
    assert [only.text[s.start : s.end] for s in sentences(only.text)] == [
        line for line in only.text.split("\n") if line
    ]


def test_a_long_section_is_cut_between_sentences_into_pieces_of_about_one_size() -> None:
    told = [f"Sentence number {n} tells something that matters to somebody." for n in range(60)]
    found = chunks(f"## All\n\n{' '.join(told[:40])}\n\n" + "\n".join(f"- {one}" for one in told[40:]))
    assert all(len(c.text) <= MAX_CHARACTERS and c.title_path == ("Plans", "All") for c in found)
    assert len(found) == 4
    assert min(len(c.text) for c in found) > MAX_CHARACTERS / 2
    assert [c.text[s.start : s.end].removeprefix("- ") for c in found for s in sentences(c.text)] == told


def test_words_without_a_sentence_are_cut_between_words() -> None:
    words = [f"word{n}" for n in range(900)]
    found = chunks(" ".join(words))
    assert all(len(c.text) <= MAX_CHARACTERS for c in found)
    assert [word for c in found for word in c.text.split()] == words


def test_tiny_neighbors_are_put_together_below_their_parent() -> None:
    [only] = chunks(
        "## Contact\n\n### Press\n\npress@t.example\n\n### Why?\n\nBecause.\n\n### Places\n\n- Portland\n- Tucson\n"
    )
    assert only.title_path == ("Plans", "Contact")
    assert only.url == "https://t.example/plans#press"
    assert only.text == "Press: press@t.example\n\nWhy? Because.\n\nPlaces:\n- Portland\n- Tucson"


def test_a_few_words_above_subsections_go_with_the_first() -> None:
    first, second = chunks(
        f"## Ways\n\nThere are two ways.\n\n### By card\n\n{long('card')}\n\n### By wire\n\n{long('wire')}"
    )
    assert first.title_path == ("Plans", "Ways", "By card")
    assert first.text.startswith("There are two ways.\n\ncard")
    assert second.text.startswith("wire")


def test_a_heading_with_nothing_below_is_kept() -> None:
    assert "Coming soon" in " ".join(c.title + c.text for c in chunks(f"## A\n\n{long('a')}\n\n## Coming soon"))


def test_repeated_headings_have_different_anchors() -> None:
    found = chunks("\n\n".join(f"## {heading}\n\n{long('alpha')}" for heading in ("One", "One", "Two {#one-2}")))
    assert [(c.url or "").partition("#")[2] for c in found] == ["one", "one-1", "one-2"]


def test_plain_text_keeps_paragraphs_and_joins_wrapped_lines() -> None:
    wrapped = "This is a line that someone has wrapped near the seventieth column\nbecause of a habit.\n\nShort\nlines"
    [only] = chunks(wrapped, PLAIN_TEXT)
    assert only.text == wrapped.replace("column\nbecause", "column because")


def test_an_unknown_media_type_is_refused() -> None:
    with pytest.raises(ValueError, match="application/pdf"):
        chunks("x", "application/pdf")


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


@pytest.mark.parametrize("folder", sorted(path.name for path in KNOWLEDGE.iterdir() if path.is_dir()))
def test_no_word_of_the_sample_knowledge_bases_is_lost(folder: str) -> None:
    for document in read_documents(folder, KNOWLEDGE / folder):
        if document.media_type == MARKDOWN:
            bare = re.sub(r"\]\([^)]*\)|\{#[^}]*\}|^```\w*$|^\d+\. ", " ", document.body, flags=re.MULTILINE)
            found = chunk(document)
            missing = words(bare) - words(" ".join(f"{c.title} {c.text}" for c in found))
            # A column's name may stand in several rows, never in fewer than one; headings are not repeated.
            assert not missing, (document.id, missing)
            assert all(0 < len(c.text) <= MAX_CHARACTERS for c in found)


WORD = st.text("abcdefgh", min_size=1, max_size=12)
PARAGRAPH = st.lists(WORD, min_size=1, max_size=60).map(" ".join)
PIECE = st.one_of(
    PARAGRAPH,
    st.tuples(st.integers(1, 4), WORD).map(lambda it: "#" * it[0] + " " + it[1]),
    st.lists(PARAGRAPH, min_size=1, max_size=6).map(lambda items: "\n".join(f"- {item}" for item in items)),
    PARAGRAPH.map(lambda text: f"```\n{text}\n```"),
    st.lists(st.tuples(WORD, PARAGRAPH), min_size=1, max_size=5).map(
        lambda rows: "| left | right |\n|---|---|\n" + "\n".join(f"| {a} | {b} |" for a, b in rows)
    ),
)


@given(st.lists(PIECE, max_size=12).map("\n\n".join))
def test_no_word_of_any_document_is_lost(body: str) -> None:
    found = chunks(body)
    kept = words(" ".join(f"{c.title} {c.text}" for c in found))
    assert set(words(body)) <= set(kept)
    assert all(c.text and len(c.text) <= MAX_CHARACTERS for c in found)


# ---------------------------------------------------------------- OpenAPI

API = {
    "openapi": "3.1.0",
    "info": {"title": "Tax API", "version": "7", "description": "Files tax returns"},
    "servers": [{"url": "https://api.t.example/v1", "description": "Production"}],
    "security": [{"key": []}],
    "paths": {
        "/returns": {
            "parameters": [{"$ref": "#/components/parameters/Version"}],
            "post": {
                "tags": ["Returns"],
                "summary": "Create a return",
                "description": "Creates a draft.",
                "externalDocs": {"url": "https://d.example/createReturn"},
                "security": [{"key": []}, {"oauth2": ["returns:write"]}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReturnCreate"}}},
                },
                "responses": {
                    "201": {
                        "description": "It was created.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Return"}}},
                    },
                    "429": {"$ref": "#/components/responses/TooMany"},
                },
            },
            "get": {"operationId": "listReturns", "responses": {200: {"description": "A page"}}},
        }
    },
    "components": {
        "parameters": {
            "Version": {"name": "Tax-Version", "in": "header", "schema": {"type": "string"}, "description": "A date."}
        },
        "responses": {"TooMany": {"description": "rate_limited: wait."}},
        "schemas": {
            "Person": {"type": "object", "properties": {"name": {"type": "string", "description": "Family name."}}},
            "ReturnCreate": {
                "allOf": [{"$ref": "#/components/schemas/Base"}],
                "required": ["year"],
                "properties": {
                    "filer": {
                        "anyOf": [{"$ref": "#/components/schemas/Person"}, {"type": "null"}],
                        "description": "Who files",
                    }
                },
            },
            "Base": {"properties": {"year": {"type": "integer", "minimum": 2021, "description": "The tax year."}}},
            "Return": {
                "properties": {"amends": {"$ref": "#/components/schemas/Return", "description": "The original."}}
            },
        },
        "securitySchemes": {
            "oauth2": {
                "type": "oauth2",
                "flows": {"authorizationCode": {"scopes": {"returns:write": "Change returns"}}},
            }
        },
    },
}


def test_openapi_operations() -> None:
    found = {c.title_path[1:]: c for c in chunks(json.dumps(API), OPENAPI, "Tax API")}
    create = found["Returns", "Create a return (POST /returns)"]
    assert create.url == "https://d.example/createReturn"
    assert create.text.split("\n") == [
        "POST /returns — Create a return.",
        "Creates a draft.",
        "Security: key; or oauth2 with the scope returns:write.",
        "",
        "Tax-Version (header parameter, string): A date.",
        "",
        "Request body (required, application/json):".rstrip(":"),
        "year (required, integer, at least 2021): The tax year.",
        "filer (object): Who files.",
        "filer.name (string): Family name.",
        "",
        "Response 201: It was created. Body: Return.",
        "Shared responses: 429 TooMany.",
    ]
    listing = found[("listReturns (GET /returns)",)]
    assert listing.url == "https://t.example/plans"
    assert "Security: key." in listing.text
    assert "Response 200: A page." in listing.text


def test_openapi_beside_its_operations() -> None:
    found = {c.title_path[1:]: c.text for c in chunks(json.dumps(API), OPENAPI, "Tax API")}
    assert found[()].startswith("Files tax returns.\n\nThe version of this API is 7.")
    assert "Server https://api.t.example/v1: Production." in found[()]
    assert "Scope returns:write: Change returns." in found[("Security",)]
    assert found[("Responses that operations share",)] == "Response TooMany: rate_limited: wait."
    assert found["Objects", "The Return object"].startswith("amends: The original.")
    assert ("Objects", "The Person object") not in found


def test_references_in_a_circle_or_to_nowhere_end() -> None:
    schemas = {
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"$ref": "#/components/schemas/A"},
        "C": {
            "anyOf": [{"$ref": "#/components/schemas/C"}],
            "properties": {"c": {"$ref": "#/nowhere"}, "d": {"$ref": "other.yaml#/x"}},
        },
    }
    body = {"content": {"a/b": {"schema": {"properties": {n: {"$ref": f"#/components/schemas/{n}"} for n in schemas}}}}}
    api = {
        "openapi": "3.0.0",
        "paths": {"/x": {"put": {"summary": "Put x", "requestBody": body}}},
        "components": {"schemas": schemas},
    }
    [only] = chunks(json.dumps(api), OPENAPI)
    assert "C.c" in only.text
    assert "C.d" in only.text
