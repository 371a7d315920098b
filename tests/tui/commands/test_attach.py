"""`prodtop attach` without a screen: what it prints of servers, and what it says otherwise."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prodtop.engine.attach import discovery
from prodtop.tui.commands.main import run

HOST = "127.0.0.1"


def exposition(tokens: int) -> bytes:
    labels = 'model_name="tiny\\n\x1b[31m",engine="0"'
    return "".join(
        f"vllm:{name}{{{labels}}} {value}\n"
        for name, value in {
            "num_requests_running": 3,
            "num_requests_waiting": 1,
            "kv_cache_usage_perc": 0.25,
            "generation_tokens_total": tokens,
        }.items()
    ).encode()


class Told:
    """What a server was asked, and counts up with each scrape."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                metrics = head.split(b" ")[1] == b"/metrics"
                scrapes = sum(each.startswith(b"GET /metrics") for each in self.requests)
                body = exposition(100 * scrapes) if metrics else b""
                status = self.status if metrics else "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode())
                writer.write(body)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


@contextmanager
def served(status: str = "200 OK") -> Iterator[Told]:
    """A vLLM's metrics over HTTP, on a thread of its own."""
    told, loop = Told(status), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(told.answer, HOST, 0))
    told.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield told
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        server.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], None]:
    """Write the config file."""

    def write(text: str) -> None:
        path = tmp_path / "xdg-config" / "prodtop" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_once_prints_a_frame_with_rates(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    with served() as told:
        arguments = ["attach", told.url, "--once", "--json", "--token-file", str(token)]
        assert run(arguments) == 0
    printed = capsys.readouterr()
    frame = json.loads(printed.out)
    assert frame["attached"]["kind"] == "vLLM"
    assert frame["attached"]["url"] == told.url
    assert (frame["queue"]["running"], frame["queue"]["waiting"]) == (3, 1)
    # A hundred tokens with each scrape, a second apart.
    assert 50 < frame["throughput"]["decode_tok_s"] < 110
    assert b"s3cret" in told.requests[0]
    assert "s3cret" not in printed.out + printed.err


def test_a_name_of_the_config_is_its_table_and_what_is_shown_is_safe(
    config: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with served() as told:
        config(f'[attach.chat]\nurl = "{told.url}"\ninterval_s = 0.1\n')
        assert run(["attach", "chat", "--once"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("chat: vLLM")
    assert "3 running, 1 waiting, KV 25 %" in printed
    assert "\x1b" not in printed


def test_a_server_that_does_not_answer_is_told_beside_one_that_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with served() as told, served("500 Internal Server Error") as down:
        assert run(["attach", told.url, down.url, "--once", "--json"]) != 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["attached"]["url"] == told.url
    assert "answers 500 Internal Server Error" in printed.err
    assert "1 of 2 servers did not tell anything" in printed.err


def test_without_an_address_the_servers_of_this_machine_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(discovery, "CONTAINER_TOOLS", ())
    with served() as told:
        monkeypatch.setattr(discovery, "listeners", lambda: [(told.port, None)])
        assert run(["attach", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["url"] == told.url
        assert run(["attach"]) == 0
        assert "3 running, 1 waiting" in capsys.readouterr().out
    monkeypatch.setattr(discovery, "listeners", list)
    assert run(["attach"]) != 0
    assert "no serving engine answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://me:pw@a", "--once"], "use --token-file"),
        (["a", "a", "--once"], "a is given twice"),
        (["a", "--json"], "--json goes with --once"),
        (["a", "--dcgm", "ftp://b", "--once"], "'ftp://b' is no address"),
        (["a"], "the screen needs a terminal"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attach", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert "pw" not in printed.err
