"""A stand-in for what gives an identity its tokens: the managed identity endpoint of Azure App Service (2019-08-01).

with EntraStandIn() as entra, AzureSearchStandIn(entra=entra) as search:
    …                                                # with entra.environment() in the environment
    entra.assigned = False                           # the identity has no role any more
"""

import secrets
import time

from tests.standins.loopback import Exchange, LoopbackServer, Reply

OPENAI, SEARCH = "https://cognitiveservices.azure.com", "https://search.azure.com"
"""What a token is for."""


class EntraStandIn(LoopbackServer):
    """`lifetime` is how long a token is good, in seconds; with 0 it is asked for anew each time, and let in all the same."""

    def __init__(self, lifetime: int = 86_400) -> None:
        super().__init__()
        self.lifetime = lifetime
        self.assigned = True
        """Whether the identity has the roles that the services ask for."""
        self.knows_it = True
        """Whether there is an identity at all."""
        self._secret = secrets.token_hex(16)
        self._given: dict[str, list[str]] = {}

    def environment(self) -> dict[str, str]:
        """What azure-identity finds in an app's environment, and no more: it looks nowhere else."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}/msi/token",
            "IDENTITY_HEADER": self._secret,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def given(self, resource: str) -> list[str]:
        """The tokens that were given for it, the oldest first."""
        return list(self._given.get(resource, []))

    def lets_in(self, exchange: Exchange, resource: str) -> bool:
        """Whether a request shows a token for the resource that is good; the newest is, however short its lifetime."""
        tokens = self.given(resource)
        good = tokens if self.lifetime else tokens[-1:]
        return exchange.headers.get("authorization") in [f"Bearer {token}" for token in good]

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        resource = exchange.query.get("resource", "")
        asked = (exchange.method, exchange.path, exchange.query.get("api-version"))
        if asked != ("GET", "/msi/token", "2019-08-01") or exchange.headers.get("x-identity-header") != self._secret:
            return await reply.json(401, {"statusCode": 401, "message": "Unauthorized"})
        if not self.knows_it or resource not in (OPENAI, SEARCH):
            return await reply.json(
                400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity"}
            )
        token = secrets.token_hex(32)
        self._given.setdefault(resource, []).append(token)
        expires_on = str(int(time.time()) + self.lifetime)
        body = {"access_token": token, "expires_on": expires_on, "resource": resource, "token_type": "Bearer"}
        return await reply.json(200, body)
