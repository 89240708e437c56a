"""What the documentation of each library leads to: AzureChatOpenAI in a LangGraph graph, streamed with
`stream_mode="messages"` through a Strawberry subscription over WebSocket. No accounts, no search, nothing is stored.

UPSTREAM_URL=http://127.0.0.1:9100 uvicorn bench.textbook:app
"""

import os
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from langchain_core.messages import HumanMessage
from langchain_openai import AzureChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL

model = AzureChatOpenAI(
    azure_deployment="gpt-4o",
    azure_endpoint=os.environ["UPSTREAM_URL"],
    api_version="2024-10-21",
    api_key="none",
    stream_usage=True,
)


async def answer(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("answer", answer)
graph.add_edge(START, "answer")
graph.add_edge("answer", END)
compiled = graph.compile()


@strawberry.type
class Token:
    seq: int
    text: str


@strawberry.type
class Query:
    ready: bool = True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ask(self, text: str) -> AsyncGenerator[Token, None]:
        seq = 0
        async for chunk, _ in compiled.astream({"messages": [HumanMessage(text)]}, stream_mode="messages"):
            if text := getattr(chunk, "text", ""):
                seq += 1
                yield Token(seq=seq, text=str(text))


view = GraphQL[None, None](strawberry.Schema(Query, subscription=Subscription))
app = Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)])
