"""The REST face: the routes of /api/v1 over the same domain as GraphQL."""
