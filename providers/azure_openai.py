"""Answer models on Azure OpenAI, on its dated api-versions and on the undated v1 API.

A dated version (2024-10-21, 2025-03-01-preview) is asked at /openai/deployments/{deployment}/chat/completions with
?api-version=; `v1` and `preview` at /openai/v1/chat/completions, with the deployment as the model's name.
"""

import re

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from providers.direct_answers import DirectAzureChatOpenAI
from providers.openai import completions_model, connection, default_patience
from settings import Settings

_DATED = re.compile(r"(\d{4}-\d{2})-\d{2}(-preview)?")
_UNDATED = ("v1", "preview", "latest")
_PATH = re.compile(r"(/openai(/v1)?)?/*$")
_USAGE_SINCE = "2024-09"
"""The first month whose api-versions take `stream_options`; older ones refuse the whole request."""


def azure_openai_model(settings: Settings, *, patience: float | None = None) -> BaseChatModel:
    """The deployment that the AZURE_OPENAI_* settings name. It belongs to one event loop; end it with
    `providers.openai.close_model`. `patience` as in `openai_model`. Raises ValueError for a missing setting or an api-version of no known form."""
    endpoint, deployment = settings.azure_openai_endpoint, settings.azure_openai_deployment
    key, version = settings.azure_openai_api_key, settings.azure_openai_api_version
    if endpoint is None or deployment is None or key is None or version is None:
        raise ValueError("Azure OpenAI is not configured")
    patience = patience or default_patience(settings)
    # Azure's portal shows the address in each of these forms.
    endpoint, version = _PATH.sub("", endpoint), version.strip().lower()
    if version in _UNDATED:
        query = None if version == "v1" else {"api-version": version}
        return completions_model(f"{endpoint}/openai/v1/", deployment, key, patience=patience, query=query)
    dated = _DATED.fullmatch(version)
    if dated is None:
        raise ValueError(f"AZURE_OPENAI_API_VERSION={version} is neither a date such as 2024-10-21 nor v1")
    return _dated_model(endpoint, deployment, key, version, patience, usage=dated[1] >= _USAGE_SINCE)


def _dated_model(
    endpoint: str, deployment: str, key: SecretStr, version: str, patience: float, *, usage: bool
) -> BaseChatModel:
    return DirectAzureChatOpenAI(
        azure_endpoint=endpoint,
        azure_deployment=deployment,
        api_version=version,
        api_key=key,
        stream_usage=usage,
        # Otherwise read from the environment, which is for settings.py alone to do.
        azure_ad_token=None,
        **connection(patience),
    )
