"""OpenAPI 3 descriptions read as plain text: one section for each operation, one for each object that responses carry,
and one about the whole. References within the document are followed; others are named as they are."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import yaml

from domain.markdown import Section

Node = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
DEEPEST = 4
"""How far alternatives inside alternatives are followed: a schema may contain itself."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_api(text: str) -> Node | None:
    """The OpenAPI 3 document in a JSON or YAML text, or None when it holds something else. Raises ValueError when it
    is neither JSON nor YAML."""
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _LOADER)  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    is_api = isinstance(found, dict) and str(found.get("openapi", "")).startswith("3")
    return found if is_api else None


def api_title(api: Node) -> str | None:
    title = _map(api.get("info")).get("title")
    return str(title) if title else None


def api_url(api: Node) -> str | None:
    """Where people read about the API, else where it is served."""
    servers = api.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = _map(api.get("externalDocs")).get("url") or _map(first).get("url")
    return str(url) if url else None


def api_sections(text: str) -> list[Section]:
    """The sections of an OpenAPI document. Raises ValueError when it is none."""
    api = load_api(text)
    if api is None:
        raise ValueError("this is not an OpenAPI 3 document")
    return list(_Reader(api).sections())


def _map(value: object) -> Node:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """A description on one line, closed like a sentence."""
    line = " ".join(str(value or "").split())
    return line if not line or line[-1] in ".!?:;" else f"{line}."


def _told(name: str, node: Node) -> str:
    """`name: description`, or the name alone."""
    return f"{name}: {_text(node.get('description'))}".rstrip(" :")


class _Reader:
    def __init__(self, api: Node) -> None:
        self._api = api
        self._components = _map(api.get("components"))
        self._schemas = _map(self._components.get("schemas"))
        self._carried: set[str] = set()  # the components that a response carries

    def sections(self) -> Iterator[Section]:
        yield from self._overview()
        for kind in ("paths", "webhooks"):
            for path, item in _map(self._api.get(kind)).items():
                item = self._resolved(item)
                for method in METHODS:
                    if operation := _map(item.get(method)):
                        yield self._operation(method, str(path), item, operation)
        for name in self._schemas:
            if name in self._carried and (lines := self._object(name)):
                yield Section(("Objects", f"The {name} object"), None, ("\n".join(lines),))

    # ------------------------------------------------------------ the whole

    def _overview(self) -> Iterator[Section]:
        info = _map(self._api.get("info"))
        lines = [_text(info.get("summary")), _text(info.get("description"))]
        if version := info.get("version"):
            lines.append(f"The version of this API is {version}.")
        lines += [_told(f"Server {server.get('url')}", server) for server in map(_map, self._api.get("servers") or ())]
        lines += [_told(str(tag.get("name")), tag) for tag in map(_map, self._api.get("tags") or ())]
        if blocks := tuple(line for line in lines if line):
            yield Section((), None, blocks)
        schemes = _map(self._components.get("securitySchemes"))
        if blocks := tuple("\n".join(self._scheme(str(name), _map(scheme))) for name, scheme in schemes.items()):
            yield Section(("Security",), None, blocks)
        shared = _map(self._components.get("responses"))
        if lines := [_told(f"Response {name}", self._resolved(response)) for name, response in shared.items()]:
            yield Section(("Responses that operations share",), None, ("\n".join(lines),))

    def _scheme(self, name: str, scheme: Node) -> Iterator[str]:
        kind = " ".join(str(scheme[key]) for key in ("type", "scheme", "in", "name") if scheme.get(key))
        yield _told(f"{name} ({kind})", scheme)
        for grant, flow in _map(scheme.get("flows")).items():
            for key in ("authorizationUrl", "tokenUrl", "refreshUrl"):
                if url := _map(flow).get(key):
                    yield f"{name} {grant} {key}: {url}"
            for scope, meaning in _map(_map(flow).get("scopes")).items():
                yield f"Scope {scope}: {_text(meaning)}"

    # ------------------------------------------------------------ operations

    def _operation(self, method: str, path: str, item: Node, operation: Node) -> Section:
        call = f"{method.upper()} {path}"
        summary = str(operation.get("summary") or operation.get("operationId") or call)
        about = [f"{call} — {_text(summary)}", _text(operation.get("description") or item.get("description"))]
        if operation.get("deprecated"):
            about.append(f"{call} is deprecated.")
        if scopes := self._scopes(operation):
            about.append(f"Security: {scopes}.")
        blocks = [about, self._parameters(item, operation), self._body(operation), self._responses(operation)]
        tags = operation.get("tags") or ()
        url = _map(operation.get("externalDocs")).get("url")
        return Section(
            (*(str(tag) for tag in tags[:1]), summary if summary == call else f"{summary} ({call})"),
            None,
            tuple("\n".join(line for line in lines if line) for lines in blocks if any(lines)),
            url=str(url) if url else None,
        )

    def _scopes(self, operation: Node) -> str:
        """The ways to authenticate, each with its scopes: `secretKey; or oauth2 with the scope returns:write`."""
        ways: list[str] = []
        for requirement in operation.get("security", self._api.get("security")) or ():
            needs = [
                f"{name} with the scope{'s' if len(scopes) > 1 else ''} {', '.join(map(str, scopes))}"
                if scopes
                else name
                for name, scopes in _map(requirement).items()
            ]
            ways.append(" and ".join(needs) or "none")
        return "; or ".join(ways)

    def _parameters(self, item: Node, operation: Node) -> list[str]:
        lines: list[str] = []
        for found in (*(item.get("parameters") or ()), *(operation.get("parameters") or ())):
            parameter = self._resolved(found)
            place = " ".join(filter(None, [str(parameter.get("in", "")), "parameter"]))
            lines.append(self._property(str(parameter.get("name")), parameter, place, bool(parameter.get("required"))))
        return lines

    def _body(self, operation: Node) -> list[str]:
        body = self._resolved(operation.get("requestBody"))
        if not body:
            return []
        content = _map(body.get("content"))
        required = "required" if body.get("required") else "optional"
        lines = [
            f"Request body ({', '.join([required, *map(str, content)])}): {_text(body.get('description'))}".rstrip(" :")
        ]
        for media in content.values():
            lines += self._properties(_map(media).get("schema"))
        return list(dict.fromkeys(lines))

    def _responses(self, operation: Node) -> list[str]:
        """A line for each response of its own, and one that names those it shares with other operations."""
        lines: list[str] = []
        shared: list[str] = []
        for status, found in _map(operation.get("responses")).items():
            if name := self._name(found):
                shared.append(f"{status} {name}")
                continue
            carries = {self._name(_map(media).get("schema")) for media in _map(_map(found).get("content")).values()}
            carries -= {"", "Error"}
            self._carried |= carries
            body = f" Body: {', '.join(sorted(carries))}." if carries else ""
            lines.append(_told(f"Response {status}", _map(found)) + body)
        return [*lines, f"Shared responses: {', '.join(shared)}."] if shared else lines

    # ------------------------------------------------------------ schemas

    def _object(self, name: str) -> list[str]:
        about = _text(self._resolved(self._schemas[name]).get("description"))
        return [line for line in (about, *self._properties(self._schemas[name])) if line]

    def _properties(self, schema: object, prefix: str = "", depth: int = 0) -> list[str]:
        """A line for each property, and for those of objects and lists inside, up to two levels down."""
        lines: list[str] = []
        resolved = self._whole(schema)
        required = resolved.get("required") or ()
        for name, found in _map(resolved.get("properties")).items():
            lines.append(self._property(f"{prefix}{name}", _map(found), "", name in required))
            inner = self._whole(found)
            named = self._name(found) in self._schemas and depth > 0
            if depth < 2 and not named:
                lines += self._properties(inner.get("items", inner), f"{prefix}{name}.", depth + 1)
        return lines

    def _property(self, name: str, found: Node, place: str, required: bool) -> str:
        """`limit (query parameter, integer, default 25, at most 100): How many …`"""
        schema = self._whole(found.get("schema", found))
        facts = [place, "required" if required else "", self._kind(schema)]
        facts += [f"one of {', '.join(map(str, schema['enum']))}"] if schema.get("enum") else []
        for key, words in (("default", "default"), ("minimum", "at least"), ("maximum", "at most")):
            facts += [f"{words} {schema[key]}"] if key in schema else []
        facts += [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
        told = _text(found.get("description") or schema.get("description"))
        known = ", ".join(filter(None, facts))
        return f"{name} ({known}): {told}".rstrip(" :") if known else f"{name}: {told}".rstrip(" :")

    def _kind(self, schema: Node) -> str:
        kind = schema.get("type")
        words = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "")
        return " ".join(filter(None, [words, str(schema.get("format") or "")]))

    def _name(self, schema: object) -> str:
        """The name of the component that a schema refers to, itself or as a list's items."""
        found = _map(schema)
        reference = str(found.get("$ref") or _map(found.get("items")).get("$ref") or "")
        return reference.rpartition("/")[2]

    def _whole(self, schema: object, depth: int = 0) -> Node:
        """A schema with its references followed, `allOf` merged, and the alternative that is not null chosen."""
        found = dict(self._resolved(schema))
        if depth > DEEPEST:
            return found
        for part in map(partial(self._whole, depth=depth + 1), found.pop("allOf", ())):
            properties = {**_map(part.get("properties")), **_map(found.get("properties"))}
            required = [*(found.get("required") or ()), *(part.get("required") or ())]
            found = {**part, **found, "properties": properties, "required": required}
        for key in ("anyOf", "oneOf"):
            options = [self._whole(option, depth + 1) for option in found.get(key) or ()]
            options = [option for option in options if option.get("type") != "null"]
            if options:
                found = {**options[0], **found}
        return found

    def _resolved(self, value: object) -> Node:
        """Follows `$ref` within the document (RFC 6901 pointers); a description beside it wins. A reference that leads
        outside, nowhere or in a circle is left as it is."""
        found, seen = _map(value), set[str]()
        while (reference := found.get("$ref")) and str(reference).startswith("#/") and reference not in seen:
            seen.add(str(reference))
            target: object = self._api
            for step in str(reference)[2:].split("/"):
                target = _map(target).get(step.replace("~1", "/").replace("~0", "~"))
            if not isinstance(target, Mapping):
                break
            found = {**target, **{key: kept for key, kept in found.items() if key in ("description", "summary")}}
        return found
