"""Microsoft Entra ID in place of keys: the identity of this machine, pod or person, as azure-identity finds it.

Its DefaultAzureCredential looks, in this order, for a service principal (AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or
certificate), a workload identity, a managed identity, and whoever is signed in with the Azure CLI or another tool of a
developer. It reads those variables from the environment itself, not from `.env`; AZURE_TOKEN_CREDENTIALS narrows the
choice. Needs the extra `entra`. The library keeps tokens in memory and asks for new ones before they run out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import AzureError, ClientAuthenticationError

OPENAI = "https://cognitiveservices.azure.com/.default"
"""What a token for Azure OpenAI is for. The search SDK knows its own scope."""


class NoTokenError(ClientAuthenticationError):
    """There is no identity here, or Entra ID gives it no token: nothing of ours has been sent to the service yet."""


class Identity:
    """A token credential of azure-core, for one event loop; end it with `close`. Raises ValueError when azure-identity is
    not installed, or when the environment describes an identity by halves."""

    def __init__(self) -> None:
        try:
            from azure.identity.aio import DefaultAzureCredential
        except ImportError as error:
            raise ValueError(
                "AZURE_CREDENTIAL=entra needs azure-identity: run `make entra`, or pip install 'answerdesk[entra]'"
            ) from error
        self._credential = DefaultAzureCredential()
        # The search has a client for each agent, and they ask together; the library asks for each of them anew.
        self._asking = asyncio.Lock()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Raises NoTokenError."""
        try:
            async with self._asking:
                return await self._credential.get_token(*scopes, **options)
        except AzureError as error:
            raise NoTokenError("Microsoft Entra ID gave no token.") from error

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Raises NoTokenError."""
        try:
            async with self._asking:
                return await self._credential.get_token_info(*scopes, options=options)
        except AzureError as error:
            raise NoTokenError("Microsoft Entra ID gave no token.") from error

    def bearer(self, scope: str) -> Callable[[], Awaitable[str]]:
        """A coroutine function that gives a token that is good now: the one in hand, or a new one that all callers of
        that moment wait for. Raises NoTokenError when it is called."""
        from azure.identity.aio import get_bearer_token_provider

        return get_bearer_token_provider(self, scope)

    async def close(self) -> None:
        await self._credential.close()

    async def __aenter__(self) -> "Identity":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
