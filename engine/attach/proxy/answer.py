"""What an answer tells while it comes: when its pieces came, and what its engine says of it.

Chat and completions as OpenAI's API has them, streamed (SSE) or whole, with llama.cpp's `timings`;
Ollama's own API, whose streams are lines of JSON. Texts are looked at for whether there are any:
they are never decoded, and never kept.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress

import msgspec

LONGEST_EVENT_BYTES = 4 << 20
"""Of one event of a stream, or of a whole answer that is read."""
MOST_PIECES = 1 << 16
"""Pieces of one answer whose times are kept; more are counted."""
_LINE_BYTES = 40
_MOST_TOKENS = 1 << 24
_MOST_CHOICES = 128
_NO_TEXT = frozenset({b"", b'""', b"null", b"[]", b"{}"})
_NANOSECONDS_PER_MS = 1e6


class _Delta(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()

    def has_text(self) -> bool:
        return any(bytes(getattr(self, name)) not in _NO_TEXT for name in self.__struct_fields__)


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    text: msgspec.Raw = msgspec.Raw()
    finish_reason: str | None = None

    def has_text(self) -> bool:
        return bytes(self.text) not in _NO_TEXT or (
            self.delta is not None and self.delta.has_text()
        )


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Timings(msgspec.Struct):
    """llama.cpp's: `prompt_n` were computed, `cache_n` taken from the cache."""

    cache_n: int | None = None
    prompt_n: int | None = None
    prompt_ms: float | None = None
    predicted_n: int | None = None


class _Event(msgspec.Struct):
    """An event of a stream, a line of Ollama's, or a whole answer."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: msgspec.Raw = msgspec.Raw()
    # Ollama's own API; llama.cpp's `/completion` has `content` and `stop`.
    message: _Delta | None = None
    response: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    done: bool = False
    done_reason: str | None = None
    stop: bool = False
    stop_type: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: float | None = None
    eval_count: int | None = None

    def has_own_text(self) -> bool:
        return (self.message is not None and self.message.has_text()) or any(
            bytes(text) not in _NO_TEXT for text in (self.response, self.thinking, self.content)
        )


_EVENTS = msgspec.json.Decoder(_Event)


class Answer:
    """One answer. `None`: it did not say so, or not so far.

    `pieces` counts events with text; `piece_times_s` `[≤ MOST_PIECES]` are when they came, and
    `gaps_s` the times between those of one choice.
    """

    def __init__(self, content_type: str, content_encoding: str = "") -> None:
        self.streamed = content_type.startswith(("text/event-stream", "application/x-ndjson"))
        self.pieces = 0
        self.piece_times_s: list[float] = []
        self.gaps_s: list[float] = []
        self.last_piece_at_s: float | None = None
        self.choices = 0
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.told_tokens: int | None = None
        self.prefill_ms: float | None = None
        self.finish_reason: str | None = None
        self.failed = False
        """It told of an error instead of ending."""
        self._ended_at_s: float | None = None
        """When a choice ended by an event without text: its stop token came then."""
        self._by_choice_s: dict[int, float] = {}
        self._waiting = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        """Of an event whose end has not come: its lines, each with what a list takes for it."""
        self._readable = True
        self._inflate = _inflater(content_encoding.strip().lower())
        sse = content_type.startswith("text/event-stream")
        self._on_line: Callable[[bytes, float], None] = self._sse_line if sse else self._read

    def take(self, content: bytes, at_s: float) -> None:
        """More of its body came."""
        if not self._readable:
            return
        if self._inflate is not None:
            content = self._inflate(content)
        if self.streamed:
            self._lines(content, at_s)
        else:
            self._waiting += content
        if len(self._waiting) + self._data_bytes > LONGEST_EVENT_BYTES:
            self._readable = False
            self._waiting.clear()
            self._data.clear()

    def end(self, at_s: float) -> None:
        """It is whole, or nothing more comes."""
        if (self._waiting and not self.streamed) or (self._waiting and self._on_line == self._read):
            self._read(bytes(self._waiting), at_s)
        self._waiting.clear()
        told = self.told_tokens
        if self.streamed and told is not None and self.pieces:
            if told > self.pieces and self._ended_at_s is not None:
                self._piece(0, self._ended_at_s)
            # Tokens that came together with another: no time passed between them.
            self.gaps_s += [0.0] * min(MOST_PIECES, max(0, told - self.pieces))

    @property
    def output_tokens(self) -> int | None:
        """What it says of itself; of a stream that does not say, its pieces."""
        if self.told_tokens is not None:
            return self.told_tokens
        return self.pieces if self.streamed else None

    def _lines(self, content: bytes, at_s: float) -> None:
        *lines, rest = content.split(b"\n")
        if lines and self._waiting:
            lines[0] = bytes(self._waiting) + lines[0]
            self._waiting.clear()
        self._waiting += rest
        for line in lines:
            self._on_line(line.removesuffix(b"\r"), at_s)

    def _sse_line(self, line: bytes, at_s: float) -> None:
        """WHATWG HTML, "Server-sent events": an empty line sends off the data before it."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line) + _LINE_BYTES
        elif not line and self._data:
            data, self._data, self._data_bytes = b"\n".join(self._data), [], 0
            self._read(data, at_s)

    def _read(self, data: bytes, at_s: float) -> None:
        # The end of OpenAI's streams is no JSON.
        if not data or data == b"[DONE]":
            return
        try:
            event = _EVENTS.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            return
        if bytes(event.error) not in _NO_TEXT:
            self.failed = True
        self._facts(event)
        if self.streamed:
            self._pieces(event, at_s)
        else:
            self.choices = max(1, len(event.choices))
        for choice in event.choices:
            self.finish_reason = choice.finish_reason or self.finish_reason

    def _pieces(self, event: _Event, at_s: float) -> None:
        for choice in event.choices:
            if choice.has_text():
                self._piece(choice.index, at_s)
            elif choice.finish_reason is not None:
                self._ended_at_s = at_s
        if event.has_own_text():
            self._piece(0, at_s)
        elif event.done or event.stop:
            self._ended_at_s = at_s

    def _piece(self, index: int, at_s: float) -> None:
        self.pieces += 1
        self.last_piece_at_s = at_s
        if len(self.piece_times_s) < MOST_PIECES:
            self.piece_times_s.append(at_s)
            before_s = self._by_choice_s.get(index)
            if before_s is not None:
                self.gaps_s.append(max(0.0, at_s - before_s))
        if index in self._by_choice_s or len(self._by_choice_s) < _MOST_CHOICES:
            self._by_choice_s[index] = at_s
        self.choices = len(self._by_choice_s)

    def _facts(self, event: _Event) -> None:
        """What the engine says, where it says it last: usage comes at the end, or with each."""
        usage, timings = event.usage, event.timings
        if usage is not None:
            details = usage.prompt_tokens_details
            cached = None if details is None else details.cached_tokens
            self._tokens(usage.prompt_tokens, usage.completion_tokens, cached)
        if timings is not None:
            computed, cached = timings.prompt_n, timings.cache_n
            whole = None if computed is None else computed + (cached or 0)
            if usage is None:
                self._tokens(whole, timings.predicted_n, cached)
            self.prefill_ms = _duration_ms(timings.prompt_ms)
        if event.done:
            self._tokens(event.prompt_eval_count, event.eval_count, None)
            self.finish_reason = event.done_reason or self.finish_reason
            if event.prompt_eval_duration is not None:
                self.prefill_ms = _duration_ms(event.prompt_eval_duration / _NANOSECONDS_PER_MS)
        if event.stop:
            self.finish_reason = event.stop_type or self.finish_reason

    def _tokens(self, prompt: int | None, output: int | None, cached: int | None) -> None:
        if _is_count(prompt):
            self.prompt_tokens = prompt
        if _is_count(output):
            self.told_tokens = output
        if _is_count(cached):
            self.cached_tokens = cached


def _is_count(tokens: int | None) -> bool:
    return tokens is not None and 0 <= tokens <= _MOST_TOKENS


def _duration_ms(told_ms: float | None) -> float | None:
    return told_ms if told_ms is not None and 0.0 <= told_ms <= 1e9 else None


def _inflater(encoding: str) -> Callable[[bytes], bytes] | None:
    """What undoes a content coding within bounds; `None` where there is none."""
    if encoding in ("", "identity"):
        return None
    if encoding not in ("gzip", "deflate"):
        # brotli, zstd: times are known, texts are not.
        return lambda _: b""
    inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)

    def inflated(content: bytes) -> bytes:
        with suppress(zlib.error):
            # What would be more than an event may have is left where it is.
            return inflate.decompress(inflate.unconsumed_tail + content, LONGEST_EVENT_BYTES)
        return b""

    return inflated
