"""Heads of HTTP/1.1 messages: read strictly, and passed on with as little changed as can be.

What two readers could take differently (both framings, a length twice, folded fields) is refused
in a request: else a client could hide one request in another. RFC 9112.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...protocol.server_options import is_loopback

LONGEST_HEAD_BYTES = 64 << 10
"""Of a request or an answer, its first line and all its fields."""
END = b"\r\n\r\n"

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/(1\.[01])")
_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_BODYLESS = frozenset({204, 304})

Field = tuple[bytes, bytes]


class HeadError(Exception):
    """Why a message is not passed on; `status` is the answer to it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body ends: after `length` bytes, with its last chunk, or with the connection."""

    length: int | None = 0
    chunked: bool = False


NO_BODY = Framing()
UNTIL_CLOSE = Framing(length=None)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's first line and fields; names are lower case."""

    method: bytes
    target: bytes
    version: bytes
    fields: tuple[Field, ...]
    framing: Framing

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("latin-1")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """An answer's status and fields. `interim`: another head follows (100, 103)."""

    status: int
    fields: tuple[Field, ...]
    framing: Framing

    @property
    def interim(self) -> bool:
        return 100 <= self.status < 200

    def field(self, name: bytes) -> str:
        """The value of the field, empty where there is none."""
        return b", ".join(values_of(self.fields, name)).decode("latin-1")


def values_of(fields: tuple[Field, ...], name: bytes) -> list[bytes]:
    """The values of all fields of that name, which is lower case."""
    return [value for each, value in fields if each == name]


def read_request(head: bytes) -> RequestHead:
    """The head of a request, `END` included. Raises `HeadError`."""
    first, fields = _lines(head, 400)
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        known = first.startswith(b"PRI * HTTP/2")
        raise HeadError(505 if known else 400, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    method, target, version = match.groups()
    if method == b"CONNECT":
        raise HeadError(501, "CONNECT is not supported: this passes requests to one server")
    hosts = values_of(fields, b"host")
    if len(hosts) > 1 or (version == b"1.1" and not hosts):
        raise HeadError(400, "a request needs one Host field")
    callers = [b"//" + host for host in hosts] + values_of(fields, b"origin")
    if not all(map(_is_local, callers)):
        # A browser reaches the loopback on behalf of any page, if need be by DNS rebinding.
        raise HeadError(403, "only programs of this machine are served, by a loopback address")
    if b"websocket" in b",".join(values_of(fields, b"upgrade")).lower():
        raise HeadError(501, "an upgrade of the connection is not passed on")
    return RequestHead(method, target, version, fields, _request_framing(version, fields))


def read_response(head: bytes, method: bytes) -> ResponseHead:
    """The head of the answer to a request of `method`. Raises `HeadError`."""
    first, fields = _lines(head, 502)
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise HeadError(502, "the server's answer is not HTTP")
    status = int(match[2])
    if status == 101:
        raise HeadError(502, "the server changed the protocol unasked")
    if method == b"HEAD" or status < 200 or status in _BODYLESS:
        return ResponseHead(status, fields, NO_BODY)
    codings = values_of(fields, b"transfer-encoding")
    if codings:
        last = b",".join(codings).rpartition(b",")[2].strip().lower()
        framing = Framing(None, chunked=True) if last == b"chunked" else UNTIL_CLOSE
        return ResponseHead(status, fields, framing)
    lengths = values_of(fields, b"content-length")
    if not lengths:
        return ResponseHead(status, fields, UNTIL_CLOSE)
    return ResponseHead(status, fields, Framing(_length(lengths, 502)))


def passed_on(head: bytes, request: RequestHead, host: bytes, prefix: bytes) -> bytes:
    """The head as the server gets it: its own name as host, `prefix` before the path, and no offer
    to change the protocol. Every other byte is the client's."""
    first, _, rest = head.partition(b"\r\n")
    if prefix and request.target.startswith(b"/"):
        first = first.replace(b" " + request.target, b" " + prefix + request.target, 1)
    lines = [first]
    offered = bool(values_of(request.fields, b"upgrade"))
    for line in rest.split(b"\r\n"):
        name = line.partition(b":")[0].lower()
        if name == b"host":
            line = line[:5] + b" " + host
        elif offered and name in (b"upgrade", b"http2-settings"):
            continue
        elif offered and name == b"connection":
            line = _without_offer(line)
        lines.append(line)
    return b"\r\n".join(lines)


def _is_local(url: bytes) -> bool:
    try:
        host = urlsplit(url.decode("latin-1")).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _without_offer(line: bytes) -> bytes:
    """A Connection field without the names of what is not passed on."""
    name, _, value = line.partition(b":")
    kept = [
        each.strip()
        for each in value.split(b",")
        if each.strip().lower() not in (b"upgrade", b"http2-settings")
    ]
    return name + b": " + (b", ".join(kept) or b"keep-alive")


def _lines(head: bytes, status: int) -> tuple[bytes, tuple[Field, ...]]:
    first, *lines = head[: -len(END)].split(b"\r\n")
    fields: list[Field] = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise HeadError(status, "a field of the head cannot be read")
        fields.append((match[1].lower(), match[2]))
    return first, tuple(fields)


def _request_framing(version: bytes, fields: tuple[Field, ...]) -> Framing:
    codings, lengths = values_of(fields, b"transfer-encoding"), values_of(fields, b"content-length")
    if codings:
        if lengths or version != b"1.1":
            raise HeadError(400, "a body has one framing")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise HeadError(501, "of transfer codings only chunked is passed on")
        return Framing(None, chunked=True)
    return Framing(_length(lengths, 400)) if lengths else NO_BODY


def _length(values: list[bytes], status: int) -> int:
    if len(values) > 1 or not re.fullmatch(rb"[0-9]{1,18}", values[0]):
        raise HeadError(status, "the length of a body cannot be read")
    return int(values[0])
