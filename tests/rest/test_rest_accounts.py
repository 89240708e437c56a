"""/auth."""

import json

import httpx
import pytest

from tests.rest.conftest import PASSWORD, User


async def test_registering_answers_with_the_user(http: httpx.AsyncClient) -> None:
    body = {"username": "Åsa", "email": "asa@example.com", "password": PASSWORD, "newsletter": True}
    response = await http.post("/auth/register", json=body)
    assert response.status_code == 201
    answer = response.json()
    assert answer.keys() == {"id", "username", "email", "created_at"}
    assert (answer["username"], answer["email"]) == ("Åsa", "asa@example.com")
    assert type(answer["id"]) is int
    assert answer["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"email": "other@example.com"}, "USERNAME_TAKEN"), ({"username": "somebody"}, "EMAIL_TAKEN")],
)
async def test_names_and_addresses_are_taken_once(
    http: httpx.AsyncClient, user: User, changed: dict[str, str], code: str
) -> None:
    body = {"username": user.name.upper(), "email": f"{user.name}@example.com", "password": PASSWORD}
    response = await http.post("/auth/register", json={**body, **changed})
    assert response.status_code == 409
    assert response.json()["error"]["code"] == code


async def test_every_field_that_does_not_fit_is_named(http: httpx.AsyncClient) -> None:
    response = await http.post("/auth/register", json={"username": "a b", "email": "nobody", "password": "short"})
    assert response.status_code == 422
    assert response.json()["error"]["details"]["fields"].keys() == {"username", "email", "password"}
    response = await http.post("/auth/register", json={"username": 7, "email": None})
    assert response.json()["error"]["details"]["fields"].keys() == {"username", "email", "password"}


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"grant_type": "password", "scope": "a b", "client_id": "cli", "client_secret": "x"},
    ],
)
async def test_the_password_grant_takes_oauth2s_other_fields(user: User, form: dict[str, str]) -> None:
    response = await user.http.post("/auth/token", data={"username": user.name, "password": PASSWORD, **form})
    assert response.status_code == 200
    grant = response.json()
    assert grant.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (grant["token_type"], grant["expires_in"]) == ("bearer", 3600)
    assert response.headers["cache-control"] == "no-store"


async def test_the_password_grant_takes_multipart_forms(user: User) -> None:
    fields = {"username": (None, user.name), "password": (None, PASSWORD)}
    assert (await user.http.post("/auth/token", files=fields)).status_code == 200


async def test_forms_are_utf_8_however_they_are_escaped(http: httpx.AsyncClient) -> None:
    body = {"username": "Jürgen", "email": "juergen@example.com", "password": "gefährlich & 100 %"}
    assert (await http.post("/auth/register", json=body)).status_code == 201
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    typed = "username=Jürgen&password=gefährlich %26 100 %25".encode()
    assert (await http.post("/auth/token", content=typed, headers=form)).status_code == 200
    escaped = b"username=J%C3%BCrgen&password=gef%C3%A4hrlich+%26+100+%25"
    assert (await http.post("/auth/token", content=escaped, headers=form)).status_code == 200
    for latin in ("username=Jürgen&password=x".encode("latin-1"), b"username=J%FCrgen&password=x"):
        response = await http.post("/auth/token", content=latin, headers=form)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, {"username", "password"}),
        ({"username": "x"}, {"password"}),
        ({"username": "x", "password": "y", "grant_type": "client_credentials"}, {"grant_type"}),
    ],
)
async def test_a_form_that_does_not_fit(http: httpx.AsyncClient, form: dict[str, str], fields: set[str]) -> None:
    response = await http.post("/auth/token", data=form)
    assert response.status_code == 422
    assert response.json()["error"]["details"]["fields"].keys() == fields


async def test_wrong_names_and_wrong_passwords_get_one_answer(user: User) -> None:
    bodies = []
    for name, password in ((user.name, "wrong_password"), ("nobody-here", PASSWORD), ("a\x00b", "\x00")):
        response = await user.http.post("/auth/token", data={"username": name, "password": password})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        error = response.json()["error"]
        bodies.append(json.dumps({**error, "request_id": ""}))
    assert len(set(bodies)) == 1


async def test_a_refresh_token_is_spent_once_and_a_second_use_ends_the_login(user: User) -> None:
    first = user.grant["refresh_token"]
    response = await user.http.post("/auth/refresh", json={"refresh_token": first})
    assert response.status_code == 200
    user.grant = response.json()
    assert user.grant.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert user.grant["refresh_token"] != first
    await user.ok("GET", "/auth/me")
    assert (await user.http.post("/auth/refresh", json={"refresh_token": first})).status_code == 401
    assert (await user.call("GET", "/auth/me")).status_code == 401
    again = await user.http.post("/auth/refresh", json={"refresh_token": user.grant["refresh_token"]})
    assert again.status_code == 401


async def test_logout_revokes_the_login_and_leaves_others(user: User) -> None:
    spent = user.grant
    await user.sign_in()
    other, user.grant = user.grant, spent
    await user.ok("POST", "/auth/logout", 204)
    assert (await user.call("GET", "/auth/me")).status_code == 401
    assert (await user.http.post("/auth/refresh", json={"refresh_token": spent["refresh_token"]})).status_code == 401
    user.grant = other
    me = await user.ok("GET", "/auth/me")
    assert me.keys() == {"id", "username", "email", "created_at"}
    assert me["username"] == user.name


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer  x", "Bearer nonsense", "Basic dTpw", "bearer a.b.c.d.e", "Bearer ä" * 500]
)
async def test_no_token_and_bad_tokens_get_one_answer(http: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}
    response = await http.get("/auth/me", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "UNAUTHENTICATED"


async def test_a_token_that_was_tampered_with_is_refused(user: User) -> None:
    token: str = user.grant["access_token"]
    middle = len(token) // 2
    user.grant["access_token"] = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    assert (await user.call("GET", "/auth/me")).status_code == 401
