"""A real HTTP server: clients that vanish, read nothing, or send what is no request."""

import json
import socket
from collections.abc import Iterator, Sequence

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO
from asgi_client import Json
from http_server_thread import serving_app, wait_until
from prodtop.engine.protocol.served import Output
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.limits import Limits
from scripted_link import ScriptedLink, Told, serving_of
from served_folders import chat_folder, ids_of


class Endless(Sequence[Told]):
    """A script without an end."""

    def __init__(self) -> None:
        self._output = Output(key=0, token_ids=ids_of(" and so on") * 50)

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, place: object) -> Told:  # type: ignore[override]  # no slices of it
        return self._output

    def __iter__(self) -> Iterator[Told]:
        while True:
            yield self._output


def request_bytes(path: str, body: Json) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def ended(link: ScriptedLink, reason: str, streams: int) -> bool:
    return [stream.abort_reason for stream in link.streams] == [reason] * streams


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_vanishes_is_noticed(path: str, n: int, stream: bool) -> None:
    link = ScriptedLink(lambda _: Endless(), serving_of(chat_folder()))
    body = (HELLO if path == CHAT else {"prompt": "a"}) | {"n": n, "stream": stream}
    with serving_app(create_app(link, ServerOptions())) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request_bytes(path, body))
            if stream:
                assert client.recv(10) == b"HTTP/1.1 2"
            wait_until(lambda: len(link.streams) == n, "the requests")
        wait_until(lambda: ended(link, "disconnected", n), "the aborts")


def test_a_client_that_reads_nothing_is_given_up() -> None:
    link = ScriptedLink(lambda _: Endless(), serving_of(chat_folder()))
    limits = Limits(keep_alive_s=0.1, slow_reader_s=0.2)
    app = create_app(link, ServerOptions(), limits=limits)
    with serving_app(app) as port, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(request_bytes(CHAT, HELLO | {"stream": True}))
        wait_until(lambda: ended(link, "slow reader", 1), "the abort")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n", b"200"),
        (
            b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: 999999999\r\n\r\n",
            b"413",
        ),
        (
            b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{x",
            b"400",
        ),
        (b"no request\r\n\r\n", b"400"),
    ],
)
def test_a_request_gets_its_status(data: bytes, status: bytes) -> None:
    link = ScriptedLink(lambda _: [], serving_of(chat_folder()))
    with (
        serving_app(create_app(link, ServerOptions())) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(data)
        assert client.recv(4096).split(b" ", 2)[1] == status
