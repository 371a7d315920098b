"""Keys, TLS, limits and logs on the command line: what reaches the server, and what is refused."""

import os
from pathlib import Path

import pytest
from certificates import certificate
from prodtop.engine.protocol.api_keys import key_hash
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.server_operations import Operations, RequestLog, ServerLimits
from prodtop.engine.protocol.server_options import ServerOptions, server_argument, server_options_of
from prodtop.tui.commands import serve, serve_run
from prodtop.tui.commands.api_keys import VARIABLE, key_hashes
from prodtop.tui.commands.main import run

KEYS = ("sk-1234567890abcdef", "another-key-of-one-line")


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEYS[0]}\n\n  {KEYS[1]}  \n{KEYS[0]}\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ServerOptions]:
    """The options of the servers that `prodtop serve` would have started."""
    found: list[ServerOptions] = []

    class Engine:
        def __init__(self, *_: object, server: ServerOptions, **__: object) -> None:
            found.append(server)

    monkeypatch.setattr(serve, "LocalEngine", Engine)
    monkeypatch.setattr(serve_run, "serve", lambda *_: None)
    return found


def test_keys_travel_as_hashes_alone(
    key_file: Path, started: list[ServerOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "the-key-of-the-environment")
    assert run(["serve", "--api-key-file", str(key_file), "--host", "0.0.0.0"]) == 0
    (options,) = started
    keys = (*KEYS, "the-key-of-the-environment")
    assert options.operations.key_hashes == tuple(key_hash(key.encode()) for key in keys)
    text = server_argument(options)
    assert not any(key in text for key in keys)
    assert VARIABLE not in os.environ, "its children would inherit it"
    assert server_options_of(text) == options


def test_a_server_without_any_option_has_the_defaults(started: list[ServerOptions]) -> None:
    assert run(["serve"]) == 0
    assert started == [ServerOptions()]


def test_every_option_reaches_the_server(tmp_path: Path, started: list[ServerOptions]) -> None:
    numbers = ["--max-requests", "5", "--max-tokens-in-flight", "6", "--max-body-mib", "7"]
    log = ["--log-file", "requests.log", "--log-json", "--log-prompts"]
    assert run(["serve", *numbers, "--max-connections", "8", *log]) == 0
    assert started[0].operations == Operations(
        limits=ServerLimits(max_requests=5, max_tokens=6, max_body_mib=7, max_connections=8),
        log=RequestLog(file=str(Path.cwd() / "requests.log"), as_json=True, prompts=True),
    )
    own = certificate(tmp_path, "own")
    tls = ["--tls-cert", str(own.cert), "--tls-key", str(own.key), "--tls-ca", str(own.cert)]
    assert run(["serve", *tls]) == 0
    files = started[1].operations.tls
    assert files is not None
    assert (files.cert, files.key, files.client_ca) == (str(own.cert), str(own.key), str(own.cert))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_file_of_keys_that_others_read_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(BadInputError, match="others than its owner may read it: chmod 600 it"):
        key_hashes(str(key_file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "there is no key in it"),
        (b"# nothing\n\n", "there is no key in it"),
        (b"too-short\n", "line 1: a key has at least 16 characters"),
        (b"# a\nwith spaces in a key\n", "line 2: a key is ASCII without spaces"),
        ("kéy-that-is-not-ascii-xx".encode(), "line 1: a key is ASCII"),
        (b"a-key-with-an-escape-\x1b[2J\n", "line 1: a key is ASCII"),
        (b"\xff\xfe\x00", "is not a text"),
        (b"a" * ((1 << 20) + 1), "is larger than 1 MiB"),
    ],
)
def test_a_file_without_good_keys_is_one_line(
    key_file: Path, text: bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key_file.write_bytes(text)
    assert run(["serve", "--api-key-file", str(key_file)]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
    assert b"spaces in a key" not in printed.encode()
    assert "\x1b" not in printed


def test_a_short_key_of_the_environment_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "too-short")
    assert run(["serve"]) == 2
    assert "PRODTOP_API_KEY: a key has at least 16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--api-key-file", "/missing/keys"], "there is no such file"),
        (["serve", "--api-key-file", "/"], "is a folder"),
        (["serve", "--tls-key", "key"], "--tls-key needs --tls-cert"),
        (["serve", "--tls-ca", "ca"], "--tls-ca needs --tls-cert"),
        (["serve", "--tls-cert", "/missing/cert"], "--tls-cert /missing/cert: there is no such"),
        (["serve", "--max-requests", "0"], "--max-requests"),
        (["serve", "--max-body-mib", "5000"], "--max-body-mib"),
        (["--log-prompts"], "give --serve with them"),
        (["--max-requests", "5"], "give --serve with them"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
