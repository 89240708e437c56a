"""Azure's published API descriptions as validators, where a folder of them is at hand.

They are not part of the repository. AZURE_SPECS_DIR names the folder; without it `../shared/azure-specs`, seen from the
repository, is tried.
"""

import json
import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
DATED, V1 = "azure-openai-2025-03-01-preview.json", "azure-openai-v1.json"
SEARCH_DOCUMENTS, SEARCH_INDEXES = "ai-search-searchindex.json", "ai-search-searchservice.json"


def folder() -> Path:
    return Path(os.environ.get("AZURE_SPECS_DIR") or HERE.parent / "shared" / "azure-specs")


def missing() -> str | None:
    """Why nothing can be validated here, or None when it can."""
    if find_spec("jsonschema") is None:
        return "jsonschema is not installed"
    absent = [name for name in (DATED, V1, SEARCH_DOCUMENTS, SEARCH_INDEXES) if not (folder() / name).is_file()]
    return f"{folder()} lacks {', '.join(absent)}" if absent else None


def complaints(document: str, schema: str, body: Any) -> list[str]:
    """What is wrong with a body, one line for each fault; empty when it fits the named schema of the document."""
    spec = _described(document)
    root = "definitions" if "definitions" in spec else "components/schemas"
    validator = import_module("jsonschema").Draft202012Validator({**spec, "$ref": f"#/{root}/{schema}"})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]


@cache
def _described(document: str) -> dict[str, Any]:
    spec = _plain(json.loads((folder() / document).read_text("utf-8")))
    assert isinstance(spec, dict)
    return {key: spec[key] for key in ("definitions", "components") if key in spec}


def _plain(node: Any) -> Any:
    """OpenAPI's own words for `or null` in those of JSON Schema; its other keywords JSON Schema ignores."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in node.items()}
    if plain.pop("nullable", False) is True or plain.pop("x-nullable", False) is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain
