"""Real servers of others on loopback, each in an environment and in processes of its own."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

HOST = "127.0.0.1"
PEERS = Path(sys.prefix) / "peers"
DEADLINE_S = 90.0
STOP_S = 10.0
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # One thread for a model of a megabyte: more would take turns with the client's.
    "OMP_NUM_THREADS": "1",
}


def python_of(peer: str) -> str:
    """The Python of a peer's environment; a skip where the peer is not there."""
    program = PEERS / peer / "bin" / "python"
    if not program.exists():
        pytest.skip(f"{peer} is not there: `make test` installs it where it can be had")
    return str(program)


def free_port(most: int = 65_535) -> int:
    """A port that nobody listens on; the system's choice where that is no more than `most`."""
    for wanted in (0, *range(most, most - 1000, -1)):
        with socket.socket() as each, contextlib.suppress(OSError):
            each.bind((HOST, wanted))
            port: int = each.getsockname()[1]
            if port <= most:
                return port
    raise AssertionError("no port is free")


@dataclass(frozen=True)
class PeerServer:
    """A server that runs: its address, and where what it prints is."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 where nobody listens."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()


@contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, and end it and all that it started at the end."""
    with log.open("wb") as printed:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **OFFLINE, "HF_HOME": str(log.parent / "hub"), **environment},
        )
    try:
        yield running
    finally:
        end_with_children(running)


def end_with_children(running: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop; what of it and of its children is still there then is killed."""
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(running.pid).children(recursive=True)
    running.terminate()
    try:
        running.wait(STOP_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


@contextmanager
def peer_server(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    ready: str,
    says: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Iterator[PeerServer]:
    """Run a server, from when `ready` answers 200 with `says` in its body."""
    server = PeerServer(port, log)
    with process(command, log, environment or {}) as running:
        wait_until_ready(server, running, ready, says)
        yield server


def wait_until_ready(
    server: PeerServer, running: subprocess.Popen[bytes], ready: str, says: bytes
) -> None:
    """Wait for an answer; a server that ends before that fails the test with its last words."""
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        status, body = server.get(ready)
        if status == 200 and says in body:
            return
        last = server.log.read_bytes()[-3000:].decode(errors="replace")
        assert running.poll() is None, f"it ended by itself: {last}"
        assert time.monotonic() < deadline_s, f"{ready} answers {status}: {last}"
        time.sleep(0.1)
