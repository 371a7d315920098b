"""A small HTTP client: completions that are streamed, timed as they come, and pages."""

import http.client
import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from ..attach.reading.exposition import MOST_BYTES

REQUEST_TIMEOUT_S = 120.0
"""Without a byte from the server."""
_LONGEST_LINE_BYTES = 1 << 20
_LARGEST_PAGE_BYTES = MOST_BYTES + 1
"""One more than a scrape may have: a longer one is told from one that fits."""
_DONE = b"data: [DONE]"
_EVENT = b"data: {"
_USAGE = re.compile(rb'"usage":\{"prompt_tokens":\d+,"completion_tokens":(\d+)')
NO_ANSWER = 0
"""The status where the server closed the connection, or took none."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens on this machine, and the key that it knows."""

    host: str
    port: int
    key: str

    @classmethod
    def of(cls, url: str, key: str) -> "Address":
        """The address in `url`, such as `http://127.0.0.1:8000/v1`."""
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80, key)


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of a streamed answer: its last event counts tokens."""

    include_usage: bool = True


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request for a streamed completion of a fixed length, by the likeliest token."""

    prompt: str
    max_tokens: int
    temperature: float = 0.0
    ignore_eos: bool = True
    stream: bool = True
    stream_options: StreamOptions = StreamOptions()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request went. Times on the monotonic clock; `first_s`: of the first piece of text.

    `complete`: the stream came to its end without an error in it.
    """

    status: int
    began_s: float
    ended_s: float
    first_s: float | None = None
    tokens: int = 0
    complete: bool = False

    @property
    def good(self) -> bool:
        """Whether its client got all that it asked for."""
        return self.status == 200 and self.complete


class StreamRequest:
    """One request whose answer is read as it comes. `first_s` is set once it has begun to come."""

    def __init__(self, address: Address, body: Completion) -> None:
        self._address = address
        self._body = msgspec.json.encode(body)
        self._connection: http.client.HTTPConnection | None = None
        self.first_s: float | None = None

    def run(self) -> Answer:
        """Send it and read the whole answer; a server that goes away is an answer too."""
        began_s = time.monotonic()
        status, tokens, complete = NO_ANSWER, 0, False
        connection = _connection(self._address)
        self._connection = connection
        try:
            connection.request("POST", "/v1/completions", self._body, _headers(self._address))
            response = connection.getresponse()
            status = response.status
            if status == 200:
                tokens, complete = self._read(response)
            else:
                response.read(_LONGEST_LINE_BYTES)
        except (OSError, http.client.HTTPException, ValueError):
            complete = False
        finally:
            connection.close()
        return Answer(status, began_s, time.monotonic(), self.first_s, tokens, complete)

    def hang_up(self) -> None:
        """End it from another thread."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _read(self, response: http.client.HTTPResponse) -> tuple[int, bool]:
        """Tokens, and whether the stream ended as it should."""
        tokens, complete = 0, False
        while line := response.readline(_LONGEST_LINE_BYTES):
            if line.startswith(_EVENT):
                if self.first_s is None:
                    self.first_s = time.monotonic()
                if (usage := _USAGE.search(line)) is not None:
                    tokens = int(usage[1])
            elif line.startswith(_DONE):
                complete = tokens > 0
        return tokens, complete


def get_page(address: Address, path: str) -> bytes | None:
    """A page of the server; `None` where it does not answer with one."""
    connection = _connection(address)
    try:
        connection.request("GET", path, headers=_headers(address))
        response = connection.getresponse()
        data = response.read(_LARGEST_PAGE_BYTES)
        return data if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _connection(address: Address) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address.host, address.port, timeout=REQUEST_TIMEOUT_S)


def _headers(address: Address) -> dict[str, str]:
    return {"authorization": f"Bearer {address.key}", "content-type": "application/json"}
