"""A streamed answer, byte by byte as it comes: when each piece of text came, and what it counts."""

from dataclasses import dataclass, field

import httptools
import msgspec

MOST_LINE_BYTES = 4 * 2**20


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: object = None


_DECODER = msgspec.json.Decoder(_Event)


@dataclass
class Answer:
    """What came of one request; times are on the caller's clock (s).

    `texts_at_s`: when each piece that has text came. `error`: why it is no whole answer.
    """

    status: int = 0
    first_byte_s: float | None = None
    texts_at_s: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    finished: bool = False
    error: str | None = None


class EventReader:
    """Takes the bytes of an HTTP/1.1 answer; `ended` once its body has.

    httptools calls the methods that begin with `on_`.
    """

    def __init__(self) -> None:
        self.answer = Answer()
        self.ended = False
        self.keeps_alive = False
        self._now_s = 0.0
        self._line = bytearray()
        self._has_reason = False
        self._parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes, now_s: float) -> None:
        """Bytes came. Raises `ValueError` where they are no answer."""
        self._now_s = now_s
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError(f"this is no HTTP: {error}") from None

    def on_message_begin(self) -> None:
        pass

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.answer.first_byte_s is None:
            self.answer.first_byte_s = self._now_s
        self._line += body
        if self.answer.status != 200:
            del self._line[MOST_LINE_BYTES:]
            return
        *lines, rest = self._line.split(b"\n")
        self._line = rest
        for line in lines:
            self._take_line(line)
        if len(self._line) > MOST_LINE_BYTES:
            raise ValueError("an event of the answer has no end")

    def on_message_complete(self) -> None:
        self.keeps_alive = self._parser.should_keep_alive()
        self.ended = True
        # `transformers serve` ends a completion without [DONE].
        self.answer.finished |= self._has_reason and self.answer.error is None

    def _take_line(self, line: bytes | bytearray) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.answer.finished = self.answer.error is None
            return
        try:
            event = _DECODER.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.answer.error = "an event of the answer cannot be read"
            return
        if event.error is not None:
            self.answer.error = "the server broke the answer off"
        if any(_has_text(choice) for choice in event.choices):
            self.answer.texts_at_s.append(self._now_s)
        self._has_reason |= any(choice.finish_reason for choice in event.choices)
        if event.usage is not None:
            self._count(event.usage)

    def _count(self, usage: _Usage) -> None:
        answer, details = self.answer, usage.prompt_tokens_details
        answer.prompt_tokens, answer.output_tokens = usage.prompt_tokens, usage.completion_tokens
        answer.cached_tokens = None if details is None else details.cached_tokens


def _has_text(choice: _Choice) -> bool:
    delta = choice.delta
    if delta is not None:
        return bool(delta.content or delta.reasoning_content or delta.reasoning)
    return bool(choice.text)
