"""The GraphQL face: the schema of the contract with Strawberry, over HTTP, server-sent events and WebSocket."""
