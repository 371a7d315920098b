"""One HTTP request's texts on their way: its choices, each a request of the engine's."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..protocol.served import Output, RequestTimes, Submit, TokenLogprob
from .choice_text import ChoiceText, Piece
from .engine_link import EngineLink, RequestStream
from .errors import GenerationFailedError

DISCONNECTED = "disconnected"
_QUEUED_PIECES = 64
"""Of all choices together; the tokens behind them wait in the link, as small."""


@dataclass(slots=True)
class Choice:
    """One text that was asked for, and what is known of it so far.

    `times` and `cached_prompt_tokens` come with the end, and never for a text that a stop string
    ended: the engine says no more of it then. `first_output_at_s` is when the first tokens came.
    """

    index: int
    prompt_index: int
    prompt_tokens: list[int]
    text: ChoiceText
    stream: RequestStream
    prompt_logprobs: list[TokenLogprob] | None = None
    times: RequestTimes | None = None
    cached_prompt_tokens: int | None = None
    begun: bool = False
    """Whether the engine has said anything of it."""
    done: bool = False
    first_output_at_s: float | None = None

    def take(self, output: Output) -> Piece:
        """Take in an output. Raises `GenerationFailedError` where engine or text fail."""
        if self.first_output_at_s is None and output.token_ids:
            self.first_output_at_s = time.monotonic()
        self.begun = True
        if output.prompt_logprobs is not None:
            self.prompt_logprobs = output.prompt_logprobs
        if output.finish_reason in ("abort", "error"):
            self.done = True
            aborted = output.finish_reason == "abort"
            what = "was ended by the engine" if aborted else "failed in the engine"
            raise GenerationFailedError(output.error or f"the request {what}", aborted=aborted)
        piece = self.text.push(output)
        if output.finish_reason is not None:
            self.times = output.times
            self.cached_prompt_tokens = output.cached_prompt_tokens
        elif self.text.stopped:
            self.stream.stop(self.text.generated)
        self.done = piece.finish_reason is not None
        return piece


@dataclass(frozen=True, slots=True)
class Asked:
    """What one choice asks of the engine, and what makes its text."""

    prompt_index: int
    submit: Submit
    text: ChoiceText


class PieceReview(Protocol):
    """Decides when the pieces of a generation leave, and which."""

    def pieces(self, generation: "Generation") -> AsyncGenerator[tuple[Choice, Piece], None]:
        """Those that leave, in place of `unreviewed_pieces`."""
        ...


@dataclass(slots=True)
class Generation:
    """All choices of a request. Whoever does not take all pieces must `abort` it; whoever has
    done with it must `close` it."""

    choices: list[Choice] = field(default_factory=list)
    on_close: Callable[["Generation"], None] | None = None
    review: PieceReview | None = None

    @classmethod
    def start(
        cls,
        link: EngineLink,
        asked: Sequence[Asked],
        on_close: Callable[["Generation"], None] | None = None,
        review: PieceReview | None = None,
    ) -> "Generation":
        """Submit everything; `on_close` is called once, when all is over. Raises
        `EngineDownError`; nothing is left behind then."""
        generation = cls(on_close=on_close, review=review)
        try:
            for index, each in enumerate(asked):
                stream = link.submit(each.submit)
                tokens = each.submit.prompt_tokens
                choice = Choice(index, each.prompt_index, tokens, each.text, stream)
                generation.choices.append(choice)
        except BaseException:
            generation.abort("aborted")
            generation.close()
            raise
        return generation

    def prompt_tokens(self) -> dict[int, int]:
        """The tokens of each prompt, by its place; that of several choices counts once."""
        return {choice.prompt_index: len(choice.prompt_tokens) for choice in self.choices}

    def abort(self, reason: str) -> None:
        """End what has not ended."""
        for choice in self.choices:
            if not choice.done:
                choice.done = True
                choice.stream.abort(reason)

    def close(self) -> None:
        """Tell whoever waits for the end of it, once."""
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close(self)

    def pieces(self) -> AsyncGenerator[tuple[Choice, Piece], None]:
        """The pieces that may leave, as soon as they may. Raises as `unreviewed_pieces` does."""
        return self.unreviewed_pieces() if self.review is None else self.review.pieces(self)

    async def unreviewed_pieces(self) -> AsyncGenerator[tuple[Choice, Piece], None]:
        """Every piece as it comes, until all choices have ended.

        Raises what ends a generation: `RefusedError`, `EngineDownError`, `GenerationFailedError`.
        """
        if len(self.choices) == 1:
            (choice,) = self.choices
            async for output in choice.stream:
                yield choice, choice.take(output)
                if choice.done:
                    return
            raise _broken_off()
        async for found in self._merged():
            yield found

    async def _merged(self) -> AsyncGenerator[tuple[Choice, Piece], None]:
        queue: _Queue = asyncio.Queue(_QUEUED_PIECES)
        readers = [asyncio.create_task(_read(choice, queue)) for choice in self.choices]
        left = len(readers)
        try:
            while left:
                found = await queue.get()
                if isinstance(found, Exception):
                    # What one choice fails of, all do.
                    raise found
                yield found
                left -= found[1].finish_reason is not None
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


_Queue = asyncio.Queue[tuple[Choice, Piece] | Exception]


async def _read(choice: Choice, queue: _Queue) -> None:
    try:
        async for output in choice.stream:
            await queue.put((choice, choice.take(output)))
            if choice.done:
                return
        raise _broken_off()
    # Whoever takes it raises it.
    except Exception as error:  # noqa: BLE001
        await queue.put(error)


def _broken_off() -> GenerationFailedError:
    return GenerationFailedError("the engine said no more of the request")
