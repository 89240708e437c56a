"""An index of the stand-in for Azure AI Search: its definition, its rows, and what the service demands of both."""

import re
from typing import Any

from tests.standins.ranking import Row

VECTOR = "Collection(Edm.Single)"
INDEX_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])+")


class WrongRequestError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Index:
    """One index: its definition, and its rows by key."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.rows: dict[str, Row] = {}

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        return {field["name"]: field for field in self.definition["fields"]}

    @property
    def key(self) -> str:
        [name] = [field["name"] for field in self.definition["fields"] if field.get("key")]
        return str(name)

    def vector_field(self, name: str, vector: list[float]) -> str:
        field = self.fields.get(name, {})
        if field.get("type") != VECTOR:
            raise WrongRequestError(400, f"Unknown field '{name}' in vector field list.")
        if len(vector) != field["dimensions"]:
            raise WrongRequestError(
                400, f"The vector has {len(vector)} dimensions, the field '{name}' {field['dimensions']}."
            )
        return name

    def demand(self, names: list[str], quality: str) -> None:
        for name in names:
            if not self.fields.get(name, {}).get(quality):
                raise WrongRequestError(400, f"The field {name} is not {quality} in this index.")


def check_definition(definition: dict[str, Any]) -> None:
    """What hangs together in a definition: fields, vector profiles, algorithms, semantic configurations."""
    fields = {field["name"]: field for field in definition["fields"]}
    vectors = definition.get("vectorSearch") or {}
    algorithms = {algorithm["name"] for algorithm in vectors.get("algorithms") or [] if algorithm["kind"] == "hnsw"}
    profiles = {profile["name"]: profile["algorithm"] for profile in vectors.get("profiles") or []}
    for field in fields.values():
        if field["type"] != VECTOR:
            continue
        if not 2 <= field.get("dimensions", 0) <= 4_096 or not field.get("searchable"):
            raise WrongRequestError(400, f"The vector field '{field['name']}' is not searchable, or of a wrong length.")
        if profiles.get(field.get("vectorSearchProfile")) not in algorithms:
            raise WrongRequestError(400, f"The vector field '{field['name']}' names no known profile and algorithm.")
    for configuration in (definition.get("semantic") or {}).get("configurations") or []:
        chosen = configuration["prioritizedFields"]
        named = [*chosen.get("prioritizedContentFields", []), *chosen.get("prioritizedKeywordsFields", [])]
        for name in (field["fieldName"] for field in named):
            if not fields.get(name, {}).get("searchable") or fields[name]["type"] == VECTOR:
                raise WrongRequestError(400, f"The semantic configuration names '{name}', which is no searchable text.")


def check_semantic(index: Index, request: dict[str, Any]) -> None:
    known = [one["name"] for one in (index.definition.get("semantic") or {}).get("configurations") or []]
    if request.get("semanticConfiguration") not in known:
        raise WrongRequestError(400, "The semantic configuration is not defined in this index.")
    if not request.get("search") or request.get("orderby"):
        raise WrongRequestError(400, "A semantic query needs search text and takes no orderby.")
