"""Who is let in: where there are keys nobody without one, else no page of another host."""

import hmac
from collections.abc import Mapping

import pytest
from api_harness import COMPLETIONS, saying
from asgi_client import Client
from prodtop.engine.protocol.api_keys import key_hash
from prodtop.engine.protocol.server_operations import Operations
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server import access
from prodtop.engine.server.access import OPEN_PATHS
from prodtop.engine.server.app import ROUTES, create_app
from scripted_link import ScriptedLink, serving_of
from served_folders import chat_folder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

KEYS = ("first-key-of-three", "second-key-of-three", "third-key-of-three")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
ASKED = {"authorization": f"Bearer {KEYS[1]}"}


async def _secret(request: Request) -> Response:
    del request
    return PlainTextResponse("secret")


def guarded(*keys: str) -> tuple[Client, ScriptedLink]:
    link = ScriptedLink(lambda _: saying("hello"), serving_of(chat_folder()))
    operations = Operations(key_hashes=tuple(key_hash(key.encode()) for key in keys))
    app = create_app(
        link, ServerOptions(operations=operations), more_routes=[Route("/added", _secret)]
    )
    return Client(app), link


PATHS = [
    *(route.path.replace("{model:path}", "scripted") for route in ROUTES),
    "/added",
    "/no/such/route",
    "/health/",
    "//health",
    "/HEALTH",
    "/health/../metrics",
    "/health;x",
    "",
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
async def test_no_route_answers_without_a_key(path: str, method: str) -> None:
    client, link = guarded(*KEYS)
    answer = await client.begin(method, path, b"{not read").done()
    if path in OPEN_PATHS and method in ("GET", "HEAD"):
        assert answer.status == 200
        return
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    assert not link.streams


async def test_the_body_of_a_stranger_is_not_read() -> None:
    client, _ = guarded(*KEYS)
    call = client.begin("POST", COMPLETIONS, b"x" * 100)
    await call.done()
    assert call._body, "it was read"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_each_key_opens_every_route(key: str, scheme: str) -> None:
    client, _ = guarded(*KEYS)
    headers = {"authorization": scheme + key}
    for path in ("/v1/models", "/metrics", "/added"):
        assert (await client.begin("GET", path, b"", headers).done()).status == 200
    assert (await client.post(COMPLETIONS, {"prompt": "a"}, headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": KEYS[0]},
        {"authorization": f"Basic {KEYS[0]}"},
        {"authorization": f"Bearer {KEYS[0]}x"},
        {"authorization": f"Bearer {KEYS[0][:-1]}"},
        {"authorization": f"Bearer{KEYS[0]}"},
        {"authorization": "Bearer "},
        {"authorization": ""},
        {"authorization": "Bearer \xff\x9b31m"},
        {"authorization": f"Bearer {key_hash(KEYS[0].encode())}"},
        {"x-api-key": KEYS[0]},
        {"api-key": KEYS[0]},
    ],
)
async def test_what_is_no_key_opens_nothing(headers: Mapping[str, str]) -> None:
    client, _ = guarded(*KEYS)
    answer = await client.begin("GET", "/v1/models", b"", headers).done()
    assert answer.status == 401
    assert not any(key.encode() in answer.body for key in KEYS)


@pytest.mark.parametrize("given", [*KEYS, "no-key-of-any-kind"])
async def test_every_key_is_compared_and_each_in_constant_time(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(access, "hmac", Watched)
    client, _ = guarded(*KEYS)
    await client.begin("GET", "/version", b"", {"authorization": f"Bearer {given}"}).done()
    assert compared == [key_hash(key.encode()) for key in KEYS]


LOCAL = ("localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000")
FOREIGN = (
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
    "10.0.0.1", "0.0.0.0", "[::2]", "[", "", "localhost@evil.example", "evil.example#localhost",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nothing"])
@pytest.mark.parametrize("host", FOREIGN)
async def test_a_foreign_host_is_refused_without_a_key(host: str, path: str) -> None:
    client, _ = guarded()
    named = await client.begin("GET", path, b"", {"host": host}).done()
    origin = await client.begin("GET", path, b"", {"origin": f"https://{host}"}).done()
    assert (named.status, origin.status) == (403, 403)
    assert named.json()["error"]["code"] == "foreign_origin"


@pytest.mark.parametrize("origin", ["null", "file://", "", "about:blank"])
async def test_an_origin_that_names_no_host_is_refused(origin: str) -> None:
    client, _ = guarded()
    assert (await client.begin("GET", "/version", b"", {"origin": origin}).done()).status == 403


@pytest.mark.parametrize("host", LOCAL)
async def test_this_machine_s_programs_and_pages_are_served(host: str) -> None:
    client, _ = guarded()
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host}"}, {}):
        assert (await client.begin("GET", "/version", b"", headers).done()).status == 200


async def test_with_a_key_any_name_will_do() -> None:
    client, _ = guarded(*KEYS)
    headers = ASKED | {"host": "models.example", "origin": "https://page.example"}
    assert (await client.begin("GET", "/version", b"", headers).done()).status == 200
