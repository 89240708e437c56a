"""Terms and sentences."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.terms import content_terms, sentences, stem, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Resetting passwords", ["reset", "password"]),
        ("TG-R0502", ["tgr0502", "tg", "r0502"]),
        ("rate_limited", ["rate_limited", "rate", "limit"]),
        ("X-RateLimit-Limit", ["xratelimitlimit", "rate", "limit", "limit"]),
        ("POST /returns/{return_id}", ["post", "return", "return_id", "return", "id"]),
        ("createReturn", ["createreturn", "creat", "return"]),
        ("$6.50", ["$6.50", "6.50"]),
        ("$1,490.00", ["$1490", "1490"]),
        ("1,000 calls, 99.95 %", ["1000", "call", "99.95"]),
        ("W-2 and 1099-NEC", ["w2", "2", "and", "1099nec", "1099", "nec"]),
        ("e-mail", ["email", "mail"]),
        ("the company's", ["the", "compani"]),
        ("don’t", ["dont"]),
        ("Ｆｕｌｌ STRASSE straße", ["full", "strass", "strass"]),
        ("!? --- …", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_content_terms_leave_function_words_out() -> None:
    assert content_terms("How do I reset my password, please?") == ["reset", "password"]
    assert content_terms("What's it about?") == []


def test_stemming_in_threads_gives_what_it_gives_alone() -> None:
    words = [
        f"{letters}{ending}" for letters in ("relat", "connect", "nation", "hous") for ending in ("ing", "ed", "ional")
    ]
    alone = [stem.__wrapped__(word) for word in words]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stem.__wrapped__, words * 200)) == alone * 200


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $6.50 a month. See TG-R0502.", ["It costs $6.50 a month.", "See TG-R0502."]),
        ("The cap. is five. It holds.", ["The cap. is five.", "It holds."]),
        ("Allow approx. 3 days.", ["Allow approx. 3 days."]),
        ("Ask Mr. Smith, e.g. by mail. Then wait!", ["Ask Mr. Smith, e.g. by mail.", "Then wait!"]),
        ("Really? Yes.", ["Really?", "Yes."]),
        ("It fails. rate_limited is the code.", ["It fails.", "rate_limited is the code."]),
        (
            "Choose one:\n\n- the first\n- the second\n1. Third",
            ["Choose one:", "- the first", "- the second", "1. Third"],
        ),
        ("1. Open it. Then close it.", ["1. Open it.", "Then close it."]),
        (
            "Plan Nano: Monthly price $9; Users 1.\nPlan Micro: Users 2.",
            ["Plan Nano: Monthly price $9; Users 1.", "Plan Micro: Users 2."],
        ),
        ("A line that is\nwrapped goes on. Done", ["A line that is\nwrapped goes on.", "Done"]),
        ("It is the end.\nthe next begins small", ["It is the end.", "the next begins small"]),
        ("See the icon![an icon](a/b.png). Go on.", ["See the icon![an icon](a/b.png).", "Go on."]),
        ("These:\n– one\n– two", ["These:", "– one", "– two"]),
        ("Of these\n– one\n– two", ["Of these", "– one", "– two"]),
        ("It is so.  https://a.example/b-c", ["It is so.", "https://a.example/b-c"]),
        ("See https://a.example for more. It is", ["See https://a.example for more.", "It is"]),
        ("Ask, e.g. https://a.example now", ["Ask, e.g. https://a.example now"]),
        (" \n\n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split(text) == expected


ODD = st.one_of(st.sampled_from(' .!?"“”()\n\t-,;:aA1éß日。’\r\u2028…'), st.characters(exclude_categories=["Cs"]))


@given(st.text(ODD, max_size=80))
@example("- ")
def test_sentences_cover_every_character_in_order(text: str) -> None:
    spans = sentences(text)
    assert all(one.end <= after.start for one, after in pairwise(spans))
    assert all(text[span.start : span.end] == text[span.start : span.end].strip() != "" for span in spans)
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert all(place in covered or letter.isspace() for place, letter in enumerate(text))


@given(st.text(ODD, max_size=80))
def test_terms_hold_neither_space_nor_capitals(text: str) -> None:
    assert all(term and not any(map(str.isspace, term)) and term == term.casefold() for term in terms(text))
