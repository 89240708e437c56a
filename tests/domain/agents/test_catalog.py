"""agents.toml: what it may say, and how it is told what it may not."""

from pathlib import Path

import pytest

from domain.agents.catalog import AgentCatalog, CatalogError

ENTRY = '[[agent]]\nname = "help"\ntitle = "Help"\ndescription = "How to."\nknowledge_base = "kb"\n'


def load(folder: Path, text: str) -> AgentCatalog:
    (folder / "kb").mkdir(exist_ok=True)
    file = folder / "agents.toml"
    file.write_text(text, "utf-8")
    return AgentCatalog.load(file)


def test_the_desk_has_its_four_agents() -> None:
    catalog = AgentCatalog.load(Path(__file__).parents[3] / "agents.toml")
    assert [agent.title for agent in catalog.all] == ["Help Guides", "Pricing", "Website Content", "TaxGenii API"]
    assert all(agent.knowledge_base.is_dir() for agent in catalog.all)


def test_an_audience_limits_who_sees_an_agent(tmp_path: Path) -> None:
    catalog = load(tmp_path, ENTRY + 'audience = ["ann"]\n' + ENTRY.replace('"help"', '"open"'))
    assert [a.name for a in catalog.visible_to("ann")] == ["help", "open"]
    assert [a.name for a in catalog.visible_to("bob")] == ["open"]


def test_an_agent_may_have_a_model_of_its_own(tmp_path: Path) -> None:
    [agent] = load(tmp_path, ENTRY + 'deployment = " gpt-4o "\nmodel = "qwen3"\n').all
    assert (agent.deployment, agent.model) == ("gpt-4o", "qwen3")
    [agent] = load(tmp_path, ENTRY).all
    assert (agent.deployment, agent.model) == ("", "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at least one"),
        ("agent = 3", r"\[\[agent\]\]"),
        ("[[agent]", "not TOML"),
        (ENTRY + ENTRY, "same name"),
        (ENTRY.replace('title = "Help"\n', ""), "agent 1: `title` is missing"),
        (ENTRY.replace('"help"', '"Help Desk"'), "`name` must be lower-case"),
        (ENTRY.replace('"kb"', '"nowhere"'), "not a folder"),
        (ENTRY + 'promt = "x"\n', "unknown keys promt"),
        (ENTRY + 'deployment = ""\n', "`deployment` must be a name"),
        (ENTRY + "model = 4\n", "`model` must be a name"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CatalogError, match=complaint):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read"):
        AgentCatalog.load(tmp_path / "none.toml")
