"""Reading a knowledge base's folder."""

from datetime import date
from pathlib import Path

import pytest
import structlog

from domain.chunking import MARKDOWN, OPENAPI, PLAIN_TEXT
from domain.documents import KnowledgeError, read_documents


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_markdown_with_front_matter(tmp_path: Path) -> None:
    write(
        tmp_path,
        "billing/refunds.md",
        "---\ntitle: Refunds\nurl: https://t.example/r\nupdated: 2026-09-14\n---\n\n# Money back\n\nText.\n",
    )
    [document] = read_documents("pricing", tmp_path)
    assert (document.id, document.agent, document.title) == ("billing/refunds", "pricing", "Refunds")
    assert (document.url, document.updated, document.media_type) == ("https://t.example/r", date(2026, 9, 14), MARKDOWN)
    assert document.body == "# Money back\n\nText."


def test_title_falls_back_to_the_heading_and_then_to_the_name(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "```\n# no heading\n```\n\n# Money *back* {#anchor}\n")
    write(tmp_path, "b.md", "Only text.")
    write(tmp_path, "c.txt", "Only text.")
    assert [document.title for document in read_documents("x", tmp_path)] == ["Money back", "b", "c"]


def test_a_rule_at_the_top_is_no_front_matter(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "---\njust words\n---\nMore.")
    [document] = read_documents("x", tmp_path)
    assert "just words" in document.body


def test_plain_text_and_a_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, "a.TXT", b"\xef\xbb\xbfFirst\r\nSecond")
    [document] = read_documents("x", tmp_path)
    assert (document.body, document.media_type) == ("First\nSecond", PLAIN_TEXT)


API = 'openapi: 3.1.0\ninfo: {title: Tax API, version: "1", x-updated: "2026-09-30"}\nservers: [{url: "https://api.t.example"}]\npaths: {}\n'


def test_openapi(tmp_path: Path) -> None:
    write(tmp_path, "api.yaml", API)
    write(
        tmp_path,
        "other.json",
        '{"openapi": "3.0.3", "info": {"title": "Other"}, "externalDocs": {"url": "https://d.example"}}',
    )
    api, other = read_documents("x", tmp_path)
    assert (api.title, api.url, api.updated, api.media_type) == (
        "Tax API",
        "https://api.t.example",
        date(2026, 9, 30),
        OPENAPI,
    )
    assert (other.title, other.url) == ("Other", "https://d.example")


def test_other_files_are_named_in_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "A")
    picture, settings = write(tmp_path, "logo.png", b"\x89PNG"), write(tmp_path, "settings.yaml", "a: 1")
    write(tmp_path, ".hidden/b.md", "B")
    with structlog.testing.capture_logs() as logs:
        assert [document.id for document in read_documents("x", tmp_path)] == ["a"]
    assert [(log["log_level"], log["file"]) for log in logs] == [("warning", str(picture)), ("warning", str(settings))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", b"caf\xe9"),
        ("a.md", b"---\ntitle: [unclosed\n---\nText"),
        ("a.md", b"---\nupdated: soon\n---\nText"),
        ("a.yaml", b"a: [unclosed"),
        ("a.json", b'{"openapi": '),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(KnowledgeError, match=str(path)):
        read_documents("x", tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "A")
    write(tmp_path, "a.txt", "A")
    with pytest.raises(KnowledgeError, match=r"a\.txt"):
        read_documents("x", tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="nowhere"):
        read_documents("x", tmp_path / "nowhere")


def test_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "A")
    before = read_documents("x", tmp_path)[0].digest
    assert read_documents("x", tmp_path)[0].digest == before
    write(tmp_path, "a.md", "A ")
    assert read_documents("x", tmp_path)[0].digest != before


# ---------------------------------------------------------------- who may read it


@pytest.mark.parametrize(
    ("matter", "audience"),
    [
        ("audience: [ann, bob]", ("ann", "bob")),
        ("audience:\n  - ann\n  - 'o-neil@example.com'", ("ann", "o-neil@example.com")),
        ("audience: ['007']", ("007",)),
        ("title: T", ()),
    ],
)
def test_an_audience_is_a_list_of_usernames(tmp_path: Path, matter: str, audience: tuple[str, ...]) -> None:
    write(tmp_path, "a.md", f"---\n{matter}\n---\nText.")
    [document] = read_documents("x", tmp_path)
    assert document.audience == audience
    assert document.body == "Text."


def test_an_openapi_document_can_have_one_too(tmp_path: Path) -> None:
    write(tmp_path, "api.yaml", API.replace("info: {", "info: {x-audience: [ann], "))
    assert [document.audience for document in read_documents("x", tmp_path)] == [("ann",)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "---\naudience: ann\n---\nText."),
        ("a.md", "---\naudience: []\n---\nText."),
        ("a.md", "---\naudience:\n---\nText."),
        ("a.md", "---\naudience: [ann, 7]\n---\nText."),
        ("a.md", "---\naudience: [yes]\n---\nText."),
        ("a.md", "---\naudience: ['*']\n---\nText."),
        ("a.md", "---\naudience: ['ann bob']\n---\nText."),
        ("a.md", "---\naudience: {ann: true}\n---\nText."),
        ("a.md", "---\nAudience: [ann]\n---\nText."),
        ("a.md", "---\naudiences: [ann]\n---\nText."),
        ("a.md", "---\nx-audience: [ann]\n---\nText."),
        ("a.md", "---\ntitle: T\naudience: [ann]\n\nText without an end of the matter."),
        ("a.md", "\n---\naudience: [ann]\nText"),
        ("a.md", '+++\naudience = ["ann"]\n+++\nText.'),
        ("a.txt", "---\naudience: [ann]\n---\nText."),
        ("a.yaml", API.replace("info: {", "info: {audience: [ann], ")),
        ("a.yaml", API.replace("info: {", "info: {x-audience: ann, ")),
        ("a.yaml", f"x-audience: [ann]\n{API}"),
    ],
)
def test_what_may_be_meant_for_an_audience_is_never_shown_to_all(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    with pytest.raises(KnowledgeError, match=rf"{name} cannot be read: .*audience"):
        read_documents("x", tmp_path)


@pytest.mark.parametrize("text", ["---\nA rule.\n\nAudience: everybody", "Our audience: [all]", "# Audience\n\nAll."])
def test_a_text_may_speak_of_audiences(tmp_path: Path, text: str) -> None:
    for name in ("a.md", "b.txt"):
        write(tmp_path, name, text)
    assert [document.audience for document in read_documents("x", tmp_path)] == [(), ()]
