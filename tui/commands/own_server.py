"""A server of a command's own, for what is measured over the API: on a free port, of this machine
alone, without guards and without a load."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...engine.client.local_engine import LocalEngine
from ...engine.files.paths import log_dir
from ...engine.protocol import ChildDied, Fault, Frame, ServerListening
from ...engine.protocol.errors import ProdtopError, WorkerFailedError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.server_options import DEFAULT_HOST, ServerOptions
from ...engine.server.errors import CONTEXT_LENGTH_EXCEEDED
from ...engine.server.guards.calibrating import Answered
from ...engine.server.guards.uncertainty import entropy_of_top
from .worker_reports import POLL_INTERVAL_S

TOP_LOGPROBS = 20
ANSWER_TIMEOUT_S = 600.0

Json = dict[str, Any]  # what JSON gives


@contextmanager
def own_completions(options: WorkerOptions) -> Iterator["OwnCompletions"]:
    """Serve a model, and what asks it. Raises `ProdtopError` where it cannot be served."""
    # No probe: nothing here shows what it reads.
    engine = LocalEngine(options, probe_command=None, server=ServerOptions(port=0))
    engine.start()
    ended = threading.Event()
    following: threading.Thread | None = None
    try:
        port, frame = _until_serving(engine)
        failure = _Failure()
        following = threading.Thread(target=_follow, args=(engine, ended, failure), daemon=True)
        following.start()
        yield OwnCompletions(port, frame.model.name, str(frame.precision), failure)
    finally:
        ended.set()
        if following is not None:
            following.join()
        engine.close(at_once=True)


@dataclass(slots=True)
class _Failure:
    """Why the engine went away meanwhile, if it did."""

    error: ProdtopError | None = None


def _until_serving(engine: LocalEngine) -> tuple[int, Frame]:
    port: int | None = None
    frame: Frame | None = None
    while port is None or frame is None:
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            match report:
                case Frame():
                    frame = report
                case ServerListening():
                    port = report.port
                case Fault():
                    raise WorkerFailedError(report.message, report.exit_code)
                case ChildDied():
                    raise _died(report)
                case _:
                    pass
    return port, frame


def _follow(engine: LocalEngine, ended: threading.Event, failure: _Failure) -> None:
    """Take the engine's reports, which would fill its pipes."""
    while not ended.is_set():
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            if isinstance(report, Fault):
                failure.error = WorkerFailedError(report.message, report.exit_code)
            elif isinstance(report, ChildDied):
                failure.error = _died(report)


def _died(death: ChildDied) -> ProdtopError:
    return ProdtopError(f"the {death.child} died: {death.reason}; its log is in {log_dir()}")


class _TooLongError(ProdtopError):
    """A text does not fit into the context."""


class OwnCompletions:
    """Asks the server for completions, one after the other."""

    def __init__(self, port: int, model: str, precision: str, failure: _Failure) -> None:
        self._port, self._failure = port, failure
        self.precision = precision
        self.model = self._served_name() or model

    def answer(self, prompt: str, max_tokens: int, temperature: float, seed: int) -> Answered:
        """Continue a prompt. Raises `ProdtopError`."""
        choice = self._complete(
            prompt=prompt,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            logprobs=TOP_LOGPROBS,
        )
        tops = choice["logprobs"]["top_logprobs"]
        # The token itself stands beside the likeliest ones where it is none of them.
        likeliest = [sorted(top.values(), reverse=True)[:TOP_LOGPROBS] for top in tops]
        return Answered(choice["text"], [entropy_of_top(top) for top in likeliest])

    def score(self, text: str) -> list[float]:
        """The logprobs of a text's tokens but the first, of as much as the context holds. Raises
        `ProdtopError`."""
        while True:
            try:
                return [logprob for _, logprob in self._scored(text)]
            except _TooLongError:
                text = text[: len(text) * 4 // 5]

    def score_end(self, beginning: str, end: str) -> list[float]:
        """The logprobs of the tokens of `end` after `beginning`. Raises `ProdtopError`."""
        scored = self._scored(beginning + end)
        return [logprob for offset, logprob in scored if offset >= len(beginning)]

    def _scored(self, text: str) -> list[tuple[int, float]]:
        choice = self._complete(
            prompt=text, max_tokens=0, echo=True, logprobs=0, add_special_tokens=False
        )
        found = choice["logprobs"]
        pairs = zip(found["text_offset"], found["token_logprobs"], strict=True)
        return [(offset, logprob) for offset, logprob in pairs if logprob is not None]

    def _complete(self, **fields: object) -> Json:
        answer = self._ask("POST", "/v1/completions", json.dumps(fields))
        choice: Json = answer["choices"][0]
        return choice

    def _served_name(self) -> str | None:
        models = self._ask("GET", "/v1/models", None)["data"]
        return str(models[0]["id"]) if models else None

    def _ask(self, method: str, path: str, body: str | None) -> Json:
        connection = http.client.HTTPConnection(DEFAULT_HOST, self._port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._failure.error or ProdtopError(f"the server is gone: {error}") from error
        finally:
            connection.close()
        try:
            told: Json = json.loads(data)
        except ValueError as error:
            raise ProdtopError(f"the server's answer is no JSON: {error}") from error
        if answer.status != 200:
            refusal = told["error"]
            too_long = refusal["code"] == CONTEXT_LENGTH_EXCEEDED
            kind = _TooLongError if too_long else ProdtopError
            raise self._failure.error or kind(str(refusal["message"]))
        return told
