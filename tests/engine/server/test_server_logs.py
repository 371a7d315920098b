"""The log of requests: what is in a line, and that nothing of a client's but its clean id is."""

import asyncio
import errno
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO, saying
from asgi_client import Client, Json
from hostile_requests import hostile_requests
from hostile_text import HOSTILE, PIECES, WORD, found_in_command
from prodtop.engine.files.rotating_log import RotatingLog
from prodtop.engine.protocol.api_keys import key_hash
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.server_operations import Operations, RequestLog
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.error_log import log_errors
from prodtop.engine.server.gate import Gate
from prodtop.engine.server.log_thread import MOST_WAITING, LogThread
from prodtop.engine.server.request_log import RequestLogger, open_request_log
from prodtop.engine.server.state import Draining
from scripted_link import ScriptedLink, serving_of
from served_folders import chat_folder, ids_of
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY = "a-key-that-nobody-may-see"
SECRET = "PROMPT-THAT-NOBODY-MAY-SEE"


async def _fail(request: Request) -> Response:
    raise ValueError(SECRET + HOSTILE) from KeyError(SECRET)


class Logged:
    """A client of a server whose lines are kept."""

    def __init__(self, *, as_json: bool = True, prompts: bool = False, key: str | None = None):
        operations = Operations(
            key_hashes=() if key is None else (key_hash(key.encode()),),
            log=RequestLog(as_json=as_json, prompts=prompts),
        )
        self.written: list[bytes] = []
        self.link = ScriptedLink(lambda _: saying("hello"), serving_of(chat_folder()))
        options = ServerOptions(operations=operations)
        app = create_app(self.link, options, more_routes=[Route("/fail", _fail)])
        self._thread = LogThread(self.written.append)
        log = RequestLogger(self._thread, as_json=as_json)
        self.draining = Draining()
        gate = Gate(app, self.draining, app.state.http_counters, log)
        self.client = Client(gate)  # type: ignore[arg-type]  # any ASGI application

    def bytes(self) -> bytes:
        """All that was written, once no more comes."""
        self._thread.close()
        return b"".join(self.written)

    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.bytes().splitlines()]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
async def test_a_line_has_what_became_of_a_request(path: str, stream: bool) -> None:
    logged = Logged()
    body = HELLO if path == CHAT else {"prompt": [5, 6, 7]}
    headers = {"x-request-id": "mine-1"}
    await logged.client.post(path, body | {"stream": stream}, headers)
    (line,) = logged.lines()
    times = [line.pop(name) for name in ("ttft_ms", "e2e_ms")]
    assert 0 <= times[0] <= times[1]
    assert line.pop("time").endswith("Z")
    submit = logged.link.streams[0].submit
    assert line == {
        "client": "127.0.0.1:1",
        "method": "POST",
        "route": path,
        "status": 200,
        "id": "mine-1",
        "prompt_tokens": len(submit.prompt_tokens),
        "output_tokens": len(ids_of("hello")),
    }


async def test_the_same_as_text() -> None:
    logged = Logged(as_json=False)
    await logged.client.post(COMPLETIONS, {"prompt": [5, 6, 7]}, {"x-request-id": "mine-1"})
    await logged.client.get("/v1/models")
    first, second = logged.bytes().decode().splitlines()
    assert " 127.0.0.1:1 POST /v1/completions 200 id=mine-1 prompt=3 output=3 ttft_ms=" in first
    assert " 127.0.0.1:1 GET /v1/models 200 id=" in second


async def test_a_client_that_leaves_is_noted_as_that() -> None:
    logged = Logged()
    logged.link.script = lambda _: [asyncio.Event()]
    call = logged.client.begin("POST", COMPLETIONS, {"prompt": "a", "stream": True})
    while not logged.link.streams:
        await asyncio.sleep(0)
    call.leave()
    await call.done()
    (line,) = logged.lines()
    assert line["aborted"] is True
    assert line["output_tokens"] == 0
    assert "ttft_ms" not in line


async def test_who_watches_is_logged_where_he_is_refused_alone() -> None:
    logged = Logged(key=KEY)
    for headers in ({}, {"authorization": f"Bearer {KEY}"}):
        for path in ("/health", "/ready", "/metrics", "/version"):
            await logged.client.begin("GET", path, b"", headers).done()
    assert [(line["route"], line["status"]) for line in logged.lines()] == [("-", 401)] * 2


async def test_what_a_drain_refuses_is_logged() -> None:
    logged = Logged()
    logged.draining.begin(1.0)
    await logged.client.post(COMPLETIONS, {"prompt": "a"})
    assert [line["status"] for line in logged.lines()] == [503]


@pytest.mark.parametrize("prompts", [False, True])
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("key", [None, KEY])
async def test_no_text_of_a_client_takes_a_terminal_over(
    as_json: bool, prompts: bool, key: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    log_errors(with_texts=False)
    try:
        logged = Logged(as_json=as_json, prompts=prompts, key=key)
        sent = 0
        for text in (HOSTILE, *PIECES.values()):
            for method, path, body, headers in hostile_requests(text):
                if key is not None and "authorization" not in headers:
                    headers["authorization"] = f"Bearer {KEY}"
                sent += 1
                try:
                    answer = await logged.client.begin(method, path, body, headers).done()
                except ValueError:
                    # A defect is uvicorn's to log, which does it through `logging`.
                    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
                    continue
                assert answer.status < 500
                _check_answer(answer.body, answer.headers)
    finally:
        logging.basicConfig(handlers=[], force=True)
    written = logged.bytes() + capfd.readouterr().err.encode()
    assert not found_in_command(written)
    assert written.count(b"\n") >= sent - 2 * len(PIECES)
    assert (WORD.encode() in written) == prompts
    assert KEY.encode() not in written


def _check_answer(body: bytes, headers: dict[str, str]) -> None:
    """Clients print errors: they are clean. Texts that were asked for are what they are."""
    for name, value in headers.items():
        assert value.isprintable(), (name, value)
    if b'"error":' in body[:10]:
        error = json.loads(body)["error"]
        assert error["message"].isprintable() or not found_in_command(error["message"].encode())
        assert not found_in_command((error["param"] or "").encode())


@pytest.mark.parametrize("with_texts", [False, True])
def test_an_error_s_text_is_logged_only_where_prompts_are(
    with_texts: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    log_errors(with_texts=with_texts)
    try:
        try:
            raise ValueError(SECRET) from KeyError(SECRET)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    finally:
        logging.basicConfig(handlers=[], force=True)
    printed = capfd.readouterr().err
    assert "ValueError" in printed
    assert "KeyError" in printed
    assert "test_server_logs.py" in printed
    assert (SECRET in printed.replace("raise ValueError(SECRET) from KeyError(SECRET)", "")) == (
        with_texts
    )


async def test_prompts_are_logged_where_that_is_asked_for() -> None:
    logged = Logged(prompts=True)
    await logged.client.post(COMPLETIONS, {"prompt": SECRET, "stream": True})
    (line,) = logged.lines()
    assert json.loads(line["request"]) == {"prompt": SECRET, "stream": True}


# The thread that writes


def _full(_: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_cannot_be_written_is_lost_and_the_rest_begins_a_line_of_its_own() -> None:
    written: list[bytes] = []
    turns: list[Callable[[bytes], None]] = [_full, written.append]
    wrote = threading.Event()

    def write(data: bytes) -> None:
        try:
            turns.pop(0)(data)
        finally:
            wrote.set()

    thread = LogThread(write)
    thread.put(b"lost\n")
    assert wrote.wait(30)
    thread.put(b"kept\n")
    thread.close()
    assert written == [b"\nkept\n"]
    assert thread.lost == 1


def test_a_disk_that_hangs_costs_lines_and_no_memory() -> None:
    goes_on, hangs = threading.Event(), threading.Event()

    def write(_: bytes) -> None:
        hangs.set()
        goes_on.wait(30)

    thread = LogThread(write)
    thread.put(b"first\n")
    assert hangs.wait(30)
    for _ in range(MOST_WAITING + 5):
        thread.put(b"more\n")
    assert thread.lost == 5
    goes_on.set()
    thread.close()


async def test_a_file_is_its_owner_s_alone_and_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodtop.engine.files.rotating_log.MAX_LOG_BYTES", 1000)
    file = tmp_path / "requests.log"
    log = open_request_log(RequestLog(file=str(file)))
    for _ in range(40):
        log.log({"method": "GET"}, 200, 0.0, aborted=False)
        await asyncio.sleep(0.001)
    log.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert 0 < file.stat().st_size <= 1000
    assert file.with_name("requests.log.1").exists()


@pytest.mark.parametrize("where", [".", "missing/requests.log", "/dev/full", "/dev/null"])
def test_a_file_that_cannot_be_written_is_one_line(where: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"^--log-file .*: cannot be written: .*$"):
        open_request_log(RequestLog(file=str(tmp_path / where)))


def test_a_log_by_its_path_is_where_it_was_asked_for(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "own")
    log.write(b"a\n")
    log.close()
    assert (tmp_path / "own").read_bytes() == b"a\n"
