"""A stand-in for Azure AI Search (api-version 2026-04-01): indexes in memory that are really searched, by words, by
vectors and by both; the semantic ranker is a function that a test may replace.

    with AzureSearchStandIn() as upstream:
        upstream.script(Refuse(503), when="docs/search.post.search")
        …
        upstream.documents("answerdesk-pricing")

It is strict where the service is: names, keys, unknown fields, fields that are not searchable, filterable or sortable,
definitions that change a field or drop one, vectors of another length, profiles and semantic configurations that are not
there, 1,000 actions and 16 MB a batch, 1,000 results a page.
"""

import re
import secrets
from collections.abc import Callable
from typing import Any

from tests.standins.entra import SEARCH as SEARCHING
from tests.standins.entra import EntraStandIn
from tests.standins.faults import Hang, Malformed, Refuse, RefuseRows, Reset
from tests.standins.loopback import Exchange, LoopbackServer, Reply
from tests.standins.ranking import (
    Ranked,
    Row,
    SimpleQuery,
    analyze,
    fused,
    nearest,
    parse_filter,
    parse_simple,
    rank,
)
from tests.standins.search_index import INDEX_NAME, VECTOR, Index, WrongRequestError, check_definition, check_semantic

API_VERSION = "2026-04-01"
MAX_ACTIONS = 1_000
MAX_PAGE = 1_000
DEFAULT_PAGE = 50
RERANKED = 50
SEARCH = "/docs/search.post.search"

Step = Refuse | Hang | Reset | Malformed | RefuseRows

_KEY = re.compile(r"[A-Za-z0-9_=-]{1,1024}")
_PATH = re.compile(r"/indexes\('([^']+)'\)(?:/docs/(search\.index|search\.post\.search|\$count))?")


Reranker = Callable[[str, Row], float]
"""A question and a row give a score from 0 to 4."""


def shared_words(question: str, row: Row) -> float:
    """The part of the question's words that a row holds, title and text together, times 4."""
    asked, held = set(analyze(question)), set(analyze(f"{' '.join(row['title_path'])} {row['text']}"))
    return 4 * len(asked & held) / max(len(asked), 1)


class AzureSearchStandIn(LoopbackServer):
    """`page` is the most results that one answer holds; with more to come it names the parameters of the next. With
    `entra` keys are switched off, and tokens count."""

    def __init__(self, page: int = MAX_PAGE, entra: EntraStandIn | None = None) -> None:
        super().__init__()
        self.entra = entra
        self.key = secrets.token_hex(16)
        self.page = page
        self._indexes: dict[str, Index] = {}
        self._steps: list[tuple[str, Step]] = []
        self.reranker: Reranker | None = shared_words
        """The semantic ranker; None when it has no capacity just now."""
        self.fault: Step | None = None
        """What is wrong with every search that nothing is scripted for."""

    def script(self, *steps: Step, when: str = "") -> None:
        """What the next requests get whose path holds `when`, one step each; afterwards they are served again."""
        self._steps += [(when, step) for step in steps]

    def documents(self, index: str) -> dict[str, Row]:
        """The rows of an index by key. Raises KeyError."""
        return dict(self._indexes[index].rows)

    def definition(self, index: str) -> dict[str, Any]:
        """As it is kept. Raises KeyError."""
        return self._indexes[index].definition

    def forget(self, index: str, key: str) -> None:
        """Loses one row. Raises KeyError."""
        del self._indexes[index].rows[key]

    def environment(self) -> dict[str, str]:
        """The settings that point a server here."""
        known_by = {"AZURE_CREDENTIAL": "entra"} if self.entra else {"AZURE_KEY": self.key}
        return {**known_by, "AZURE_ENDPOINT": self.url}

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        step = next((pair for pair in self._steps if pair[0] in exchange.path), None)
        if step is not None:
            self._steps.remove(step)
        match step[1] if step else self.fault if exchange.path.endswith(SEARCH) else None:
            case Refuse(status, code, headers):
                return await reply.json(status, _error(f"refused, as scripted; key {self.key}", code), dict(headers))
            case Reset():
                return reply.reset()
            case Malformed():
                return await reply.text(200, '{"value": [', {"content-type": "application/json"})
            case Hang():
                await self.hang(reply)
            case RefuseRows(rows):
                return await reply.json(207, {"value": _refused(exchange.body["value"], rows)})
        try:
            status, body = self._serve_request(exchange)
        except WrongRequestError as error:
            return await reply.json(error.status, _error(str(error)))
        if body is None:
            return await reply.text(status, "")
        return await reply.json(status, body)

    def _serve_request(self, exchange: Exchange) -> tuple[int, Any]:
        if exchange.query.get("api-version") != API_VERSION:
            raise WrongRequestError(400, "Invalid or missing api-version query string parameter.")
        self._let_in(exchange)
        if exchange.path == "/indexes":
            return self._all_indexes(exchange)
        match = _PATH.fullmatch(exchange.path)
        if match is None:
            raise WrongRequestError(404, f"The stand-in does not serve {exchange.path}")
        name, operation = match.groups()
        if operation is None:
            return self._one_index(exchange, name)
        if name not in self._indexes:
            raise WrongRequestError(404, f"The index '{name}' was not found.")
        index = self._indexes[name]
        if operation == "$count":
            return 200, len(index.rows)
        return _write(index, exchange) if operation == "search.index" else self._search(index, exchange)

    def _let_in(self, exchange: Exchange) -> None:
        if self.entra is None:
            if exchange.headers.get("api-key") != self.key:
                raise WrongRequestError(403, "Forbidden")
        elif not self.entra.lets_in(exchange, SEARCHING):
            raise WrongRequestError(401, "Unauthorized")
        elif not self.entra.assigned:
            raise WrongRequestError(403, "Forbidden")

    def _all_indexes(self, exchange: Exchange) -> tuple[int, Any]:
        if exchange.method == "GET":
            return 200, {"value": [index.definition for index in self._indexes.values()]}
        if exchange.body["name"] in self._indexes:
            raise WrongRequestError(409, "An index with this name exists.")
        return self._define(exchange.body["name"], exchange.body)

    def _one_index(self, exchange: Exchange, name: str) -> tuple[int, Any]:
        if exchange.method == "PUT":
            return self._define(name, exchange.body)
        if name not in self._indexes:
            raise WrongRequestError(404, f"No index with the name '{name}' was found.")
        if exchange.method == "DELETE":
            del self._indexes[name]
            return 204, None
        return 200, self._indexes[name].definition

    def _define(self, name: str, definition: dict[str, Any]) -> tuple[int, Any]:
        keys = [field for field in definition["fields"] if field.get("key")]
        if not INDEX_NAME.fullmatch(name) or len(name) > 128 or name != definition["name"]:
            raise WrongRequestError(400, f"Invalid index name: {name}")
        if len(keys) != 1 or keys[0]["type"] != "Edm.String":
            raise WrongRequestError(400, "An index has one key field, a string.")
        check_definition(definition)
        if name not in self._indexes:
            self._indexes[name] = Index(definition)
            return 201, definition
        old, new = self._indexes[name].fields, {field["name"]: field for field in definition["fields"]}
        if any(new.get(field) != old[field] for field in old):
            raise WrongRequestError(400, "Existing fields cannot be changed or deleted.")
        self._indexes[name].definition = definition
        return 200, definition

    def _search(self, index: Index, exchange: Exchange) -> tuple[int, Any]:
        request = exchange.body
        found = _found(index, request)
        reranked: dict[str, float] = {}
        extra: dict[str, Any] = {}
        if request.get("queryType") == "semantic":
            check_semantic(index, request)
            if self.reranker is None:
                extra = {
                    "@search.semanticPartialResponseReason": "capacityOverloaded",
                    "@search.semanticPartialResponseType": "baseResults",
                }
            else:
                best = found[:RERANKED]
                reranked = {row[index.key]: self.reranker(request["search"], row) for _, row in best}
                found = sorted(best, key=lambda pair: -reranked[pair[1][index.key]]) + found[RERANKED:]
        skip, top = request.get("skip", 0), request.get("top")
        size = min(self.page, MAX_PAGE if top is not None else DEFAULT_PAGE, len(found) if top is None else top)
        shown = found[skip : skip + size]
        names = _names(request.get("select")) or list(index.fields)
        index.demand(names, "retrievable")
        value = [{"@search.score": score, **{name: row.get(name) for name in names}} for score, row in shown]
        for result, (_, row) in zip(value, shown, strict=True):
            if row[index.key] in reranked:
                result["@search.rerankerScore"] = reranked[row[index.key]]
        answer: dict[str, Any] = {**extra, "value": value}
        if skip + size < len(found) and (top is None or size < top):
            further = {} if top is None else {"top": top - size}
            answer["@search.nextPageParameters"] = {**request, "skip": skip + size, **further}
            answer["@odata.nextLink"] = f"{self.url}{exchange.path}?api-version={API_VERSION}"
        return 200, answer


def _found(index: Index, request: dict[str, Any]) -> Ranked:
    if request.get("queryType", "simple") not in ("simple", "semantic") or request.get("searchMode", "any") != "any":
        raise WrongRequestError(400, "The stand-in only knows simple and semantic queries with searchMode any.")
    if not 0 <= request.get("skip", 0) <= 100_000:
        raise WrongRequestError(400, "Value must be between 0 and 100000. Parameter name: $skip")
    rows = list(index.rows.values())
    if request.get("filter"):
        try:
            clauses = parse_filter(request["filter"])
        except ValueError as error:
            raise WrongRequestError(400, str(error)) from error
        index.demand([name for name, _ in clauses], "filterable")
        rows = [row for row in rows if all(holds(row) for _, holds in clauses)]
    near = [_near(index, query, rows) for query in request.get("vectorQueries") or []]
    said = request.get("search")
    rankings = near if near and not said else [_by_words(index, request, (said or "*").strip(), rows), *near]
    found = rankings[0] if len(rankings) == 1 else fused(rankings, index.key)
    for order in reversed(_names(request.get("orderby"))):
        name, _, direction = order.partition(" ")
        index.demand([name], "sortable")
        found.sort(key=lambda pair, name=name: pair[1][name], reverse=direction == "desc")  # type: ignore[misc]
    return found


def _near(index: Index, query: dict[str, Any], rows: list[Row]) -> Ranked:
    if query.get("kind") != "vector" or not query.get("vector") or query.get("k", 0) < 1:
        raise WrongRequestError(400, "A vector query has kind vector, a vector and k.")
    [field] = _names(query.get("fields"))
    return nearest(query["vector"], rows, index.vector_field(field, query["vector"]), query["k"])


def _by_words(index: Index, request: dict[str, Any], text: str, rows: list[Row]) -> Ranked:
    if text == "*":
        return [(1.0, row) for row in rows]
    searchable = [name for name, field in index.fields.items() if field.get("searchable") and field["type"] != VECTOR]
    fields = _names(request.get("searchFields")) or searchable
    index.demand(fields, "searchable")
    query = SimpleQuery(analyze(text)) if request.get("queryType") == "semantic" else parse_simple(text)
    # The service counts words over the whole index, and only then leaves out what the filter does.
    left = {row[index.key] for row in rows}
    return [pair for pair in rank(query, list(index.rows.values()), fields) if pair[1][index.key] in left]


def _write(index: Index, exchange: Exchange) -> tuple[int, Any]:
    actions = exchange.body["value"]
    if int(exchange.headers.get("content-length", 0)) > 16_000_000:
        raise WrongRequestError(413, "The request is too large.")
    if not 1 <= len(actions) <= MAX_ACTIONS:
        raise WrongRequestError(400, f"A batch holds 1 to {MAX_ACTIONS} actions.")
    for action in actions:
        unknown = action.keys() - index.fields.keys() - {"@search.action"}
        if unknown:
            raise WrongRequestError(400, f"The property '{min(unknown)}' does not exist.")
        if not _KEY.fullmatch(str(action.get(index.key))):
            raise WrongRequestError(400, f"Invalid document key: '{action.get(index.key)}'.")
        for name, value in action.items():
            if index.fields.get(name, {}).get("type") == VECTOR and value is not None:
                index.vector_field(name, value)
    results = [_apply(index, dict(action)) for action in actions]
    return 200 if all(result["status"] for result in results) else 207, {"value": results}


def _apply(index: Index, action: Row) -> dict[str, Any]:
    kind, key = action.pop("@search.action", "upload"), action[index.key]
    known = key in index.rows
    if kind == "delete":
        index.rows.pop(key, None)
    elif kind == "merge" and not known:
        return {"key": key, "status": False, "errorMessage": "Document not found.", "statusCode": 404}
    else:
        index.rows[key] = {**(index.rows.get(key, {}) if kind != "upload" else {}), **action}
    return {"key": key, "status": True, "errorMessage": None, "statusCode": 200 if known or kind == "delete" else 201}


def _refused(actions: list[Row], rows: int) -> list[dict[str, Any]]:
    return [
        {
            "key": action["id"],
            "status": number >= rows,
            "errorMessage": None,
            "statusCode": 503 if number < rows else 200,
        }
        for number, action in enumerate(actions)
    ]


def _names(listed: str | None) -> list[str]:
    return [name.strip() for name in (listed or "").split(",") if name.strip()]


def _error(message: str, code: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
