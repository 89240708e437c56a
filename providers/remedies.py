"""What to mend when a service fails: sentences for whoever runs the desk, which name the variables to look at."""

from collections.abc import Mapping

from domain.troubles import Trouble
from settings import Settings

ANY = {
    Trouble.UNREACHABLE: "Check the address, and that the network lets this machine reach it.",
    Trouble.SILENT: "It gave no whole answer in time. Ask its operator; a proxy between may hold it up.",
    Trouble.ANONYMOUS: "Microsoft Entra ID knows no identity here, or gives it no token. Give this machine a managed identity, "
    "or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in its environment, or sign in with `az login`.",
    Trouble.UNAUTHORISED: "Check the credentials.",
    Trouble.MISSING: "It does not have what the settings name.",
    Trouble.REFUSED: "It does not take such a request: the address may be another service's.",
    Trouble.BUSY: "It is over its limit just now. Wait, or have its quota raised.",
    Trouble.FAILING: "It answers with failures of its own, or with what cannot be read: look at its status page and its log.",
}
OPENAI_ROLE = (
    "Give this server's identity the role “Cognitive Services OpenAI User” on the resource, and wait some minutes until it "
    "holds. The endpoint must be the resource's own name, not its region's."
)
SEARCH_ROLES = (
    "Allow role-based access on the search service (“Keys”), and give this server's identity “Search Index Data Reader” "
    "there; indexing needs “Search Index Data Contributor” and “Search Service Contributor”. Wait some minutes until they hold."
)
AZURE_OPENAI = {
    Trouble.UNREACHABLE: "Check AZURE_OPEN_API_ENDPOINT, and that the resource's network rules let this machine in.",
    Trouble.UNAUTHORISED: "AZURE_OPENAI_API_KEY is not a key of this resource. Copy one from “Keys and Endpoint”.",
    Trouble.MISSING: "AZURE_OPENAI_DEPLOYMENT names no deployment of this resource, or AZURE_OPENAI_API_VERSION no version "
    "that it knows. The deployment's name is not the model's.",
    Trouble.REFUSED: "The deployment does not take chat completions of this AZURE_OPENAI_API_VERSION: is it a chat model?",
    Trouble.BUSY: "The deployment's tokens or requests a minute are used up: raise its quota, or wait.",
}
OPENAI = {
    Trouble.UNREACHABLE: "Check OPENAI_BASE_URL: nothing answers there.",
    Trouble.UNAUTHORISED: "OPENAI_API_KEY is missing, or not a key of this server.",
    Trouble.MISSING: "OPENAI_MODEL names no model of this server, or OPENAI_BASE_URL is not where its API begins (it often ends in /v1).",
    Trouble.REFUSED: "The server does not take chat completions with OPENAI_MODEL: is it a chat model?",
}
AZURE_SEARCH = {
    Trouble.UNREACHABLE: "Check AZURE_ENDPOINT, and that the service's network rules let this machine in.",
    Trouble.UNAUTHORISED: "AZURE_KEY is not a key of this service, or keys are switched off there. Indexing needs an admin key.",
    Trouble.MISSING: "An agent's index is not there: run `answerdesk ingest`, or check AZURE_SEARCH_INDEX_PREFIX.",
    Trouble.REFUSED: "An index has other fields than this server asks for: run `answerdesk ingest`, as after every change of "
    "AZURE_SEARCH_MODE, AZURE_SEARCH_SEMANTIC or the embedding model. If it stays, choose another AZURE_SEARCH_INDEX_PREFIX.",
    Trouble.BUSY: "The service is over its limit: wait, or add replicas.",
}
RERANKER = {
    Trouble.UNREACHABLE: "Check RERANK_BASE_URL: nothing answers there.",
    Trouble.UNAUTHORISED: "RERANK_API_KEY is missing, or not a key of this server.",
    Trouble.MISSING: "RERANK_MODEL names no model of this server, or RERANK_BASE_URL is not what stands before /rerank.",
}
NO_VECTORS = "The embedding model gave the search no vector: mend that first."
EMBEDDED_SEARCH = {
    Trouble.FAILING: "Nothing is indexed, or the index cannot be read: run `answerdesk ingest`.",
}
REDIS = {
    Trouble.UNREACHABLE: "Check REDIS_URL, and that Redis runs.",
    Trouble.UNAUTHORISED: "The user or the password in REDIS_URL is missing or wrong.",
}


def model_remedies(settings: Settings) -> Mapping[Trouble, str]:
    """Of the answer model that the settings choose."""
    if not settings.azure_openai_deployment:
        return ANY | OPENAI
    return ANY | AZURE_OPENAI | ({Trouble.UNAUTHORISED: OPENAI_ROLE} if settings.uses_entra else {})


def small_remedies(settings: Settings) -> Mapping[Trouble, str]:
    """Of the model that decides."""
    told = dict(model_remedies(settings))
    if settings.decision_format != "auto":
        told[Trouble.REFUSED] += f" Or it does not know DECISION_FORMAT={settings.decision_format}: `auto` finds one."
    if settings.azure_openai_small_deployment:
        return _renamed(told, ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_SMALL_DEPLOYMENT"))
    return _renamed(told, ("OPENAI_MODEL", "OPENAI_SMALL_MODEL")) if settings.openai_small_model else told


def agent_remedies(settings: Settings, agent: str) -> Mapping[Trouble, str]:
    """Of the model that an agent has to itself."""
    return _renamed(
        model_remedies(settings),
        ("AZURE_OPENAI_DEPLOYMENT", f"`deployment` of {agent} in agents.toml"),
        ("OPENAI_MODEL", f"`model` of {agent} in agents.toml"),
    )


def embedding_remedies(settings: Settings) -> Mapping[Trouble, str]:
    """Of the model that makes vectors."""
    by_azure = bool(settings.azure_openai_embedding_deployment)
    told = ANY | (AZURE_OPENAI if by_azure else OPENAI)
    if by_azure and settings.uses_entra:
        told[Trouble.UNAUTHORISED] = OPENAI_ROLE
    return _renamed(
        told,
        ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_EMBEDDING_DEPLOYMENT"),
        ("OPENAI_MODEL", "OPENAI_EMBEDDING_MODEL"),
        ("chat completions", "embeddings"),
        ("a chat model", "an embedding model"),
    )


def fallback_remedies(settings: Settings) -> Mapping[Trouble, str]:
    """Of the deployment that stands in for Azure OpenAI's first."""
    return _renamed(
        model_remedies(settings),
        ("AZURE_OPEN_API_ENDPOINT", "AZURE_OPENAI_FALLBACK_ENDPOINT"),
        ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_FALLBACK_API_KEY"),
        ("AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_FALLBACK_DEPLOYMENT"),
        ("AZURE_OPENAI_API_VERSION", "AZURE_OPENAI_FALLBACK_API_VERSION"),
    )


def _renamed(remedies: Mapping[Trouble, str], *names: tuple[str, str]) -> dict[Trouble, str]:
    told = dict(remedies)
    for trouble, sentence in told.items():
        for first, other in names:
            sentence = sentence.replace(first, other)
        told[trouble] = sentence
    return told
