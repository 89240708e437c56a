"""Access tokens: ours come back as claims; whatever else is written in the field is Unauthenticated and nothing more."""

import base64
import json
import time
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey

from domain.errors import Unauthenticated
from domain.model import User
from domain.tokens import Claims, Tokens, TokenSecrets, new_login_id, new_refresh_token, refresh_digest

SIGNING = b"the documented key has 36 characters"
ENCRYPTION = b"and this other one is not the same.."
USER = User(7, "maría", "maria@desk.test", datetime(2026, 1, 1, tzinfo=UTC))
SECRETS = TokenSecrets(SIGNING, ENCRYPTION)
TOKENS = Tokens(SECRETS)
GOOD = TOKENS.issue(USER, "login-1")


def key(secret: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret)


SIGNING_KEY = key(SIGNING, b"answerdesk access token: signature")
ENCRYPTION_KEY = OctKey.import_key(key(ENCRYPTION, b"answerdesk access token: encryption"))


def claims(**changed: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    good = {"iss": "answerdesk", "aud": "answerdesk", "sub": "7", "name": "maría", "sid": "login-1", "jti": "t"}
    return {k: v for k, v in {**good, "iat": now, "exp": now + timedelta(hours=1), **changed}.items() if v is not None}


def signed(content: dict[str, Any], algorithm: str = "HS256", secret: Any = SIGNING_KEY) -> str:
    return jwt.encode(content, secret, algorithm)


def encrypted(content: str | bytes, header: dict[str, Any] | None = None, secret: OctKey = ENCRYPTION_KEY) -> str:
    header = {"alg": "dir", "enc": "A256GCM"} if header is None else header
    registry = jwe.JWERegistry(algorithms=["dir", "A256KW", "A256GCM", "A128CBC-HS256", "DEF"])
    return jwe.encrypt_compact(header, content, secret, registry=registry)


def segment(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def refused(token: str, tokens: Tokens = TOKENS) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token)
    assert caught.value.message == Unauthenticated.default_message
    assert caught.value.details == {}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_what_was_issued_comes_back(algorithm: str) -> None:
    tokens = Tokens(SECRETS, algorithm, 5)
    before = datetime.now(UTC).replace(microsecond=0)
    found = tokens.verify(tokens.issue(USER, "login-1"))
    assert (found.user_id, found.username, found.login_id) == (7, "maría", "login-1")
    assert before <= found.issued_at <= datetime.now(UTC)
    assert found.expires_at - found.issued_at == timedelta(minutes=5)


def test_no_two_tokens_are_the_same() -> None:
    one, two = (TOKENS.verify(TOKENS.issue(USER, "login-1")) for _ in range(2))
    assert one.token_id != two.token_id


def test_the_content_cannot_be_read_outside() -> None:
    header, encrypted_key, *_ = GOOD.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "dir", "enc": "A256GCM", "cty": "JWT"}
    assert encrypted_key == ""
    with pytest.raises(jwt.PyJWTError):
        jwt.decode(GOOD, options={"verify_signature": False})


def test_a_token_made_by_the_documented_construction_is_good() -> None:
    """The negative tests below differ from this one in one thing each."""
    assert isinstance(TOKENS.verify(encrypted(signed(claims()))), Claims)


@pytest.mark.parametrize("name", ["exp", "iat", "jti", "sub", "sid", "iss", "aud", "name"])
def test_every_claim_is_required(name: str) -> None:
    refused(encrypted(signed(claims(**{name: None}))))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": datetime.now(UTC) - timedelta(seconds=2)},
        {"exp": 10**30},
        {"exp": "soon"},
        {"iat": "then"},
        {"nbf": datetime.now(UTC) + timedelta(hours=1)},
        {"sub": "root"},
        {"sub": 7},
        {"jti": 5},
        {"iss": "somebody"},
        {"aud": "somebody"},
    ],
)
def test_claims_that_do_not_hold(changed: dict[str, Any]) -> None:
    content = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in claims(**changed).items()}
    content_json = json.dumps(content).encode()
    refused(encrypted(jwt.PyJWS().encode(content_json, SIGNING_KEY, "HS256")))


def test_expiry_is_judged_by_the_real_time() -> None:
    two_hours_ago = Tokens(SECRETS, clock=lambda: datetime.now(UTC) - timedelta(hours=2))
    refused(two_hours_ago.issue(USER, "login-1"))
    ahead = Tokens(SECRETS, clock=lambda: datetime.now(UTC) + timedelta(seconds=30))
    assert TOKENS.verify(ahead.issue(USER, "login-1")).user_id == 7, "another host's clock may be ahead"


def test_a_token_that_was_good_is_refused_once_it_has_expired() -> None:
    tokens = Tokens(SECRETS, lifetime_minutes=1, clock=lambda: datetime.now(UTC) - timedelta(seconds=58))
    token = tokens.issue(USER, "login-1")
    known = tokens.verify(token)
    assert tokens.verify(token) is known, "it is opened once"
    while datetime.now(UTC) < known.expires_at:
        time.sleep(0.01)
    refused(token, tokens)


def test_other_signatures() -> None:
    none = f"{segment({'alg': 'none', 'typ': 'JWT'})}.{signed(claims()).split('.')[1]}."
    refused(encrypted(none))
    refused(encrypted(signed(claims(), "HS512", key(SIGNING, b"answerdesk access token: signature", 64))))
    refused(encrypted(signed(claims(), secret=key(ENCRYPTION, b"answerdesk access token: signature"))))
    refused(encrypted(signed(claims(), secret=key(SIGNING, b"answerdesk access token: encryption"))))
    refused(encrypted(signed(claims()).rpartition(".")[0] + "."))


def test_only_the_configured_algorithm_signs() -> None:
    wide = key(SIGNING, b"answerdesk access token: signature", 64)
    tokens = Tokens(SECRETS, "HS512")
    assert tokens.verify(encrypted(signed(claims(), "HS512", wide)))
    refused(encrypted(signed(claims(), "HS256", wide)), tokens)


def test_a_token_longer_than_any_of_ours_is_not_opened() -> None:
    assert TOKENS.verify(encrypted(signed(claims(more="x" * 3_000))))
    refused(encrypted(signed(claims(more="x" * 5_000))))


def test_other_encryptions() -> None:
    content = signed(claims())
    refused(content)
    refused(encrypted(content, {"alg": "A256KW", "enc": "A256GCM"}))
    refused(encrypted(content, {"alg": "dir", "enc": "A128CBC-HS256"}))
    refused(encrypted(content, secret=OctKey.import_key(SIGNING_KEY)))
    refused(encrypted(content, secret=OctKey.import_key(ENCRYPTION[:32])))
    refused(Tokens(TokenSecrets(ENCRYPTION, SIGNING)).issue(USER, "login-1"))
    twice = Tokens(TokenSecrets(SIGNING, SIGNING))
    assert twice.verify(twice.issue(USER, "login-1")), "one secret for both is enough"
    refused(twice.issue(USER, "login-1"))


def test_secrets_are_not_shown() -> None:
    assert "documented" not in repr(SECRETS)


def test_compressed_content_is_refused_unopened() -> None:
    refused(encrypted(signed(claims()), {"alg": "dir", "enc": "A256GCM", "zip": "DEF"}))
    bomb = zlib.compress(b"0" * 3_000_000)
    assert len(bomb) < 4_000
    refused(encrypted(bomb, {"alg": "dir", "enc": "A256GCM", "zip": "DEF"}))


@pytest.mark.parametrize("position", range(0, len(GOOD), 7))
def test_tampering(position: int) -> None:
    other = "A" if GOOD[position] != "A" else "B"
    refused(GOOD[:position] + other + GOOD[position + 1 :])
    refused(GOOD[:position])
    refused(GOOD[:position] + GOOD[position + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "....",
        "null",
        "é" * 10,
        "\ud83e",
        "\0",
        GOOD + " ",
        GOOD + ".",
        " " + GOOD,
        GOOD.replace(".", ". "),
        "A" * 8_193,
        "." * 8_192,
        GOOD + "A" * 8_192,
        "A" * 50_000_000,
        segment({"alg": "none"}) + "....",
        segment({"alg": "dir", "enc": "A256GCM", "crit": ["exp"], "exp": 1}) + "..A.A.A",
        segment([1]) + "....",
        segment("alg enc") + "..AAAA.AAAA.AAAA",
        segment({"alg": [], "enc": {}}) + "..AAAA.AAAA.AAAA",
        segment(b'{"alg":"dir","enc":' + b"[" * 700) + "....",
        segment(b"\xff\xfe") + "....",
    ],
    ids=lambda token: f"{len(token)} characters",
)
def test_malformed(token: str) -> None:
    refused(token)


@pytest.mark.parametrize("inner", [b"", b".", b"a.b.c", b"\xff" * 40, b"[" * 4_000, segment({"alg": "HS256"}) + ".."])
def test_encrypted_by_us_but_not_a_token(inner: str | bytes) -> None:
    refused(encrypted(inner))


def test_deeply_nested_claims() -> None:
    refused(encrypted(jwt.PyJWS().encode(b"[" * 3_000, SIGNING_KEY, "HS256")))
    refused(encrypted(jwt.PyJWS().encode(b"[1]", SIGNING_KEY, "HS256")))


PIECES = st.sampled_from(GOOD.split(".")) | st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=3)
)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "enc", "zip", "crit", "kid", "epk", "p2c", "typ", "b64", "jwk"]) | st.text(),
    st.sampled_from(["dir", "A256GCM", "DEF", "none", "HS256", "PBES2-HS256+A128KW"]) | JSON,
    max_size=5,
)


@given(st.text() | st.text(st.characters(codec="ascii")) | st.text(st.characters(categories=["Cs"])))
def test_any_text_is_unauthenticated(token: str) -> None:
    refused(token)


@given(st.lists(PIECES, min_size=3, max_size=6).map(".".join).filter(lambda token: token != GOOD))
def test_any_arrangement_of_pieces_is_unauthenticated(token: str) -> None:
    refused(token)


@given(header=HEADERS, rest=st.lists(st.binary(max_size=30).map(segment), min_size=4, max_size=4))
def test_any_header_is_unauthenticated(header: dict[str, Any], rest: list[str]) -> None:
    refused(".".join([segment({"alg": "dir", "enc": "A256GCM", **header}), *rest]))


@given(
    st.dictionaries(st.sampled_from(["exp", "iat", "nbf", "sub", "jti", "iss", "aud", "sid", "name"]), JSON, min_size=1)
)
def test_any_claims_signed_by_us_raise_nothing_else(changed: dict[str, Any]) -> None:
    good = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in claims().items()}
    token = encrypted(jwt.PyJWS().encode(json.dumps({**good, **changed}).encode(), SIGNING_KEY, "HS256"))
    with suppress(Unauthenticated):
        assert isinstance(TOKENS.verify(token), Claims)


def test_refresh_tokens_are_32_random_bytes_kept_as_a_digest() -> None:
    one, two = new_refresh_token(), new_refresh_token()
    assert one != two
    assert len(base64.urlsafe_b64decode(one + "=")) == 32
    assert refresh_digest(one) == refresh_digest(one) != refresh_digest(two)
    assert len(bytes.fromhex(refresh_digest(one))) == 32
    assert one not in refresh_digest(one)


@given(
    st.text().filter(lambda text: len(text) != 43) | st.text(st.characters(categories=["Cs"]), min_size=43, max_size=43)
)
def test_what_cannot_be_a_refresh_token(text: str) -> None:
    with pytest.raises(Unauthenticated):
        refresh_digest(text)


def test_login_ids_are_not_guessed() -> None:
    assert len({new_login_id() for _ in range(100)}) == 100
    assert all(len(new_login_id()) == 32 for _ in range(3))
