"""Messages over one end of a Unix socket pair, without ever blocking.

On the wire each message is a 4-byte big-endian length and that many bytes of msgpack.

A slow reader costs the writer nothing but samples: a `Frame`, a `HostSample`, a `ServerSample` or
a `RequestsInSystem` is dropped whole while anything is still unsent, because the next one
supersedes it. Every other message waits in a bounded outbox and leaves with a later `send`,
`receive` or `flush`, so that events are not lost while frames are.
"""

import socket
import struct
from typing import Generic, Self, TypeVar

import msgspec

from . import ENCODER, FleetSample, Frame, HostSample, Message, RequestsInSystem, ServerSample
from .errors import ProdtopError

HEADER = struct.Struct(">I")
MAX_MESSAGE_BYTES = 8 * 2**20
MAX_OUTBOX_BYTES = 16 * 2**20
READ_BYTES = 256 * 1024
MAX_DRAIN_BYTES = 4 * MAX_MESSAGE_BYTES

SUPERSEDED = (Frame, FleetSample, HostSample, RequestsInSystem, ServerSample)
"""Messages that the next of their kind replaces: these may be dropped."""

Incoming = TypeVar("Incoming")


class ChannelError(ProdtopError):
    """The peer sent what is no message of the protocol. The channel is closed by then."""


class Channel(Generic[Incoming]):
    """One end of the pair. `decoder` says which messages may arrive at this end.

    Neither `send` nor `receive` blocks. `closed` is true once the peer has gone and all that it
    sent was received, after a protocol error, and after `close`.
    """

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[Incoming]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = decoder
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._writable = True
        self._closed = False
        self._error: ChannelError | None = None

    @classmethod
    def from_fd(cls, fd: int, decoder: msgspec.msgpack.Decoder[Incoming]) -> Self:
        """Take over an inherited socket: the child's side of `--channel-fd N`."""
        return cls(socket.socket(fileno=fd), decoder)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unsent_bytes(self) -> int:
        """What waits in the outbox."""
        return len(self._outbox)

    def fileno(self) -> int:
        """For `select`; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: Message) -> bool:
        """Send or queue one message; `False` where it was dropped or the peer has gone.

        Raises `ValueError` for a message above `MAX_MESSAGE_BYTES`, which no peer would accept.
        """
        self.flush()
        if not self._writable:
            return False
        if self._outbox and isinstance(message, SUPERSEDED):
            return False
        body = ENCODER.encode(message)
        if len(body) > MAX_MESSAGE_BYTES:
            raise ValueError(f"{type(message).__name__} of {len(body)} bytes is above the limit")
        if len(self._outbox) + HEADER.size + len(body) > MAX_OUTBOX_BYTES:
            return False
        self._outbox += HEADER.pack(len(body)) + body
        self.flush()
        return self._writable

    def flush(self) -> None:
        """Write as much of the outbox as the peer takes now."""
        while self._outbox and self._writable:
            try:
                sent = self._socket.send(self._outbox)
            except BlockingIOError:
                return
            except OSError:
                # The peer has gone. What it said before may still be read, so the channel stays
                # open for receiving until its end is reached.
                self._stop_writing()
                return
            del self._outbox[:sent]

    def receive(self) -> list[Incoming]:
        """All whole messages that have arrived, oldest first.

        Raises `ChannelError` for input that is no message, after the messages before it were
        returned.
        """
        self.flush()
        messages: list[Incoming] = []
        if not self._closed:
            ended = self._fill_inbox()
            self._decode_inbox(messages)
            if ended:
                self.close()
        if self._error is not None and not messages:
            raise self._error
        return messages

    def close(self) -> None:
        """Close this end; what is unsent is lost."""
        self._stop_writing()
        self._closed = True
        self._socket.close()

    def _stop_writing(self) -> None:
        self._writable = False
        self._outbox.clear()

    def _fill_inbox(self) -> bool:
        """Read what is there; whether the peer's end was reached."""
        drained = 0
        while drained < MAX_DRAIN_BYTES:
            try:
                chunk = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if not chunk:
                return True
            self._inbox += chunk
            drained += len(chunk)
        return False

    def _decode_inbox(self, messages: list[Incoming]) -> None:
        """Move whole messages out of the inbox; a bad one closes the channel."""
        start = 0
        while len(self._inbox) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(self._inbox, start)
            if length > MAX_MESSAGE_BYTES:
                self._fail(f"a message of {length} bytes was announced")
                return
            end = start + HEADER.size + length
            if len(self._inbox) < end:
                break
            try:
                messages.append(self._decoder.decode(self._inbox[start + HEADER.size : end]))
            except msgspec.DecodeError as error:
                self._fail(str(error))
                return
            start = end
        del self._inbox[:start]

    def _fail(self, reason: str) -> None:
        self._error = ChannelError(f"the other process broke the protocol: {reason}")
        self._inbox.clear()
        self.close()


def channel_pair(
    decoder: msgspec.msgpack.Decoder[Incoming],
) -> tuple[Channel[Incoming], socket.socket]:
    """Our end, and the socket whose fd a child inherits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours, decoder), theirs
