"""The documents that answers are written from."""

from datetime import date

import strawberry

from domain.knowledge import DocumentText
from graph.context import Info


@strawberry.type(description="A document of an agent's knowledge base, as it is searched now.")
class Document:
    agent: str
    document_id: str
    title: str
    url: str | None
    updated: date | None
    text: str = strawberry.field(
        description="As it is cited: `Source.documentSpans` are ranges of it. Somebody's words: to be shown as they are, "
        "not as Markdown or HTML."
    )

    @classmethod
    def of(cls, document: DocumentText) -> "Document":
        return cls(
            agent=document.agent,
            document_id=document.id,
            title=document.title,
            url=document.url,
            updated=document.updated,
            text=document.text,
        )


@strawberry.type
class LibraryQuery:
    @strawberry.field(
        description="A document that a source names, for reading on. NOT_FOUND when the knowledge base of this agent does "
        "not hold it any more, or not for this viewer."
    )
    async def document(self, info: Info, agent: str, document_id: str) -> Document:
        viewer = await info.context.viewer()
        return Document.of(await info.context.services.library.document(viewer, agent, document_id))
