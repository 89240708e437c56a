"""The embedded search: what goes beyond the contract of every retriever."""

import asyncio
import json
import math
import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from domain.chunking import MARKDOWN
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document, TermStatistics
from domain.terms import terms
from providers.embedded_search import EmbeddedSearch
from providers.embeddings import DIMENSIONS, installed_embedder
from providers.index_file import IndexFile
from providers.index_readers import IndexReaders
from tests.standins.embedder import LetterEmbedder


def document(name: str, body: str, digest: str = "1") -> Document:
    return Document(name, "a", name, body, MARKDOWN, digest)


PLANS = [document(f"plan{n}", f"The plan number {n} costs ${n} a month.") for n in range(1, 7)]
TURTLE = document("turtle", "Turtles swim.")


def tamper(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def scores(search: EmbeddedSearch, question: str, agent: str = "a") -> dict[str, float]:
    return {p.chunk.document_id: p.score for p in await search.search(agent, question, 50, ANYBODY)}


# ---------------------------------------------------------------- scores


async def test_a_score_is_a_share_of_the_question(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [*PLANS, TURTLE])
    whole = (await scores(search, "turtles"))["turtle"]
    half = (await scores(search, "turtles xylophones"))["turtle"]
    assert 0.3 < whole < 1
    assert half < whole / 2  # the word that nobody knows weighs most


async def test_the_score_is_that_of_the_formula(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index(
        "a", [document("one", "turtle turtle swim"), document("two", "turtle"), document("three", "stone")]
    )
    lengths = {"one": 3 + 3, "two": 3 + 1, "three": 3 + 1}  # a title counts three times
    saturated = {name: f / (f + 1.5 * (0.6 + 0.4 * lengths[name] / (14 / 3))) for name, f in (("one", 2), ("two", 1))}
    turtle, nowhere = math.log(1 + 1.5 / 2.5), math.log(1 + 3.5 / 0.5)
    found = await scores(search, "turtles nowhere")
    assert found == pytest.approx({name: turtle * f / (turtle + nowhere) for name, f in saturated.items()})


async def test_scores_do_not_grow_with_the_knowledge_base(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("small", [TURTLE, *PLANS])
    await search.index("large", [TURTLE, *(replace(one, id=f"{one.id}-{n}") for one in PLANS for n in range(50))])
    small, large = [(await scores(search, "Do turtles swim?", agent))["turtle"] for agent in ("small", "large")]
    assert small == pytest.approx(large, abs=0.02)


async def test_a_single_document_can_be_found(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [TURTLE])
    assert (await scores(search, "turtles"))["turtle"] > 0.3


async def test_titles_weigh_more_than_text(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    padding = "Nothing of this matters much to anybody."
    named, told = document("refunds", padding), document("other", f"{padding} refunds")
    await search.index("a", [named, told])
    found = await scores(search, "refunds")
    assert found["refunds"] > found["other"] > 0


async def test_function_words_alone_are_asked_too(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [document("who", "The who is on."), TURTLE])
    assert list(await scores(search, "Who is it?")) == ["who"]


# ---------------------------------------------------------------- terms


@given(st.text(st.one_of(st.sampled_from("aZ09 _.-$€'/"), st.characters(exclude_categories=["Cs"])), max_size=60))
@example("$6.50 and €5.20 for rate_limited TLS 1.2")
def test_the_index_knows_exactly_the_terms(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("index") / "a.sqlite3"
    asked = terms(text)
    with IndexFile.writing(path, lambda: None) as index:
        index._connection.execute("INSERT INTO passages VALUES ('', ?)", (" ".join(asked),))
        known = {term for (term,) in index._connection.execute("SELECT term FROM vocabulary")}
        assert known == set(asked)
        assert index.frequencies(list(known)) == dict.fromkeys(known, 1)


# ---------------------------------------------------------------- the file


async def test_readers_see_the_index_before_or_after_never_between(tmp_path: Path) -> None:
    search, path = EmbeddedSearch(tmp_path), tmp_path / "a.sqlite3"
    await search.index("a", [document("old", "The turtle is old.")])
    with IndexFile.writing(path, lambda: None) as index:
        index.remove_document("old")
        assert list(await scores(search, "turtle")) == ["old"]
        with closing(IndexReaders()) as readers, readers.reading(path, ANYBODY) as (before, _):
            index._connection.execute("COMMIT")
            assert before.digests() == {"old": "1"}
        assert await scores(search, "turtle") == {}
        index._connection.execute("BEGIN")


def _remove(index: Path) -> None:
    for file in index.parent.glob(f"{index.name}*"):
        file.unlink()


async def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    search, elsewhere = EmbeddedSearch(tmp_path), EmbeddedSearch(tmp_path / "elsewhere")
    await search.index("a", [document("old", "The turtle is old.")])
    await elsewhere.index("a", [document("new", "The turtle is new.")])
    assert list(await scores(search, "turtle")) == ["old"]
    await elsewhere.close()
    _remove(tmp_path / "a.sqlite3")
    with pytest.raises(SearchUnavailable):
        await search.search("a", "turtle", 5, ANYBODY)
    (tmp_path / "elsewhere/a.sqlite3").rename(tmp_path / "a.sqlite3")
    assert list(await scores(search, "turtle")) == ["new"]


async def test_many_searches_at_once_find_the_same(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [document("old", "The turtle is old."), document("new", "The hare is new.")])
    found = await asyncio.gather(*(scores(search, ("turtle", "hare")[n % 2]) for n in range(40)))
    assert [list(one) for one in found] == [["old"], ["new"]] * 20
    await search.index("a", [document("new", "The hare is new.")])
    assert await scores(search, "turtle") == {}
    await search.close()
    assert list(await scores(search, "hare")) == ["new"]


async def test_what_another_process_indexes_is_found_by_the_next_search(tmp_path: Path) -> None:
    search, another = EmbeddedSearch(tmp_path), EmbeddedSearch(tmp_path)
    await search.index("a", [*PLANS, TURTLE])
    before = await scores(search, "turtle plan stone")
    assert await search.term_statistics("a", terms("turtle stone"), ANYBODY) == TermStatistics(
        7, {"turtl": 1, "stone": 0}
    )
    await another.index("a", [*PLANS, replace(TURTLE, body="Turtles swim. Stones sink.", digest="2")])
    after = await search.search("a", "turtle plan stone", 50, ANYBODY)
    assert after == await EmbeddedSearch(tmp_path).search("a", "turtle plan stone", 50, ANYBODY)
    assert {passage.chunk.document_id: passage.score for passage in after} != before
    assert "Turtles swim. Stones sink." in {passage.chunk.text for passage in after}
    assert await search.term_statistics("a", terms("turtle stone"), ANYBODY) == TermStatistics(
        7, {"turtl": 1, "stone": 1}
    )


async def test_what_is_kept_in_memory_changes_no_answer(tmp_path: Path) -> None:
    warm = EmbeddedSearch(tmp_path)
    await warm.index("a", [*PLANS, TURTLE, document("both", "The turtle plan costs nothing a month for 6 turtles.")])
    words = ["turtle", "plan", "costs", "number", "3", "month", "nowhere", "turtles"]
    for first in words:
        for second in words:
            question = f"Does {first} or {second}?"
            assert await warm.search("a", question, 4, ANYBODY) == await EmbeddedSearch(tmp_path).search(
                "a", question, 4, ANYBODY
            )


async def test_a_failure_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [TURTLE])
    with pytest.raises(ValueError, match="nonsense"):
        await search.index("a", [PLANS[0], replace(PLANS[1], media_type="nonsense")])
    assert list(await scores(search, "turtle plan")) == ["turtle"]


async def test_a_file_of_another_version_is_refused_and_built_anew(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [TURTLE])
    tamper(tmp_path / "a.sqlite3", "UPDATE facts SET value = '0' WHERE name = 'stamp'")
    with pytest.raises(SearchUnavailable, match="indexed first"):
        await search.search("a", "turtle", 1, ANYBODY)
    with pytest.raises(SearchUnavailable):
        await search.check()
    assert (await search.index("a", [TURTLE])).added == 1
    assert list(await scores(search, "turtle")) == ["turtle"]
    await search.check()


async def test_what_is_no_index_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite3").write_bytes(b"not a database, " * 100)
    search = EmbeddedSearch(tmp_path)
    for doing in (
        search.search("a", "x", 1, ANYBODY),
        search.index("a", []),
        search.check(),
        search.term_statistics("a", ["x"], ANYBODY),
    ):
        with pytest.raises(SearchUnavailable):
            await doing


INDEXER = """
import asyncio, json, sys
from pathlib import Path
from domain.knowledge import Document, TermStatistics
from providers.embedded_search import EmbeddedSearch

async def main():
    documents = [Document(f"d{n}", "a", "T", f"Turtle number {n} swims.", "text/plain", "1") for n in range(200)]
    report = await EmbeddedSearch(Path(sys.argv[1])).index("a", documents)
    print(json.dumps([report.added, report.unchanged, report.chunks]))

asyncio.run(main())
"""


async def test_several_processes_index_at_once(tmp_path: Path) -> None:
    house = Path(__file__).parents[2]
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", INDEXER, str(tmp_path), cwd=house, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    reports = sorted([json.loads((await process.communicate())[0]) for process in running])
    assert reports == [[0, 200, 200], [0, 200, 200], [200, 0, 200]]
    assert len(await scores(EmbeddedSearch(tmp_path), "turtle")) == 50


class PausingEmbedder(LetterEmbedder):
    """Stops at its second document until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = asyncio.Event(), Event()
        self._loop = asyncio.get_running_loop()

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        if self.read:
            self._loop.call_soon_threadsafe(self.reached.set)
            self.go_on.wait(30)
        return super().embed(texts)


async def test_indexing_that_is_cancelled_changes_nothing(tmp_path: Path) -> None:
    await EmbeddedSearch(tmp_path).index("a", [TURTLE])
    embedder = PausingEmbedder()
    indexing = asyncio.create_task(EmbeddedSearch(tmp_path, embedder).index("a", PLANS))
    await embedder.reached.wait()
    indexing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await indexing
    embedder.go_on.set()
    # The next writer waits until the cancelled one has gone.
    assert (await EmbeddedSearch(tmp_path).index("a", [TURTLE])).unchanged == 1
    assert len(embedder.read) == 2


# ---------------------------------------------------------------- vectors


async def test_an_embedder_finds_what_no_word_matches(tmp_path: Path) -> None:
    words, letters = EmbeddedSearch(tmp_path / "w"), EmbeddedSearch(tmp_path / "l", LetterEmbedder())
    for search in (words, letters):
        await search.index("a", [*PLANS, TURTLE])
    assert await scores(words, "turtledove swimmers") == {}
    assert next(iter(await scores(letters, "turtledove swimmers"))) == "turtle"
    assert (words.name, letters.name) == ("SQLite FTS5", "SQLite FTS5 + letters")


async def test_only_what_changed_is_embedded_again(tmp_path: Path) -> None:
    embedder = LetterEmbedder()
    search = EmbeddedSearch(tmp_path, embedder)
    await search.index("a", PLANS[:2])
    await search.index("a", PLANS[:3])
    assert embedder.read == [f"{one.title}\n{one.body}" for one in PLANS[:3]]
    await search.index("a", [*PLANS[:2], replace(PLANS[2], body="It is free.", digest="2")])
    assert embedder.read[3:] == ["plan3\nIt is free."]
    assert len(await scores(search, "zzz")) == 3
    await EmbeddedSearch(tmp_path).index("a", PLANS[:4])
    assert await scores(search, "turtle") == {}  # by words, as long as vectors are missing


async def test_vectors_are_added_to_an_index_without_and_replaced_for_another_embedder(tmp_path: Path) -> None:
    await EmbeddedSearch(tmp_path).index("a", PLANS)
    first, other = LetterEmbedder(), LetterEmbedder("other")
    search = EmbeddedSearch(tmp_path, first)
    assert len(await scores(search, "turtle plan")) == 6  # by words, until there are vectors
    assert await scores(search, "turtle") == {}
    assert (await search.index("a", PLANS)).unchanged == 6
    assert len(await scores(search, "turtle")) == 6
    await EmbeddedSearch(tmp_path, other).index("a", PLANS)
    assert [text for text in other.read if "plan" in text] == [f"{one.title}\n{one.body}" for one in PLANS]
    assert await scores(search, "tortoise") == {}  # these vectors are of another embedder


class MeetingEmbedder(LetterEmbedder):
    """A question waits a little for another thread to ask for the same, so that two would meet."""

    def __init__(self) -> None:
        super().__init__()
        self._meeting = Barrier(2)

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = super().embed(texts)
        if "?" in texts[0]:
            with suppress(BrokenBarrierError):
                self._meeting.wait(0.3)
        return vectors


async def test_a_question_is_embedded_once_for_all_agents(tmp_path: Path) -> None:
    embedder = MeetingEmbedder()
    search = EmbeddedSearch(tmp_path, embedder)
    for agent in ("a", "b", "c"):
        await search.index(agent, [TURTLE])
    await asyncio.gather(*(search.search(agent, "Do they swim?", 1, ANYBODY) for agent in ("a", "b", "c")))
    assert embedder.read.count("Do they swim?") == 1


async def test_codes_count_more_than_likeness(tmp_path: Path) -> None:
    class Blind(LetterEmbedder):
        """Thinks that every question is about turtles."""

        def embed(self, texts: list[str]) -> NDArray[np.float32]:
            return super().embed(["Turtles swim." if "?" in text else text for text in texts])

    search = EmbeddedSearch(tmp_path, Blind())
    await search.index("a", [TURTLE, document("TG-R0502", "The refusal has a code beside its reason.")])
    assert next(iter(await scores(search, "refusal?"))) == "turtle"
    assert next(iter(await scores(search, "TG-R0502?"))) == "TG-R0502"


# ---------------------------------------------------------------- the model of the optional extra


@pytest.fixture(scope="module")
def minilm() -> Any:
    return installed_embedder() or pytest.skip("the extra `embeddings` is not installed")


def test_minilm_gives_unit_vectors_that_carry_meaning(minilm: Any) -> None:
    texts = ["How do I get my money back?", "Ask for a refund of your payment.", "The turtle swims in the sea. " * 100]
    vectors = minilm.embed(texts)
    assert vectors.shape == (3, DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.5 > 0.2 > likeness[0, 2]
    assert minilm.embed(texts[:1])[0] == pytest.approx(vectors[0], abs=1e-4)


async def test_minilm_searches(minilm: Any, tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path, minilm)
    await search.index("a", [*PLANS, TURTLE])
    assert search.name == "SQLite FTS5 + MiniLM"
    assert next(iter(await scores(search, "reptiles in the ocean"))) == "turtle"
