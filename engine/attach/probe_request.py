"""One small streamed request to a server, as a client of its sends it: bounded in size and time."""

import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from .proxy.answer import Answer
from .proxy.upstream import Upstream

OUTPUT_TOKENS = 8
"""What a probe asks for: seven gaps between tokens."""
DEADLINE_S = 30.0
"""A server that takes longer is told of as such, and asked again later."""
_LARGEST_BYTES = 1 << 20
_READ_BYTES = 64 << 10
_NOT_SUPPORTED = frozenset({400, 404, 405, 422, 501})


class Way(NamedTuple):
    """A way of asking: which route, and whether it is asked to tell how many tokens there were."""

    path: str
    tells: bool


WAYS = (
    Way("/v1/completions", True),
    Way("/v1/chat/completions", True),
    Way("/v1/completions", False),
    Way("/v1/chat/completions", False),
)
"""In the order in which they are tried, until one is not refused."""


class ProbeError(Exception):
    """Why a probe has no answer, in a few words. `unsupported`: another way may have one."""

    def __init__(self, reason: str, *, unsupported: bool = False) -> None:
        super().__init__(reason)
        self.unsupported = unsupported


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe measured. Times are monotonic, in seconds."""

    sent_at_s: float
    ended_at_s: float
    answer: Answer


class ProbeConnection:
    """A connection for one probe. `interrupt`, from another thread, ends whatever it waits for."""

    def __init__(
        self,
        upstream: Upstream,
        headers: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._headers = headers
        self._clock = clock
        made = (upstream.host, upstream.port)
        self._http = (
            http.client.HTTPConnection(*made, timeout=DEADLINE_S)
            if upstream.tls is None
            else _https(made, upstream.tls)
        )

    def model(self) -> str:
        """The first model that the server lists. Raises `ProbeError`."""
        try:
            answer = self._ask("GET", "/v1/models", None)
            listed = json.loads(answer.read(_LARGEST_BYTES))
            return str(listed["data"][0]["id"])
        except (LookupError, TypeError, ValueError, RecursionError):
            raise ProbeError("it lists no model") from None
        except (OSError, http.client.HTTPException) as error:
            raise ProbeError(_words(error)) from None
        finally:
            self._http.close()

    def probe(self, model: str, way: Way) -> Probed:
        """Ask, and take the time of each piece. Raises `ProbeError`."""
        body = _body(model, way)
        try:
            # What it takes to connect is not the server's time to the first token.
            self._http.connect()
            sent_at_s = self._clock()
            response = self._ask("POST", way.path, body)
            return self._read(response, sent_at_s)
        except (OSError, http.client.HTTPException) as error:
            raise ProbeError(_words(error)) from None
        finally:
            self._http.close()

    def interrupt(self) -> None:
        """Let go of the server at once."""
        sock = self._http.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
        headers = {"Accept": "*/*", **self._headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        host = self._upstream.authority.decode()
        self._http.request(
            method, self._upstream.prefix.decode() + path, body, {"Host": host, **headers}
        )
        response = self._http.getresponse()
        if response.status != 200:
            unsupported = response.status in _NOT_SUPPORTED
            raise ProbeError(f"HTTP {response.status}", unsupported=unsupported)
        return response

    def _read(self, response: http.client.HTTPResponse, sent_at_s: float) -> Probed:
        answer = Answer(response.getheader("content-type") or "")
        if not answer.streamed:
            raise ProbeError("its answer is no stream", unsupported=True)
        read = 0
        while data := response.read1(_READ_BYTES):
            now_s = self._clock()
            answer.take(data, now_s)
            read += len(data)
            if read > _LARGEST_BYTES or now_s - sent_at_s > DEADLINE_S:
                raise ProbeError(f"its answer has no end within {DEADLINE_S:.0f} s and 1 MiB")
        ended_at_s = self._clock()
        answer.end(ended_at_s)
        if answer.failed or not answer.pieces:
            raise ProbeError("its answer has no text")
        return Probed(sent_at_s, ended_at_s, answer)


def _https(made: tuple[str, int], tls: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(*made, timeout=DEADLINE_S, context=tls)


def _body(model: str, way: Way) -> bytes:
    # No cache of prompts or answers has seen it before.
    prompt = f"{secrets.token_hex(4)}: count from one to ten in words:"
    chat = [{"role": "user", "content": prompt}]
    body: dict[str, object] = {
        "model": model,
        **({"messages": chat} if "chat" in way.path else {"prompt": prompt}),
        "max_tokens": OUTPUT_TOKENS,
        "temperature": 0,
        "stream": True,
        **({"stream_options": {"include_usage": True}} if way.tells else {}),
    }
    return json.dumps(body).encode()


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {DEADLINE_S:.0f} s"
    return getattr(error, "strerror", None) or type(error).__name__
