"""Access tokens and refresh tokens.

An access token is a signed JWT (RFC 7519) inside a compact JWE (RFC 7516, `dir` with A256GCM), so its content is
neither forged nor read outside. A refresh token is 32 random bytes; only its digest is kept.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from secrets import token_urlsafe
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.jwk import OctKey

from domain.errors import Unauthenticated
from domain.model import User

ISSUER = "answerdesk"
MAX_TOKEN_LENGTH = 8_192
REMEMBERED = 1_000
"""Good tokens whose claims are kept in memory: clients send the same one with every request, and to open one takes a
millisecond. Whether its login goes on is asked each time."""
ENCRYPTION = {"alg": "dir", "enc": "A256GCM", "cty": "JWT"}
KEY_BYTES = 32
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_REQUIRED = ["exp", "iat", "jti", "sub", "sid", "iss", "aud", "name"]
_REFRESH_BYTES = 32
_REFRESH_LENGTH = 43
"""Characters of 32 bytes in base64url without padding."""


@dataclass(frozen=True, slots=True)
class TokenSecrets:
    """Two secrets of any length from 32 bytes. Each becomes a key of its own."""

    signing: bytes = field(repr=False)
    encryption: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says. Only `Tokens.verify` makes one."""

    user_id: int
    username: str
    login_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """Issues and verifies access tokens. `algorithm` is HS256, HS384 or HS512, and the only one that is accepted.
    `clock` dates the tokens that are issued; expiry is always judged by the real time."""

    def __init__(
        self,
        secrets: TokenSecrets,
        algorithm: str = "HS256",
        lifetime_minutes: int = 60,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        # RFC 7518 §3.2: an HMAC key is at least as long as the hash, hence 32 bytes for HS256 and more for the others.
        self._signing_key = _derive(secrets.signing, b"answerdesk access token: signature", _HASH_BYTES[algorithm])
        self._encryption_key = OctKey.import_key(
            _derive(secrets.encryption, b"answerdesk access token: encryption", KEY_BYTES)
        )
        self._jwe = jwe.JWERegistry(algorithms=[ENCRYPTION["alg"], ENCRYPTION["enc"]])
        self._algorithm = algorithm
        self._clock = clock
        self._read = lru_cache(REMEMBERED)(self._claims)
        self.lifetime = timedelta(minutes=lifetime_minutes)

    def issue(self, user: User, login_id: str) -> str:
        """A new access token of that login, which expires after `lifetime`."""
        issued_at = self._clock()
        claims = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": str(user.id),
            "name": user.username,
            "sid": login_id,
            "jti": uuid4().hex,
            "iat": issued_at,
            "exp": issued_at + self.lifetime,
        }
        signed = jwt.encode(claims, self._signing_key, self._algorithm)
        return jwe.encrypt_compact(ENCRYPTION, signed, self._encryption_key, registry=self._jwe)

    def verify(self, token: str) -> Claims:
        """Raises Unauthenticated, and says no more, for whatever is not a good token of ours: malformed, tampered
        with, made with other keys or algorithms, or expired."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated
        try:
            claims = self._read(token)
        except Exception as error:
            # Two libraries parse what a stranger wrote. Their own errors are the usual outcome, but whatever else it
            # provokes in them (recursion, overflow, a type) must give the same answer.
            raise Unauthenticated from error
        if claims.expires_at <= _now():  # it was remembered from before
            raise Unauthenticated
        return claims

    def _claims(self, token: str) -> Claims:
        signed = jwe.decrypt_compact(token, self._encryption_key, registry=self._jwe).plaintext
        claims = jwt.decode(
            signed or b"",
            self._signing_key,
            algorithms=[self._algorithm],
            issuer=ISSUER,
            audience=ISSUER,
            # `iat` only informs: refusing one in the future would refuse a fresh token on a host whose clock is behind.
            options={"require": _REQUIRED, "verify_iat": False},
        )
        return Claims(
            user_id=int(claims["sub"]),
            username=str(claims["name"]),
            login_id=str(claims["sid"]),
            token_id=str(claims["jti"]),
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )


def new_login_id() -> str:
    return uuid4().hex


def new_refresh_token() -> str:
    return token_urlsafe(_REFRESH_BYTES)


def refresh_digest(refresh_token: str) -> str:
    """What is kept of a refresh token: its SHA-256 in hex. It has 256 random bits, so a slow hash would add nothing.
    Raises Unauthenticated for a text that cannot be one."""
    if len(refresh_token) != _REFRESH_LENGTH or not refresh_token.isascii():
        raise Unauthenticated("The refresh token is not valid any more. Sign in again.")
    return hashlib.sha256(refresh_token.encode("ascii")).hexdigest()


def _derive(secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869). `info` keeps the keys apart even when both secrets are the same."""
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret)
