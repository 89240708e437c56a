"""Answer models and embedding models on Azure OpenAI, on its dated api-versions and on the undated v1 API.

A dated version (2024-10-21, 2025-03-01-preview) is asked at /openai/deployments/{deployment}/chat/completions with
?api-version=; `v1` and `preview` at /openai/v1/chat/completions, with the deployment as the model's name.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import openai
from pydantic import SecretStr

from providers.direct_answers import DirectAnswers, DirectAzureChatOpenAI
from providers.embedding_models import DeployedEmbeddings
from providers.entra import OPENAI, Identity
from providers.openai import completions_model, connection, default_patience, embeddings_connection
from settings import Settings

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_UNDATED = ("v1", "preview", "latest")
_PATH = re.compile(r"(/openai(/v1)?)?/*$")
_USAGE_SINCE = "2024-09"
"""The first month whose api-versions take `stream_options`; older ones refuse the whole request."""


def azure_openai_model(
    settings: Settings, identity: Identity | None = None, *, patience: float | None = None
) -> DirectAnswers:
    """The deployment that the AZURE_OPENAI_* settings name, asked with the key that they give or, when there is one, as
    `identity`, which stays its maker's to close. It belongs to one event loop; end it with
    `providers.openai.close_model`. `patience` as in `openai_model`. Raises ValueError for a missing setting or an api-version of no known form."""
    resource = _resource(settings, identity)
    deployment = settings.azure_openai_deployment
    if deployment is None:
        raise ValueError("AZURE_OPENAI_DEPLOYMENT is not set")
    connected = connection(patience or default_patience(settings), settings.model_retries)
    if not resource.dated:
        credential = resource.bearer or resource.key
        return completions_model(resource.v1, deployment, credential, connected, resource.query)
    return DirectAzureChatOpenAI(
        azure_endpoint=resource.endpoint,
        azure_deployment=deployment,
        api_version=resource.version,
        stream_usage=resource.version[: len(_USAGE_SINCE)] >= _USAGE_SINCE,
        # What is None here would otherwise be read from the environment, which is for settings.py alone to do.
        api_key=None if resource.bearer else resource.key,
        azure_ad_token=None,
        azure_ad_async_token_provider=resource.bearer,
        **connected,
    )


def azure_openai_embeddings(settings: Settings, identity: Identity | None = None) -> DeployedEmbeddings:
    """The deployment that AZURE_OPENAI_EMBEDDING_DEPLOYMENT names, asked like the answer model. Raises ValueError as
    `azure_openai_model`."""
    resource = _resource(settings, identity)
    deployment = settings.azure_openai_embedding_deployment
    if deployment is None:
        raise ValueError("AZURE_OPENAI_EMBEDDING_DEPLOYMENT is not set")
    key, connected = resource.key.get_secret_value(), embeddings_connection(settings.model_retries)
    client: openai.AsyncOpenAI
    if not resource.dated:
        client = openai.AsyncOpenAI(
            base_url=resource.v1, api_key=resource.bearer or key, default_query=resource.query, **connected
        )
    else:
        client = openai.AsyncAzureOpenAI(
            azure_endpoint=resource.endpoint,
            azure_deployment=deployment,
            api_version=resource.version,
            api_key=None if resource.bearer else key,
            azure_ad_token_provider=resource.bearer,
            **connected,
        )
    return DeployedEmbeddings(client, deployment)


@dataclass(frozen=True, slots=True)
class _Resource:
    """Where a resource is, in which form of the API, and how it is asked: with `bearer` where there is one."""

    endpoint: str
    version: str
    key: SecretStr
    bearer: Callable[[], Awaitable[str]] | None

    @property
    def dated(self) -> bool:
        return self.version not in _UNDATED

    @property
    def v1(self) -> str:
        return f"{self.endpoint}/openai/v1/"

    @property
    def query(self) -> dict[str, str] | None:
        """What goes with every request of the undated API."""
        return None if self.version == "v1" else {"api-version": self.version}


def _resource(settings: Settings, identity: Identity | None) -> _Resource:
    endpoint, version = settings.azure_openai_endpoint, settings.azure_openai_api_version
    key = settings.azure_openai_api_key
    if endpoint is None or version is None or (key is None and identity is None):
        raise ValueError("Azure OpenAI is not configured")
    # Azure's portal shows the address in each of these forms.
    endpoint, version = _PATH.sub("", endpoint), version.strip().lower()
    if version not in _UNDATED and not _DATED.fullmatch(version):
        raise ValueError(f"AZURE_OPENAI_API_VERSION={version} is neither a date such as 2024-10-21 nor v1")
    return _Resource(endpoint, version, key or SecretStr(""), identity.bearer(OPENAI) if identity else None)
