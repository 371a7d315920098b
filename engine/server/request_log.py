"""The log of requests: one line each, without what clients wrote, unless that is asked for.

Of what a client chose only its request id is in a line, which is clean, and the method, which is
one of HTTP's: the route is named by its pattern. Keys and other headers never are.
"""

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPMethod
from pathlib import Path
from typing import Any

import msgspec

from ..files.rotating_log import RotatingLog
from ..protocol.errors import BadInputError
from ..protocol.server_operations import RequestLog
from ..text.cleaning import clean, escape_json
from .generation import Generation
from .log_thread import LogThread
from .scope_keys import BODY, GENERATION

LONGEST_BODY_CHARS = 1 << 16
_METHODS = frozenset(HTTPMethod)


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request. `ttft_ms` and `e2e_ms` are the server's: from its head to the first token that
    came from the engine, and to the end of the answer. `request` is what the client sent."""

    time: str
    client: str
    method: str
    route: str
    status: int | None = None
    id: str
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    ttft_ms: float | None = None
    e2e_ms: float
    aborted: bool = False
    request: str | None = None

    def text(self) -> str:
        """The line as people read it; what there is none of is `-`."""
        shown = [self.time, self.client, self.method, self.route, _or_dash(self.status)]
        shown.append(f"id={self.id}")
        if self.prompt_tokens is not None:
            shown += [f"prompt={self.prompt_tokens}", f"output={self.output_tokens}"]
            shown.append(f"ttft_ms={_or_dash(self.ttft_ms)}")
        shown.append(f"e2e_ms={self.e2e_ms}")
        if self.aborted:
            shown.append("aborted")
        if self.request is not None:
            shown.append(f"request={self.request}")
        return " ".join(shown)

    def json(self) -> str:
        """The line as programs read it; what there is none of is missing."""
        return escape_json(msgspec.json.encode(self).decode())


class RequestLogger:
    """Makes a line of each request, and has a thread write it."""

    def __init__(self, thread: LogThread, *, as_json: bool) -> None:
        self._thread = thread
        self._as_json = as_json

    def log(
        self, scope: Mapping[str, Any], status: int | None, began_at_s: float, *, aborted: bool
    ) -> None:
        """A request has ended: `status` `None` where it had no answer."""
        entry = entry_of(scope, status, began_at_s, time.monotonic(), aborted=aborted)
        self._thread.put((entry.json() if self._as_json else entry.text()).encode() + b"\n")

    def close(self) -> None:
        """Write what there is, and end the thread."""
        self._thread.close()


def open_request_log(options: RequestLog) -> RequestLogger:
    """The log that is asked for: a file, which is set aside as it grows, or standard error, which
    is in the log of the server. Raises `BadInputError` where the file cannot be written."""
    return RequestLogger(LogThread(_writer(options.file)), as_json=options.as_json)


def _writer(file: str | None) -> Callable[[bytes], object]:
    if file is None:
        return _print
    try:
        return RotatingLog(Path(file)).write
    except OSError as error:
        reason = clean(error.strerror or str(error))
        raise BadInputError(f"--log-file {clean(file)}: cannot be written: {reason}") from error


def _print(lines: bytes) -> None:
    sys.stderr.write(lines.decode())
    sys.stderr.flush()


def entry_of(
    scope: Mapping[str, Any],
    status: int | None,
    began_at_s: float,
    now_s: float,
    *,
    aborted: bool,
) -> LogEntry:
    """What a request's scope tells of it, at its end."""
    generation: Generation | None = scope.get(GENERATION)
    prompt_tokens = output_tokens = first_at_s = None
    if generation is not None:
        prompt_tokens = sum(generation.prompt_tokens().values())
        output_tokens = sum(choice.text.generated for choice in generation.choices)
        firsts = [choice.first_output_at_s for choice in generation.choices]
        first_at_s = min((at_s for at_s in firsts if at_s is not None), default=None)
    method = scope["method"]
    host, port = scope.get("client") or ("-", 0)
    return LogEntry(
        time=_utc(),
        client=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        method=method if method in _METHODS else "-",
        # By its pattern: a path is the client's to choose.
        route=getattr(scope.get("route"), "path", "-"),
        status=status,
        id=scope.get("state", {}).get("request_id", "-"),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        ttft_ms=None if first_at_s is None else _ms(first_at_s - began_at_s),
        e2e_ms=_ms(now_s - began_at_s),
        aborted=aborted,
        request=_readable(scope.get(BODY)),
    )


def _readable(body: bytes | None) -> str | None:
    """A body in one line, without anything that a terminal would obey."""
    if body is None:
        return None
    try:
        text = msgspec.json.encode(msgspec.json.decode(body)).decode()
    except (msgspec.DecodeError, ValueError, RecursionError):
        text = ascii(body)
    return escape_json(text[:LONGEST_BODY_CHARS])


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else str(value)
