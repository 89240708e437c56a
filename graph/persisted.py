"""Persisted documents: what stands in a request for the text of its operation, and which texts a server takes.

After GraphQL over HTTP's appendix on persisted documents (`documentId`) and Apollo's protocol of automatic persisted
queries (`extensions.persistedQuery`): a client sends the hash of a text; where the server does not know it, the client
sends text and hash, and from then on the hash does. Here is the one place where a request of any transport gets its
text. `docs/PROTOCOL.md` has the rules, 0017 the reasons.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, specified_rules

from domain.addresses import address_key
from graph.documents import Documents
from graph.errors import GraphQLCode
from graph.requests import SHA256, Operation
from graph.trusted import by_id, hash_of, read_trusted
from settings import Settings

CAPACITY = 4 * 1_048_576
"""Bytes of the texts that clients registered, in one process."""
LEAST_SIZE = 1_024
"""Bytes that a text counts at least, so that there are at most CAPACITY / LEAST_SIZE of them."""
RULES = tuple(specified_rules)


class PersistedDocuments:
    """Those of one server in one process."""

    def __init__(self, schema: GraphQLSchema, documents: Documents, settings: Settings) -> None:
        """Raises ValueError, which names the file, for a trusted document that could not run."""
        self._schema = schema
        self._documents = documents
        self._only_trusted = settings.trusted_documents_only
        self._trusted: Mapping[str, str] = (
            {} if settings.trusted_documents is None else self._load(settings.trusted_documents)
        )
        self._trusted_texts = frozenset(self._trusted.values())
        self._registered = RegisteredTexts()

    def resolve(self, operation: Operation, address: str) -> Operation:
        """With its text, which may be registered in the name of the address, or with its refusal."""
        key = None if operation.document_id is None else operation.document_id.removeprefix(SHA256)
        if key is not None and not operation.query:
            found = self._trusted.get(key) or self._registered.get(key)
            return replace(operation, query=found) if found else _refused(operation, *self._missing(operation))
        text = operation.query
        if key is not None and key != hash_of(text) and self._trusted.get(key) != text:
            return _refused(operation, "The hash is not that of the text.", GraphQLCode.PERSISTED_QUERY_HASH_MISMATCH)
        if text not in self._trusted_texts:
            if self._only_trusted:
                message = "This server runs trusted documents only, and this is none of them."
                return _refused(operation, message, GraphQLCode.UNTRUSTED_DOCUMENT)
            if key is not None and self._may_run(operation):
                self._registered.put(key, text, address_key(address))
        return operation

    def _missing(self, operation: Operation) -> tuple[str, GraphQLCode]:
        """The messages, word for word, are what clients look for."""
        if self._only_trusted and operation.automatic:
            return "PersistedQueryNotSupported", GraphQLCode.PERSISTED_QUERY_NOT_SUPPORTED
        return "PersistedQueryNotFound", GraphQLCode.PERSISTED_QUERY_NOT_FOUND

    def _may_run(self, operation: Operation) -> bool:
        """The document is read and judged here for the request too, which finds it kept."""
        if self._documents.operation_type(operation.query, operation.name) is None:
            return False
        variables = operation.variables or {}
        return not self._documents.check(self._schema, operation.query, operation.name, variables, RULES)

    def _load(self, path: Path) -> Mapping[str, str]:
        found = read_trusted(path)
        for document in found:
            why = self._flaw(document.text)
            if why is not None:
                raise ValueError(f"TRUSTED_DOCUMENTS: {document.source}: {why}")
        return by_id(found)

    def _flaw(self, text: str) -> str | None:
        """Why one of the operations of a trusted document could not run, without variables; None when all could."""
        node = self._documents.parse(text)
        if isinstance(node, GraphQLError):
            return _located(node)
        operations = [part for part in node.definitions if isinstance(part, OperationDefinitionNode)]
        for operation in operations:
            name = None if operation.name is None else operation.name.value
            errors = self._documents.check(self._schema, text, name, {}, RULES)
            if errors:
                return _located(errors[0])
        return None if operations else "It holds no operation."


class RegisteredTexts:
    """Texts by their hash, CAPACITY bytes of them. When there is no room, whoever registered the most gives way, with
    what was not asked for the longest: so one client that registers without end only replaces its own."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._texts: dict[str, tuple[str, str]] = {}
        """With the owner."""
        self._owned: dict[str, OrderedDict[str, int]] = {}
        """Sizes, least recently used first."""
        self._held: dict[str, int] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: str) -> str | None:
        text, owner = self._texts.get(key, (None, ""))
        if text is not None:
            self._owned[owner].move_to_end(key)
        return text

    def put(self, key: str, text: str, owner: str) -> None:
        if self.get(key) is not None:
            return
        size = max(len(text.encode()), LEAST_SIZE)
        self._texts[key] = (text, owner)
        self._owned.setdefault(owner, OrderedDict())[key] = size
        self._hold(owner, size)
        while self.size > self._capacity:
            self._give_way(max(self._held, key=self._held.__getitem__))

    def _give_way(self, owner: str) -> None:
        key, size = self._owned[owner].popitem(last=False)
        del self._texts[key]
        self._hold(owner, -size)
        if not self._owned[owner]:
            del self._owned[owner], self._held[owner]

    def _hold(self, owner: str, size: int) -> None:
        self._held[owner] = self._held.get(owner, 0) + size
        self.size += size


def _located(error: GraphQLError) -> str:
    where = error.locations[0] if error.locations else None
    return error.message if where is None else f"{error.message} (line {where.line}, column {where.column})"


def _refused(operation: Operation, message: str, code: GraphQLCode) -> Operation:
    return replace(operation, query="", refusal=GraphQLError(message, extensions={"code": code}))
