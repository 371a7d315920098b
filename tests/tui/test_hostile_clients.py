"""Clients that send escapes in every place: none reaches the screen, nor a log that is kept."""

import http.client
import re
import socket
from pathlib import Path

import pytest
from hostile_requests import hostile_requests, on_the_wire
from hostile_text import HOSTILE, PIECES, found_in_command, found_on_screen
from linked_engine import DEADLINE_S, HOST, tiny_checkpoint
from pty_terminal import Terminal

TEXTS = (HOSTILE, PIECES["8-bit OSC"], PIECES["newline"])
CHILD = Path(__file__).with_name("served_child.py")


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()


def send(port: int, data: bytes) -> None:
    """Send it, and read whatever comes."""
    with socket.create_connection((HOST, port), timeout=DEADLINE_S) as client:
        try:
            client.sendall(data)
            while client.recv(1 << 16):
                pass
        except ConnectionError:
            pass


@pytest.fixture
def port() -> int:
    with socket.create_server((HOST, 0)) as free:
        found: int = free.getsockname()[1]
        return found


def test_no_client_takes_the_screen_or_a_log_over(tmp_path: Path, port: int) -> None:
    tiny_checkpoint(tmp_path)
    log = tmp_path / "requests.log"
    arguments = ["--model", str(tmp_path), "--device", "cpu", "--threads", "1"]
    arguments += ["--serve", "--port", str(port), "--log-prompts", "--log-file", str(log)]
    state = tmp_path / "state"
    environment = {"ARGUMENTS": "\n".join(arguments), "XDG_STATE_HOME": str(state)}
    with Terminal(tmp_path, CHILD, **environment) as terminal:
        terminal.until(lambda: status(port, "/ready") == 200)
        terminal.type(b"e")
        for text in TEXTS:
            for request in hostile_requests(text):
                for data in on_the_wire(*request):
                    send(port, data)
        seen = len(terminal.output)
        terminal.until(lambda: len(terminal.output) > seen)
        assert status(port, "/ready") == 200
        terminal.process.terminate()
        terminal.ends_with(143)
        assert not found_on_screen(terminal.output)
    kept = [log, *state.rglob("*.log")]
    assert {path.name for path in kept} >= {"requests.log", "server.log"}
    for path in kept:
        assert not found_in_command(path.read_bytes()), path.name
    # Every place was one that is logged: the word itself is there.
    assert len(re.findall(b"PWNED", log.read_bytes())) > 10 * len(TEXTS)
