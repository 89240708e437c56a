"""The LangGraph workflow that answers a turn. LangGraph and langchain-core are used here, and only here in the domain."""
