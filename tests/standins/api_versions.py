"""The api-versions of Azure OpenAI, and what each of them knows of chat completions."""

from typing import Any

DATED = (
    "2023-05-15",
    "2023-06-01-preview",
    "2023-07-01-preview",
    "2023-08-01-preview",
    "2023-09-01-preview",
    "2023-10-01-preview",
    "2023-12-01-preview",
    "2024-02-01",
    "2024-02-15-preview",
    "2024-03-01-preview",
    "2024-04-01-preview",
    "2024-05-01-preview",
    "2024-06-01",
    "2024-07-01-preview",
    "2024-08-01-preview",
    "2024-09-01-preview",
    "2024-10-01-preview",
    "2024-10-21",
    "2024-12-01-preview",
    "2025-01-01-preview",
    "2025-02-01-preview",
    "2025-03-01-preview",
    "2025-04-01-preview",
)
"""Those that were published, from the first with chat completions for everybody to the last before v1."""
UNDATED = ("v1", "preview", "latest")
SINCE = {"stream_options": "2024-09", "tools": "2023-12", "tool_choice": "2023-12", "response_format": "2023-12"}
"""The month of the first dated api-version that takes a member of a request; those before refuse the whole of it."""
SCHEMAS_SINCE = "2024-08"


def refusal(body: dict[str, Any], version: str | None) -> tuple[int, str, str] | None:
    """Status, code and message, where a request holds what its dated `version` does not know, or what none takes."""
    wanted = body.get("response_format") or {}
    late = [name for name, since in SINCE.items() if version is not None and name in body and version < since]
    if late:
        return 400, "invalid_request_error", f"Unrecognized request arguments supplied: {', '.join(late)}"
    if wanted.get("type") == "json_schema" and version is not None and version < SCHEMAS_SINCE:
        return 400, "BadRequest", "response_format value as json_schema is enabled only for later api versions"
    described = wanted.get("json_schema") or {}
    if described.get("strict") and (why := _not_strict(described["schema"])):
        return 400, "invalid_request_error", f"Wrong schema for response_format '{described['name']}': {why}"
    return None


def _not_strict(schema: dict[str, Any]) -> str:
    """Strict schemas list all properties as required, take no others, and have no bounds."""
    if bounds := schema.keys() & {"maxItems", "minItems", "maxLength", "minLength", "minimum", "maximum"}:
        return f"{', '.join(sorted(bounds))} is not permitted."
    properties = schema.get("properties", {})
    if schema["type"] == "object" and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties)
    ):
        return "'additionalProperties' is required to be false, and 'required' to list every property."
    inner = [*properties.values(), *([schema["items"]] if "items" in schema else [])]
    return next(filter(None, map(_not_strict, inner)), "")
