"""What the client of a request gets, and when: its text, token by token or at the end."""

from typing import Protocol

from ..text.cleaning import clean
from ..text.stop_strings import StopStringFilter
from ..text.token_stream import TextStream
from ..text.tokenizer import Tokenizer
from .request import Request
from .stopping import ends_with_stop_token


class DecodingError(Exception):
    """The tokenizer has no text for a request's tokens. Only that request fails."""

    def __init__(self, error: Exception) -> None:
        reason = clean(str(error)) or type(error).__name__
        super().__init__(
            f"the tokenizer cannot decode a text ({reason}): requests that meet this fail"
        )


class RequestDelivery(Protocol):
    """What the engine tells of a request to whoever waits for it."""

    @property
    def text(self) -> str:
        """What the client has received so far, as far as the engine knows its text."""
        ...

    @property
    def withheld(self) -> bool:
        """Text is kept back until the request ends."""
        ...

    def push(self, now_s: float) -> bool:
        """Take in the request's newest token; returns whether its text ends the request."""
        ...

    def set_streaming(self, stream: bool, now_s: float) -> None:
        """Go on under another kind of delivery."""
        ...

    def close(self, now_s: float, reason: str) -> None:
        """The request has ended as it should, by `stop` or `length`: deliver what is left."""
        ...

    def cut(self, now_s: float) -> None:
        """The request has ended early, by `stop`: its last tokens were taken back."""
        ...

    def replay(self, text: str, now_s: float) -> None:
        """Deliver a whole answer that the response cache had."""
        ...

    def fail(self, reason: str) -> None:
        """The request has ended without its answer, because its client left, or by a failure."""
        ...


class Delivery:
    """The text of one request on its way to its client: `RequestDelivery`.

    `text` is what the client has received so far. Under a strategy that streams, that grows with
    the tokens; otherwise it stays empty until `close`. The text is decoded incrementally only
    where somebody needs it before the end: a streaming client, or a stop string. `push` and
    `close` raise `DecodingError` where the tokenizer cannot.
    """

    def __init__(self, request: Request, tokenizer: Tokenizer, *, stream: bool) -> None:
        self._request = request
        self._tokenizer = tokenizer
        self._streams = stream
        self._incremental = stream or bool(request.stop_strings)
        self._decoder: TextStream | None = None
        self._failure: DecodingError | None = None
        self._filter = StopStringFilter(request.stop_strings)
        self._pieces: list[str] = []
        self.text = ""

    @property
    def withheld(self) -> bool:
        """Text is kept back until the request ends."""
        return not self._streams and not self._request.done

    def push(self, now_s: float) -> bool:
        """Take in the request's newest token; returns whether a stop string ends it."""
        if not self._incremental or ends_with_stop_token(self._request):
            return False
        passed = self._filter.push(self._decode(self._request.tokens[-1]))
        if passed.text:
            self._pieces.append(passed.text)
            if self._streams:
                self._deliver(passed.text, now_s)
        return passed.stopped

    def set_streaming(self, stream: bool, now_s: float) -> None:
        """Go on under another kind of delivery: what was held so far goes out with the next."""
        if stream and not self._streams:
            if not self._incremental:
                self._incremental = True
                self._decode_held()
            # What an earlier strategy streamed was delivered already.
            self._deliver("".join(self._pieces)[len(self.text) :], now_s)
        self._streams = stream

    def close(self, now_s: float, reason: str = "stop") -> None:
        """The request has ended: deliver what is left. The first byte is at the latest now."""
        if self._incremental:
            rest = self._filter.push(self._decode(None)).text + self._filter.flush()
            whole = "".join(self._pieces) + rest
        else:
            whole = self._decode_whole()
        if self._request.first_byte_at_s is None:
            self._request.first_byte_at_s = now_s
        self.text = whole

    def replay(self, text: str, now_s: float) -> None:
        """Deliver a whole answer that the response cache had."""
        self.text = text
        self._request.first_byte_at_s = now_s

    def cut(self, now_s: float) -> None:
        """Keep to what was delivered: its reader has cut the text."""
        if self._request.first_byte_at_s is None:
            self._request.first_byte_at_s = now_s

    def fail(self, reason: str) -> None:
        """The client keeps what was delivered."""

    def _decode_held(self) -> None:
        """Decode what was generated before. A failure shows at the next `push` or `close`."""
        try:
            for token in self._request.output_tokens:
                self._pieces.append(self._filter.push(self._decode(token)).text)
        except DecodingError as error:
            self._failure = error

    def _decode(self, token: int | None) -> str:
        """The text that a token completes; without one, what is left at the end."""
        if self._failure is not None:
            raise self._failure
        try:
            if self._decoder is None:
                self._decoder = self._tokenizer.stream()
            return self._decoder.flush() if token is None else self._decoder.push(token)
        # A decoder is built from a file of somebody else's: it may raise anything.
        except Exception as error:
            raise DecodingError(error) from error

    def _decode_whole(self) -> str:
        tokens = self._request.output_tokens
        try:
            return self._tokenizer.decode(tokens[:-1] if self._stopped_by_token() else tokens)
        except Exception as error:
            raise DecodingError(error) from error

    def _deliver(self, piece: str, now_s: float) -> None:
        self.text += piece
        if piece and self._request.first_byte_at_s is None:
            self._request.first_byte_at_s = now_s

    def _stopped_by_token(self) -> bool:
        return self._request.num_output_tokens > 0 and ends_with_stop_token(self._request)
