"""Which servers there are on this machine, whose they are, and what a request may carry."""

import asyncio
import os
from pathlib import Path

import pytest
from faulty_server import Behaviour, serving, silent, whole
from prodtop.engine.attach import discovery
from prodtop.engine.attach.asking.addresses import server_url
from prodtop.engine.attach.asking.local_process import is_local, pid_at
from prodtop.engine.attach.asking.secrets import secret_headers
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.discovery import found_servers, published_ports
from prodtop.engine.protocol.errors import BadInputError

VLLM = b'vllm:num_requests_running{engine="0",model_name="tiny"} 1\n'
OTHERS: dict[str, Behaviour] = {
    "silent": silent,
    "a web page": whole(b"<html></html>", headers="content-type: text/html\r\n"),
    "an exporter of something else": whole(b"node_load1 0.5\n"),
}


@pytest.mark.parametrize("other", OTHERS)
async def test_engines_are_found_among_what_else_listens(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(whole(VLLM)) as engine, serving(OTHERS[other]) as neighbour:
        ports = [(engine.port, None), (neighbour.port, None), (1, None)]
        monkeypatch.setattr(discovery, "listeners", lambda: ports)
        monkeypatch.setattr(discovery, "CONTAINER_TOOLS", ())
        found = await found_servers()
    assert [frame.attached and frame.attached.url for frame in found] == [engine.url]


async def test_looking_for_servers_ends_though_some_never_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "CONTAINER_TOOLS", ())
    monkeypatch.setattr(discovery, "WHOLE_S", 0.5)
    monkeypatch.setattr(discovery, "ASK_S", 600.0)
    async with serving(whole(VLLM)) as engine, serving(silent) as neighbour:
        ports = [(engine.port, None), (neighbour.port, None)]
        monkeypatch.setattr(discovery, "listeners", lambda: ports)
        async with asyncio.timeout(60):
            found = await found_servers()
    assert len(found) == 1


@pytest.mark.parametrize(
    ("printed", "ports"),
    [
        (b"0.0.0.0:8000->8000/tcp, [::]:8000->8000/tcp\n", [8000]),
        (b"0.0.0.0:8000-8002->8000-8002/tcp\n127.0.0.1:30000->80/tcp\n", [8000, 8001, 8002, 30000]),
        (b"8000/tcp\n\n", []),
        (b":::9000->9000/tcp", [9000]),
        (b"0.0.0.0:65535-99999->1/tcp", [65535]),
    ],
)
def test_the_ports_that_containers_publish(printed: bytes, ports: list[int]) -> None:
    assert published_ports(printed) == ports


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://0.0.0.0:1", True),
        ("http://10.0.0.7:1", False),
        ("http://gpu7:1", False),
    ],
)
def test_which_addresses_are_of_this_machine(url: str, local: bool) -> None:
    assert is_local(server_url(url)) is local


async def test_the_process_of_a_port_is_found() -> None:
    async with serving(silent) as server:
        assert pid_at("127.0.0.1", server.port) == os.getpid()
        port = server.port
    assert pid_at("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("gpu7:8000", "http://gpu7:8000"),
        ("https://gpu7/v1/", "https://gpu7"),
        ("http://gpu7:8000/metrics", "http://gpu7:8000"),
        ("http://gateway/team/v1", "http://gateway/team"),
    ],
)
def test_addresses_are_completed(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "ftp://a", "http://", "http://me:pw@a", "http://a?key=x", "http://a:99999", "http://a:0"],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        server_url(text)
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)


def headers_of(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "headers").write_text(text)
    server = NamedServer(url="http://a", name="a", headers_file=str(tmp_path / "headers"))
    return secret_headers(server)


def test_headers_are_read_from_a_file(tmp_path: Path) -> None:
    read = headers_of(tmp_path, "# ours\nX-Api-Key: a:b \n\nX_Team: chat\n")
    assert read == {"x-api-key": "a:b", "x_team": "chat"}


@pytest.mark.parametrize(
    "text",
    [
        *("s3cret", ": s3cret", "a b: s3cret", "Ä: s3cret", "X: s3cret\x01", "Host: s3cret"),
        *("Content-Length: 5", "transfer-encoding: chunked", "Accept-Encoding: gzip"),
    ],
)
def test_what_cannot_be_a_header_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        headers_of(tmp_path, text)
    assert "s3cret" not in str(caught.value)
