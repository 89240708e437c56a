"""register, login, refreshToken, logout and viewer over GraphQL."""

from tests.graph.desk import PASSWORD, Desk, code_of, global_id

REGISTER = """mutation($input: RegisterInput!) { register(input: $input) {
  accessToken refreshToken tokenType expiresIn user { id username email createdAt } } }"""
LOGIN = "mutation($input: LoginInput!) { login(input: $input) { accessToken refreshToken user { username } } }"
REFRESH = "mutation($token: String!) { refreshToken(refreshToken: $token) { accessToken refreshToken } }"
ME = "{ viewer { username } }"


def person(**members: str) -> dict[str, dict[str, str]]:
    return {"input": {"username": "ada", "email": "ada@example.test", "password": PASSWORD, **members}}


async def test_registering_signs_in(desk: Desk) -> None:
    payload = (await desk.data(REGISTER, person()))["register"]
    assert (payload["tokenType"], payload["expiresIn"]) == ("bearer", 3600)
    user = payload["user"]
    assert (user["id"], user["username"], user["email"]) == (global_id("User", 1), "ada", "ada@example.test")
    assert user["createdAt"].endswith("Z")
    assert await desk.data(ME, token=payload["accessToken"]) == {"viewer": {"username": "ada"}}


async def test_registering_tells_what_does_not_fit(desk: Desk) -> None:
    await desk.data(REGISTER, person())
    assert code_of(await desk.ask(REGISTER, person(email="other@example.test"))) == "USERNAME_TAKEN"
    assert code_of(await desk.ask(REGISTER, person(username="bea"))) == "EMAIL_TAKEN"
    answer = await desk.ask(REGISTER, person(username="", password="short"))
    assert code_of(answer) == "BAD_USER_INPUT"
    assert set(answer["errors"][0]["extensions"]["details"]["fields"]) == {"username", "password"}
    assert answer["errors"][0]["path"] == ["register"]


async def test_a_wrong_password_and_an_unknown_name_get_one_answer(desk: Desk) -> None:
    await desk.data(REGISTER, person())
    answers = [
        await desk.ask(LOGIN, {"input": {"username": name, "password": "not_the_password"}}) for name in ("ada", "bea")
    ]
    told = [(answer["data"], answer["errors"][0]["message"], code_of(answer)) for answer in answers]
    assert told == [(None, "Incorrect username or password.", "UNAUTHENTICATED")] * 2


async def test_a_refresh_token_is_good_for_one_refresh_and_then_ends_its_login(desk: Desk) -> None:
    first = (await desk.data(REGISTER, person()))["register"]
    second = (await desk.data(REFRESH, {"token": first["refreshToken"]}))["refreshToken"]
    assert await desk.data(ME, token=second["accessToken"]) == {"viewer": {"username": "ada"}}
    assert code_of(await desk.ask(REFRESH, {"token": first["refreshToken"]})) == "UNAUTHENTICATED"
    assert code_of(await desk.ask(ME, token=second["accessToken"])) == "UNAUTHENTICATED"


async def test_signing_in_and_refreshing_need_no_good_token(desk: Desk) -> None:
    first = (await desk.data(REGISTER, person(), token="expired long ago"))["register"]
    credentials = {"input": {"username": "ada", "password": PASSWORD}}
    assert (await desk.data(LOGIN, credentials, token="nonsense"))["login"]["user"] == {"username": "ada"}
    assert await desk.data(REFRESH, {"token": first["refreshToken"]}, token="nonsense")


async def test_logging_out_ends_this_login_or_all_of_them(desk: Desk) -> None:
    await desk.data(REGISTER, person())
    credentials = {"input": {"username": "ada", "password": PASSWORD}}
    tokens = [(await desk.data(LOGIN, credentials))["login"]["accessToken"] for _ in range(3)]
    assert await desk.data("mutation { logout }", token=tokens[0]) == {"logout": True}
    assert code_of(await desk.ask(ME, token=tokens[0])) == "UNAUTHENTICATED"
    assert await desk.data(ME, token=tokens[1])
    assert await desk.data("mutation { logout(everywhere: true) }", token=tokens[1]) == {"logout": True}
    assert code_of(await desk.ask(ME, token=tokens[2])) == "UNAUTHENTICATED"
    assert code_of(await desk.ask("mutation { logout }")) == "UNAUTHENTICATED"


async def test_the_viewer_is_null_without_a_token_and_an_error_with_a_bad_one(desk: Desk) -> None:
    assert await desk.data(ME) == {"viewer": None}
    for authorization in ("Bearer nonsense", "Basic YTpi", "Bearer", ""):
        answer = (await desk.post({"query": ME}, headers={"authorization": authorization})).json()
        assert answer["data"] == {"viewer": None}
        assert code_of(answer) == "UNAUTHENTICATED"
