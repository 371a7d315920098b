"""One client's connection and the one to the server that belongs to it: bytes pass between them.

Each connection of a client has one of its own to the server, so that whatever one side does
(keeps alive, closes, stops reading) happens to the other. Heads are read and bodies followed to
know where messages end; what goes on are the bytes that came. Only a request's Host is changed, and
an offer to change the protocol left out. Nothing is logged.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable

from .framing import Body, FramingError
from .heads import (
    END,
    LONGEST_HEAD_BYTES,
    HeadError,
    ResponseHead,
    passed_on,
    read_request,
    read_response,
)
from .sides import ServerSide
from .turn import Turn, Watch, own_answer
from .upstream import Upstream

MOST_HELD_BYTES = 64 << 10
"""What is kept of a client that sends before it may go on; more is not read from it."""
HEAD_S = 30.0
"""By when a head that began must be whole."""

_RESET = struct.pack("ii", 1, 0)

CLIENT_LEFT = "client left"
SERVER_CLOSED = "server closed"
UNREACHABLE = "unreachable"


class Connection:
    """Both sides of one client. `gone` is called once, when neither is left."""

    def __init__(self, upstream: Upstream, watch: Watch, gone: Callable[["Connection"], None]):
        self._upstream = upstream
        self._watch = watch
        self._gone = gone
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._turn: Turn | None = None
        self._turns = 0
        self._held = b""
        """Of the client, not passed on yet."""
        self._held_since_s = 0.0
        self._unsent: list[bytes] = []
        """For the server, while it is being connected to."""
        self._answer_head = b""
        self._closing = False
        self._client_paused = self._server_full = False
        self._head_timer: asyncio.TimerHandle | None = None

    # The client's side

    def client_made(self, transport: asyncio.Transport, *, refused: bool) -> None:
        """A client connected; `refused`: there are too many."""
        self._client = transport
        if refused:
            self._refuse(HeadError(503, "too many connections are open"))

    def client_data(self, data: bytes) -> None:
        """The client sent something."""
        if self._closing:
            return
        if not self._held:
            self._held_since_s = time.monotonic()
        self._held += data
        self._pass_requests()

    def client_lost(self) -> None:
        """The client is gone, or said that it sends no more: what it waited for is aborted."""
        self._end_turn(CLIENT_LEFT)
        self.abort_server()
        if self._client is not None:
            # What it has not taken of whole answers still leaves.
            self._client.close()
        self._close()

    def client_closed(self) -> None:
        """Its socket is closed."""
        self._end_turn(CLIENT_LEFT)
        self.abort_server()
        self._client = None
        self._close()
        self._gone(self)

    def client_full(self, *, full: bool) -> None:
        """Whether the client takes less than comes: then no more is read from the server."""
        server = self._server
        if server is not None and not server.is_closing():
            server.pause_reading() if full else server.resume_reading()

    def _pass_requests(self) -> None:
        """Send on what may go on of what the client sent."""
        try:
            while self._held and not self._closing:
                if self._turn is None:
                    if not self._begin_turn():
                        break
                elif not self._turn.request_body.done:
                    self._pass_body(self._turn)
                else:
                    # A request behind one that is not answered yet has to wait.
                    break
        except HeadError as error:
            self._refuse(error)
        except FramingError as error:
            self._refuse(HeadError(400, str(error)))
        self._pace_client()

    def _begin_turn(self) -> bool:
        """Take a head from what the client sent, if it is whole."""
        # An empty line before a request is one that a client sent too many (RFC 9112, 2.2).
        self._held = self._held.lstrip(b"\r\n")
        end = self._held.find(END)
        if (end if end >= 0 else len(self._held)) > LONGEST_HEAD_BYTES:
            raise HeadError(431, f"a head of more than {LONGEST_HEAD_BYTES} bytes is not read")
        if end < 0:
            if self._head_timer is None and self._held:
                loop = asyncio.get_running_loop()
                self._head_timer = loop.call_later(HEAD_S, self._head_is_late)
            return False
        self._stop_timer()
        head, self._held = self._held[: end + len(END)], self._held[end + len(END) :]
        request = read_request(head)
        exchange = self._watch.begin(request, self._held_since_s)
        self._turn = turn = Turn(request, exchange)
        self._turns += 1
        self._send(passed_on(head, request, self._upstream.authority, self._upstream.prefix))
        if turn.request_body.done:
            self._request_sent(turn)
        return True

    def _pass_body(self, turn: Turn) -> None:
        held, self._held = self._held, b""
        end, content = turn.request_body.take(held)
        self._send(held if end == len(held) else held[:end])
        self._held = held[end:]
        self._held_since_s = time.monotonic()
        if turn.exchange is not None:
            turn.exchange.on_request_content(content)
        if turn.request_body.done:
            self._request_sent(turn)

    def _request_sent(self, turn: Turn) -> None:
        if turn.exchange is not None:
            self._watch.on_sent(turn.exchange, time.monotonic())
        if turn.answered:
            self._turn = None

    def _pace_client(self) -> None:
        """Read from the client only while what it sends can go somewhere."""
        client = self._client
        if client is None or client.is_closing():
            return
        unsent = sum(map(len, self._unsent))
        wait = self._server_full or max(len(self._held), unsent) > MOST_HELD_BYTES
        if wait is not self._client_paused:
            self._client_paused = wait
            client.pause_reading() if wait else client.resume_reading()

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._refuse(HeadError(408, "the head of the request did not come in time"))

    # The server's side

    def _send(self, data: bytes) -> None:
        if self._server is not None:
            self._server.write(data)
            return
        self._unsent.append(data)
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._upstream.connect(lambda: ServerSide(self))
        except (OSError, TimeoutError) as error:
            # `ssl.SSLError` is an `OSError` as well. Its text names no header and no body.
            reason = f"{self._upstream.url} cannot be reached: {error or 'it does not answer'}"
            if not self._closing:
                self._end_turn(UNREACHABLE)
                self._refuse(HeadError(502, reason))

    def server_made(self, transport: asyncio.Transport) -> None:
        """The server is connected."""
        if self._closing:
            transport.abort()
            return
        self._server = transport
        transport.writelines(self._unsent)
        self._unsent.clear()
        self._pace_client()

    def server_data(self, data: bytes) -> None:
        """The server sent something: pass it on, then look at it."""
        at_s = time.monotonic()
        at = 0
        try:
            while at < len(data) and not self._closing:
                turn = self._turn
                if turn is None or turn.answered:
                    # Nobody asked for it.
                    self._fail(SERVER_CLOSED, reset=True)
                elif turn.body is None:
                    data, at = self._answer_head + data[at:], 0
                    at = self._pass_head(turn, data)
                else:
                    at = self._pass_answer(turn, turn.body, data, at, at_s)
        except (HeadError, FramingError):
            self._fail("no HTTP")

    def _pass_head(self, turn: Turn, data: bytes) -> int:
        """Pass on a head of an answer, if it is whole; how far that is."""
        end = data.find(END)
        if (end if end >= 0 else len(data)) > LONGEST_HEAD_BYTES:
            raise HeadError(502, "the head of the answer is too long")
        if end < 0:
            self._answer_head = data
            return len(data)
        self._answer_head = b""
        end += len(END)
        head: ResponseHead = read_response(data[:end], turn.head.method)
        self._to_client(turn, data[:end])
        if head.interim:
            return end
        turn.body = Body(head.framing)
        if turn.exchange is not None:
            turn.exchange.on_head(head)
        if turn.body.done:
            self._answered(turn, time.monotonic())
        return end

    def _pass_answer(self, turn: Turn, body: Body, data: bytes, at: int, at_s: float) -> int:
        end, content = body.take(data, at)
        self._to_client(turn, data if at == 0 and end == len(data) else data[at:end])
        if turn.exchange is not None:
            self._watch.on_content(turn.exchange, content, at_s)
        if body.done:
            self._answered(turn, at_s)
        return end

    def _to_client(self, turn: Turn, data: bytes) -> None:
        turn.begun = True
        if self._client is not None:
            self._client.write(data)

    def _answered(self, turn: Turn, at_s: float, failure: str | None = None) -> None:
        """The answer is whole: the next request may go on."""
        turn.answered = True
        if turn.exchange is not None:
            exchange, turn.exchange = turn.exchange, None
            self._watch.end(exchange, at_s, failure)
        if turn.request_body.done:
            self._turn = None
            if self._held:
                asyncio.get_running_loop().call_soon(self._pass_requests)

    def server_full(self, *, full: bool) -> None:
        """Whether the server takes less than the client sends."""
        self._server_full = full
        self._pace_client()

    def server_lost(self, error: Exception | None) -> None:
        """The server closed the connection, or it broke."""
        self._server = None
        if self._closing:
            return
        turn = self._turn
        if turn is None or turn.answered:
            self._finish_client()
        elif turn.body is not None and turn.body.until_close and error is None:
            self._answered(turn, time.monotonic())
            self._finish_client()
        else:
            self._fail(SERVER_CLOSED, reset=error is not None)

    def _fail(self, failure: str, *, reset: bool = False) -> None:
        """The answer under way will not be whole: its client must see that."""
        turn = self._turn
        self._end_turn(failure)
        if turn is not None and not turn.begun and self._turns == 1:
            self._refuse(HeadError(502, f"{self._upstream.url}: {failure}"))
            return
        # On a connection that was kept alive a request may be sent again: a client knows when.
        if turn is not None and turn.body is not None and turn.body.until_close and reset:
            self._reset_client()
        self._finish_client()

    # Ends

    def _refuse(self, error: HeadError) -> None:
        """The last answer of this connection, of the proxy's own."""
        turn, client = self._turn, self._client
        self._end_turn(error.reason)
        if client is not None and not client.is_closing() and not (turn and turn.begun):
            client.write(own_answer(error))
        self._finish_client()

    def _finish_client(self) -> None:
        """No more comes for the client."""
        if self._client is not None:
            self._client.close()
        self.abort_server()
        self._close()

    def _reset_client(self) -> None:
        """Where only the connection's end ends an answer, a plain end would make it look whole."""
        client = self._client
        if client is not None:
            sock: socket.socket | None = client.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.abort()

    def abort_server(self) -> None:
        """Let go of the server's side at once."""
        if self._connecting is not None and self._server is None:
            self._connecting.cancel()
        if self._server is not None:
            self._server.abort()

    def abort(self) -> None:
        """End both sides now."""
        self._end_turn("proxy closed")
        if self._client is not None:
            self._client.abort()
        self.abort_server()
        self._close()

    def _end_turn(self, failure: str) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.exchange is not None:
            self._watch.end(turn.exchange, time.monotonic(), failure)

    def _close(self) -> None:
        self._closing = True
        self._held, self._answer_head = b"", b""
        self._unsent.clear()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
