"""`prodtop serve` as an installed command: what it prints, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from linked_engine import DEADLINE_S, Generation, tiny_checkpoint
from prodtop.tui.commands.main import run

TESTS = Path(__file__).parents[2]

LAUNCH = """
import functools, sys
from linked_engine import line_server_command
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.tui.commands import serve, main
serve.LocalEngine = functools.partial(LocalEngine, server_command=line_server_command)
sys.argv = ["prodtop", "serve", *{arguments!r}]
main.main()
"""
"""The command over a server that has `POST /generate`."""

LONG = 4000


class Serving:
    """The command as it runs; both its streams are pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def port(self) -> int:
        """Of the line that says where it serves."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(
            r"serving (\S+) \((\w+), (\w+)\) at http://127\.0\.0\.1:(\d+)/v1\n", line
        )
        assert found is not None, line
        assert found[3] == "hybrid"
        return int(found[4])

    def generate(self, port: int, max_tokens: int) -> Generation:
        """A request that has begun to be answered."""
        fields = {"prompt_tokens": [5, 6, 7], "max_tokens": max_tokens, "ignore_eos": True}
        generation = Generation(port, fields).begun()
        next(iter(generation))
        return generation

    def end(self) -> tuple[int, str]:
        """The exit code, and all that it printed since, once it has ended."""
        out, error = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out + error


@contextmanager
def serving(*arguments: str) -> Iterator[Serving]:
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCH.format(arguments=list(arguments))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    ) as process:
        try:
            yield Serving(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_checkpoint(folder)
    return ["--model", str(folder), "--device", "cpu", "--threads", "1", "--port", "0"]


def test_a_signal_lets_requests_end(options: list[str]) -> None:
    with serving(*options) as command:
        generation = command.generate(command.port(), 300)
        command.process.send_signal(signal.SIGTERM)
        assert len(generation.tokens()) > 250
        code, printed = command.end()
    assert code == 0
    assert "ended: 0 requests aborted" in printed


def test_a_second_signal_ends_at_once(options: list[str]) -> None:
    with serving(*options, "--drain", "600") as command:
        generation = command.generate(command.port(), LONG)
        command.process.send_signal(signal.SIGINT)
        assert command.process.stderr is not None
        assert command.process.stderr.readline() == "ending: 1 request in flight, up to 600 s\n"
        command.process.send_signal(signal.SIGTERM)
        code, printed = command.end()
        generation.close()
    assert code == 0
    assert "ended: 1 request aborted" in printed


def test_a_taken_port_is_one_line_and_exit_code_2(options: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(*options[:-1], str(port)) as command:
            code, printed = command.end()
    assert (code, printed) == (2, f"prodtop: port {port} is taken: give --port another\n")


@pytest.mark.parametrize("command", [["serve"], ["--serve"]])
@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::"])
def test_no_address_that_others_reach_without_a_key(
    command: list[str], host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--host", host]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"prodtop: no start on {host} without an API key")
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--drain", "-1"], "--drain must be"),
        (["serve", "--drain", "inf"], "--drain must be"),
        (["serve", "--port", "65536"], "port"),
        (["serve", "--users", "2", "--rate", "3"], "exclude each other"),
        (["--port", "9000"], "give --serve with them"),
        (["--chat-template", "none.jinja"], "give --serve with them"),
        (["--serve", "--chat-template", "/none.jinja"], "/none.jinja: cannot be read"),
        (["serve", "--chat-template", "/none.jinja"], "/none.jinja: cannot be read"),
        (["--host", "127.0.0.2"], "give --serve with them"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


def test_an_engine_that_cannot_serve_is_its_reason_and_its_exit_code(tmp_path: Path) -> None:
    with serving("--model", str(tmp_path), "--port", "0") as command:
        code, printed = command.end()
    assert code == 2
    assert printed.startswith("prodtop: ")
    assert printed.count("\n") == 1
