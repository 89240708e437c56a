"""The only reader of the environment (and of a `.env` file). Every setting is documented in .env.example."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HOUSE = Path(__file__).resolve().parent
MIN_SECRET_BYTES = 32
DEFAULT_PORTS = {"http": 80, "https": 443}


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names, *(name.lower() for name in names))


class Settings(BaseSettings):
    """Names are the environment variables' in lower case. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    # where it listens and keeps things
    host: str = "127.0.0.1"
    port: int = Field(8001, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    shutdown_seconds: float = Field(25, ge=2)
    data_dir: Path = Path("data")
    agents_file: Path = HOUSE / "agents.toml"
    log_level: str = "INFO"
    log_format: str = Field("console", pattern="^(console|json)$")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()

    # persistence
    database_url: SecretStr | None = None
    database_pool_size: int = Field(10, ge=1, le=200)
    redis_url: SecretStr | None = None
    redis_prefix: str = Field("answerdesk", min_length=1)

    # tokens
    jwt_secret_key: SecretStr | None = None
    jwt_encryption_key: SecretStr | None = None
    jwt_algorithm: str = Field("HS256", pattern="^HS(256|384|512)$")
    jwt_access_token_expire_minutes: int = Field(60, ge=1)
    refresh_token_expire_days: int = Field(30, ge=1)

    # how Azure's services know this server: by their keys, or by its identity in Microsoft Entra ID
    azure_credential: str = Field("key", pattern="^(key|entra)$")

    # Azure OpenAI
    azure_openai_api_key: SecretStr | None = None
    azure_openai_deployment: str | None = None
    azure_openai_endpoint: str | None = Field(
        None, validation_alias=_named("AZURE_OPEN_API_ENDPOINT", "AZURE_OPENAI_ENDPOINT")
    )
    azure_openai_api_version: str | None = None
    azure_openai_small_deployment: str | None = None
    azure_openai_fallback_endpoint: str | None = None
    azure_openai_fallback_deployment: str | None = None
    azure_openai_fallback_api_key: SecretStr | None = None
    azure_openai_fallback_api_version: str | None = None
    azure_openai_embedding_deployment: str | None = None

    # any OpenAI-compatible server
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    openai_model: str | None = None
    openai_small_model: str | None = None
    openai_embedding_model: str | None = None

    # either of them: further attempts after a request that failed before its answer began
    model_retries: int = Field(2, ge=0, le=10)
    model_breaker_failures: int = Field(5, ge=1)
    model_breaker_seconds: float = Field(30, gt=0)

    # who decides what is asked of whom
    decisions: str = Field("auto", pattern="^(auto|model|embedded)$")
    decision_seconds: float = Field(5, gt=0)
    decision_format: str = Field("auto", pattern="^(auto|tool|json_schema|text)$")

    # embedded search
    embeddings: str = Field("auto", pattern="^(auto|off)$")

    # who reads passages again before they are shown to the answer model
    rerank_base_url: str | None = None
    rerank_model: str | None = None
    rerank_api_key: SecretStr | None = None
    rerank_seconds: float = Field(2, gt=0)

    # Azure AI Search
    azure_search_endpoint: str | None = Field(None, validation_alias=_named("AZURE_ENDPOINT"))
    azure_search_key: SecretStr | None = Field(None, validation_alias=_named("AZURE_KEY"))
    azure_search_index_prefix: str = "answerdesk"
    azure_search_mode: str = Field("keyword", pattern="^(keyword|vector|hybrid)$")
    azure_search_semantic: bool = False
    search_retries: int = Field(2, ge=0, le=10)

    # turns
    turn_lease_seconds: float = Field(30, ge=2)
    turn_deadline_seconds: float = Field(180, gt=0)
    turn_first_token_seconds: float = Field(60, gt=0)
    turn_silence_seconds: float = Field(30, gt=0)
    turn_log_linger_seconds: float = Field(60, ge=0)
    max_concurrent_turns: int = Field(200, ge=1)
    max_waiting_turns: int = Field(1_000, ge=0)
    max_answer_characters: int = Field(40_000, ge=1_000)
    sse_heartbeat_seconds: float = Field(15, gt=0)
    sse_single_connection: str = Field("auto", pattern="^(auto|on|off)$")
    sse_reservation_seconds: float = Field(30, gt=0)

    # `answerdesk evaluate`
    evaluation_data: Path | None = None
    evaluation_concurrency: int = Field(4, ge=1, le=64)
    evaluation_judge: str = Field("words", pattern="^(words|model)$")

    # limits, each as "N/period" in the notation of the limits library, such as "10/minute"
    rate_limit_login: str = "60/minute"
    rate_limit_register: str = "120/minute"
    rate_limit_send: str = "120/minute"
    max_request_bytes: int = Field(262_144, ge=16_384)
    socket_init_seconds: float = Field(5, gt=0)
    max_operations_per_socket: int = Field(100, ge=1)
    max_streams_per_user: int = Field(500, ge=1)
    max_streams_per_address: int = Field(2_000, ge=1)
    max_sockets_per_address: int = Field(2_000, ge=1)

    # what one GraphQL operation may ask for
    graphql_max_tokens: int = Field(1_500, ge=100)
    graphql_max_depth: int = Field(20, ge=1)
    graphql_max_aliases: int = Field(200, ge=0)
    graphql_max_root_fields: int = Field(20, ge=1)
    graphql_max_directives: int = Field(100, ge=0)
    graphql_max_cost: int = Field(100_000, ge=1)
    graphql_introspection: str = Field("auto", pattern="^(auto|on|off)$")
    trusted_documents: Path | None = None
    trusted_documents_only: bool = False
    playground: str = Field("auto", pattern="^(auto|on|off)$")
    playground_dir: Path = HOUSE / "web" / "dist"

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_send_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(part) for part in value)

    @field_validator("jwt_secret_key", "jwt_encryption_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"a secret must have at least {MIN_SECRET_BYTES} bytes")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("REDIS_URL must begin with redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _nothing_by_halves(self) -> "Settings":
        """Half-configured services are named, never silently replaced."""
        by_key = not self.uses_entra
        _all_or_none(
            "Azure OpenAI",
            **({"AZURE_OPENAI_API_KEY": self.azure_openai_api_key} if by_key else {}),
            AZURE_OPENAI_DEPLOYMENT=self.azure_openai_deployment,
            AZURE_OPEN_API_ENDPOINT=self.azure_openai_endpoint,
            AZURE_OPENAI_API_VERSION=self.azure_openai_api_version,
        )
        if by_key:
            _all_or_none("Azure AI Search", AZURE_ENDPOINT=self.azure_search_endpoint, AZURE_KEY=self.azure_search_key)
        else:
            _encrypted(
                AZURE_OPEN_API_ENDPOINT=self.azure_openai_endpoint,
                AZURE_OPENAI_FALLBACK_ENDPOINT=self.azure_openai_fallback_endpoint,
                AZURE_ENDPOINT=self.azure_search_endpoint,
            )
        self._search_by_halves()
        self._no_fallback_by_halves()
        if (self.openai_base_url or self.openai_api_key) and not self.openai_model:
            raise ValueError("the OpenAI-compatible server is half configured: OPENAI_MODEL is missing")
        if self.openai_model and not (self.openai_base_url or self.openai_api_key):
            raise ValueError(
                "the OpenAI-compatible server is half configured: OPENAI_BASE_URL or OPENAI_API_KEY is missing"
            )
        if self.azure_openai_small_deployment and not self.azure_openai_deployment:
            raise ValueError("AZURE_OPENAI_SMALL_DEPLOYMENT needs AZURE_OPENAI_DEPLOYMENT, which writes the answers")
        if self.openai_small_model and not self.openai_model:
            raise ValueError("OPENAI_SMALL_MODEL needs OPENAI_MODEL, which writes the answers")
        if self.decisions == "model" and not (self.azure_openai_deployment or self.openai_model):
            raise ValueError("DECISIONS=model needs a language model: none is configured")
        if self.trusted_documents_only and self.trusted_documents is None:
            raise ValueError("TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS: without them nothing could be asked")
        if self.workers > 1 and self.redis_url is None:
            raise ValueError(
                f"WORKERS={self.workers} cannot run without REDIS_URL: several workers need a turn log that they share, "
                "and without Redis it is kept in one process's memory"
            )
        if self.workers > 1 and self.sse_single_connection == "on":
            raise ValueError(
                f"SSE_SINGLE_CONNECTION=on cannot run with WORKERS={self.workers}: all requests of one stream must reach "
                "the process that reserved it, and workers share one port; run one worker in each of several servers, "
                "behind a balancer that is sticky"
            )
        return self

    def _search_by_halves(self) -> None:
        _all_or_none("Reranking", RERANK_BASE_URL=self.rerank_base_url, RERANK_MODEL=self.rerank_model)
        if (self.uses_vectors or self.azure_search_semantic) and not self.azure_search_endpoint:
            raise ValueError(
                "AZURE_SEARCH_MODE and AZURE_SEARCH_SEMANTIC need AZURE_ENDPOINT: they are Azure AI Search's"
            )
        if self.azure_search_semantic and self.azure_search_mode == "vector":
            raise ValueError(
                "AZURE_SEARCH_SEMANTIC=true needs AZURE_SEARCH_MODE=keyword or hybrid: the ranker reads words"
            )
        if self.azure_openai_embedding_deployment and not self.azure_openai_endpoint:
            raise ValueError("AZURE_OPENAI_EMBEDDING_DEPLOYMENT needs AZURE_OPEN_API_ENDPOINT and what belongs to it")
        if self.openai_embedding_model and not (self.openai_base_url or self.openai_api_key):
            raise ValueError("OPENAI_EMBEDDING_MODEL needs OPENAI_BASE_URL or OPENAI_API_KEY")

    def _no_fallback_by_halves(self) -> None:
        key, version = self.azure_openai_fallback_api_key, self.azure_openai_fallback_api_version
        _all_or_none(
            "Azure OpenAI's fallback",
            **({} if self.uses_entra else {"AZURE_OPENAI_FALLBACK_API_KEY": key}),
            AZURE_OPENAI_FALLBACK_DEPLOYMENT=self.azure_openai_fallback_deployment,
            AZURE_OPENAI_FALLBACK_ENDPOINT=self.azure_openai_fallback_endpoint,
        )
        if version and not self.azure_openai_fallback_deployment:
            raise ValueError("Azure OpenAI's fallback is half configured: AZURE_OPENAI_FALLBACK_DEPLOYMENT is missing")
        if self.azure_openai_fallback_deployment and not self.azure_openai_deployment:
            raise ValueError("AZURE_OPENAI_FALLBACK_DEPLOYMENT needs AZURE_OPENAI_DEPLOYMENT, which it stands in for")

    @property
    def fallback(self) -> "Settings | None":
        """The same with Azure OpenAI's fallback in place of the first deployment; None without one."""
        if self.azure_openai_fallback_deployment is None:
            return None
        return self.model_copy(
            update={
                "azure_openai_api_key": self.azure_openai_fallback_api_key,
                "azure_openai_deployment": self.azure_openai_fallback_deployment,
                "azure_openai_endpoint": self.azure_openai_fallback_endpoint,
                "azure_openai_api_version": self.azure_openai_fallback_api_version or self.azure_openai_api_version,
                "azure_openai_fallback_deployment": None,
            }
        )

    @property
    def allows_introspection(self) -> bool:
        """Whether GraphQL tells its schema: by default where only this machine can ask."""
        if self.graphql_introspection != "auto":
            return self.graphql_introspection == "on"
        return self._is_for_this_machine

    @property
    def serves_playground(self) -> bool:
        """Whether browsers that open /graphql get the playground: by default where only this machine can ask."""
        if self.playground != "auto":
            return self.playground == "on"
        return self._is_for_this_machine

    @property
    def decides_by_model(self) -> bool:
        """By default where a small model was named, which has nothing else to do."""
        if self.decisions != "auto":
            return self.decisions == "model"
        small = self.azure_openai_small_deployment if self.azure_openai_deployment else self.openai_small_model
        return small is not None

    @property
    def for_decisions(self) -> "Settings | None":
        """Those of the model that decides: the small one, if there is one, and asked once, since nothing waits for it
        but the answer. None when the embedded method decides."""
        if not self.decides_by_model:
            return None
        return self.asking(self.azure_openai_small_deployment, self.openai_small_model).model_copy(
            update={"model_retries": 0}
        )

    def asking(self, deployment: str | None, model: str | None) -> "Settings":
        """With another deployment or model, whichever is meant by the services that are configured."""
        if self.azure_openai_deployment:
            return self.model_copy(update={"azure_openai_deployment": deployment or self.azure_openai_deployment})
        if self.openai_model:
            return self.model_copy(update={"openai_model": model or self.openai_model})
        return self

    @property
    def uses_entra(self) -> bool:
        return self.azure_credential == "entra"

    @property
    def uses_vectors(self) -> bool:
        """Whether Azure AI Search is asked by vectors, alone or beside words."""
        return self.azure_search_mode != "keyword"

    @property
    def _is_for_this_machine(self) -> bool:
        return is_loopback(self.host)

    @property
    def reserves_streams(self) -> bool:
        """Whether graphql-sse's single connection mode is on: by default where one process serves alone, since its
        requests have to reach the process that reserved the stream."""
        if self.sse_single_connection != "auto":
            return self.sse_single_connection == "on"
        return self.redis_url is None

    @property
    def database(self) -> str:
        """The database's address; by default an SQLite file in the data folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{(self.data_dir / 'answerdesk.sqlite3').resolve()}"


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(text: str) -> str:
    """`*`, or scheme, host and port as a browser's `Origin` has them (RFC 6454 § 6.2). Raises ValueError."""
    if text == "*":
        return text
    parts = urlsplit(text)
    port = parts.port
    beside = parts.path.removeprefix("/") or parts.query or parts.fragment or parts.username or "*" in text
    if beside or not (parts.scheme and parts.hostname):
        raise ValueError(f"CORS_ORIGINS: {text!r} is no origin; write it like https://app.example or http://host:3000")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, DEFAULT_PORTS.get(parts.scheme)) else "")


def _all_or_none(service: str, **variables: object) -> None:
    missing = [name for name, value in variables.items() if not value]
    if missing and len(missing) < len(variables):
        raise ValueError(f"{service} is half configured: {', '.join(missing)} is missing")


def _encrypted(**endpoints: str | None) -> None:
    """Tokens of Entra ID leave this machine over TLS only: who reads one can use it."""
    for name, endpoint in endpoints.items():
        if endpoint and not endpoint.startswith("https://") and not is_loopback(urlsplit(endpoint).hostname or ""):
            raise ValueError(f"{name} must begin with https:// when AZURE_CREDENTIAL=entra")
