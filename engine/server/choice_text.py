"""One choice's text out of its tokens: decoded as they come, cut at the first stop string."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..protocol.served import Output, TokenLogprob
from ..text.cleaning import clean
from ..text.stop_strings import StopStringFilter
from ..text.token_stream import TextStream
from .errors import CONTENT_FILTER, GenerationFailedError
from .guards.answer_entropy import AnswerEntropy
from .guards.findings import Flag, flags_of
from .guards.stream import StreamGuard


@dataclass(slots=True)
class Piece:
    """What some tokens brought. `text_offsets` `[tokens]`: where in the whole text each begins.

    `finish_reason` is there at the end alone; `stop_reason` is the stop string or token that ended
    the text.
    """

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    text_offsets: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None


def join_pieces(pieces: Sequence[Piece]) -> Piece:
    """Several pieces of one text as one."""
    if len(pieces) == 1:
        return pieces[0]
    whole = Piece("".join(piece.text for piece in pieces))
    for piece in pieces:
        whole.token_ids += piece.token_ids
        whole.text_offsets += piece.text_offsets
        whole.logprobs += piece.logprobs
    if pieces:
        whole.finish_reason = pieces[-1].finish_reason
        whole.stop_reason = pieces[-1].stop_reason
    return whole


class ChoiceText:
    """Makes pieces of outputs: the same text however the tokens were put together.

    A token that ended the text is not shown, nor is a stop string, unless `include_stop`. No stop
    string is looked for in the text of the first `min_tokens` tokens. What is left passes `guard`,
    token by token, so that it ends at the same token however they came; tokens and logprobs are
    not told then, which would tell of what is redacted or blocked. `entropy` takes in the logprobs
    that are asked for it. `push` raises `GenerationFailedError` where the tokenizer has no text for
    the tokens.
    """

    def __init__(
        self,
        stream: TextStream,
        stop_strings: Iterable[str] = (),
        *,
        include_stop: bool = False,
        min_tokens: int = 0,
        guard: StreamGuard | None = None,
        entropy: AnswerEntropy | None = None,
    ) -> None:
        self._stream = stream
        stops = tuple(stop_strings)
        self._filter = StopStringFilter(stops)
        self._plain = not stops and guard is None and entropy is None
        self.guard, self.entropy = guard, entropy
        self._include_stop = include_stop
        self._min_tokens = min_tokens
        self._decoded_chars = 0
        self.generated = 0
        """Tokens that count as generated: up to the one that completed a stop string."""
        self.stopped = False
        """Whether a stop string was found, or a guard has blocked the text."""

    def push(self, output: Output) -> Piece:
        """What the next output brings."""
        if self._plain and output.finish_reason is None:
            return self._push_plain(output)
        piece = Piece(logprobs=output.logprobs or [])
        texts: list[str] = []
        last = len(output.token_ids) - 1
        for place, token_id in enumerate(output.token_ids):
            self.generated += 1
            piece.token_ids.append(token_id)
            piece.text_offsets.append(self._decoded_chars)
            hidden = place == last and output.stop_token_id is not None and not self._include_stop
            if not hidden and self._take(self._decode(token_id), texts, piece):
                break
        if output.finish_reason is not None and not self.stopped:
            self._end(output, texts, piece)
        piece.logprobs = piece.logprobs[: len(piece.token_ids)]
        piece.text = "".join(texts)
        if self.entropy is not None:
            piece.logprobs = self.entropy.take(piece.logprobs)
        if self.guard is not None:
            piece.token_ids, piece.text_offsets, piece.logprobs = [], [], []
        return piece

    def flags(self) -> list[Flag]:
        """Why the text is to be looked at, as far as it is judged."""
        found = [] if self.guard is None else flags_of(self.guard.findings)
        return found if self.entropy is None else [*found, *self.entropy.flags()]

    def _push_plain(self, output: Output) -> Piece:
        """The same, where nothing is looked for in the text: as most of it is."""
        texts: list[str] = []
        offsets: list[int] = []
        chars = self._decoded_chars
        for token_id in output.token_ids:
            text = self._decode(token_id)
            offsets.append(chars)
            chars += len(text)
            texts.append(text)
        self._decoded_chars = chars
        self.generated += len(output.token_ids)
        return Piece("".join(texts), output.token_ids, offsets, output.logprobs or [])

    def _take(self, text: str, texts: list[str], piece: Piece) -> bool:
        """Add a token's text to `texts`; returns whether a stop string or guard ends it there."""
        self._decoded_chars += len(text)
        if self.generated <= self._min_tokens:
            self._let_out(text, texts, piece)
            return self.stopped
        passed = self._filter.push(text)
        if not passed.stopped:
            self._let_out(passed.text, texts, piece)
            return self.stopped
        self.stopped = True
        piece.finish_reason, piece.stop_reason = "stop", passed.stop
        shown = passed.stop if self._include_stop and passed.stop is not None else ""
        self._let_out(passed.text + shown, texts, piece, last=True)
        return True

    def _end(self, output: Output, texts: list[str], piece: Piece) -> None:
        """The engine has ended it: what was kept back is certain now."""
        if not self._take(self._decode(None), texts, piece):
            piece.finish_reason, piece.stop_reason = output.finish_reason, output.stop_token_id
            self._let_out(self._filter.flush(), texts, piece, last=True)

    def _let_out(self, text: str, texts: list[str], piece: Piece, *, last: bool = False) -> None:
        """Add to `texts` what the guard lets pass, and end the text where it blocks it."""
        guard = self.guard
        if guard is None:
            texts.append(text)
            return
        if text:
            texts.append(guard.push(text))
        if last and guard.blocked is None:
            texts.append(guard.flush())
        if guard.blocked is not None:
            self.stopped = True
            piece.finish_reason, piece.stop_reason = CONTENT_FILTER, None

    def _decode(self, token_id: int | None) -> str:
        try:
            return self._stream.flush() if token_id is None else self._stream.push(token_id)
        # A decoder is built from a file of somebody else's: it may raise anything.
        except Exception as error:
            raise GenerationFailedError(
                f"the tokenizer has no text for the tokens: {clean(str(error))}"
            ) from error
