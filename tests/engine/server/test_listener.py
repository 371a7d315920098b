"""The listening socket: where it may be, and what is said where it may not."""

import socket

import pytest
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.server_options import (
    ServerOptions,
    check_exposure,
    is_loopback,
    server_argument,
    server_options_of,
)
from prodtop.engine.server.listener import listen, url_of


def test_any_free_port_is_found_and_named() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port
        assert url_of(listener) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_a_server_takes_its_port_again_where_connections_are_still_ending() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            # Ends first, and so waits in TIME_WAIT.
            accepted.close()
    with listen("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


def test_a_taken_port_is_one_line() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(BadInputError, match=f"^port {port} is taken: give --port another$"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "words"),
    [("host.invalid", "no address of this machine is named"), ("127.0.0.1\x1b[2J", "is named")],
)
def test_no_address_is_one_clean_line(host: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        listen(host, 0)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_exposure(host, has_key=False)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "192.168.1.2", "example.com", "127.1", "localhost.evil.org"],
)
def test_every_other_address_needs_a_key(host: str) -> None:
    with pytest.raises(BadInputError, match="without an API key"):
        check_exposure(host, has_key=False)
    check_exposure(host, has_key=True)


def test_a_name_is_judged_by_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(BadInputError, match="without an API key"):
        listen("localhost", 0)


def test_options_survive_the_command_line() -> None:
    options = ServerOptions(host="::1", port=1, drain_s=2.5)
    assert server_options_of(server_argument(options)) == options
    with pytest.raises(BadInputError, match="cannot be read"):
        server_options_of('{"port": "x"}')
