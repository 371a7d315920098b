"""What the review does to one request's answer: noted once it has gone out, or held before.

Where answers are held, none leaves before all of it is there: a flag may come with its last word.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from .choice_text import Piece, join_pieces
from .errors import CONTENT_FILTER
from .generation import Choice, Generation
from .guards.findings import Flag
from .guards.review_items import NewItem
from .reviewing import Reviewing

Pieces = AsyncIterator[tuple[Choice, Piece]]


@dataclass(frozen=True, slots=True)
class AnswerReview:
    """The review of a request, whose prompt was flagged by `prompt_flags`."""

    reviewing: Reviewing
    request_id: str
    prompt_flags: Sequence[Flag]

    def pieces(self, generation: Generation) -> AsyncGenerator[tuple[Choice, Piece], None]:
        """The pieces of a generation as they may leave. Raises what its pieces raise."""
        if self.reviewing.holds:
            return self._held(generation)
        return self._noted(generation)

    async def _noted(self, generation: Generation) -> AsyncGenerator[tuple[Choice, Piece], None]:
        texts: defaultdict[int, list[str]] = defaultdict(list)
        source = generation.unreviewed_pieces()
        try:
            async for choice, piece in source:
                texts[choice.index].append(piece.text)
                if piece.finish_reason is not None:
                    self._note(choice, texts.pop(choice.index))
                yield choice, piece
        finally:
            await source.aclose()
            # What went out of a text whose client left was said as well.
            for choice in generation.choices:
                self._note(choice, texts.get(choice.index, []))

    def _note(self, choice: Choice, texts: Sequence[str]) -> None:
        flags, text = choice.text.flags(), "".join(texts)
        if flags and text:
            self.reviewing.note(self._item(flags[0], text, hold=False))

    async def _held(self, generation: Generation) -> AsyncGenerator[tuple[Choice, Piece], None]:
        found: asyncio.Queue[tuple[Choice, Piece] | Exception] = asyncio.Queue()
        left = len(generation.choices)
        tasks = [asyncio.create_task(self._collect(generation, found))]
        try:
            while left:
                each = await found.get()
                if isinstance(each, Exception):
                    raise each
                yield each
                left -= 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _collect(
        self, generation: Generation, found: "asyncio.Queue[tuple[Choice, Piece] | Exception]"
    ) -> None:
        """Put every choice's whole text into `found`, once it may leave: none waits for another."""
        parts: defaultdict[int, list[Piece]] = defaultdict(list)
        judging: list[asyncio.Task[None]] = []
        source = generation.unreviewed_pieces()

        async def judge(choice: Choice, whole: Piece) -> None:
            found.put_nowait((choice, await self._released(choice, whole)))

        try:
            async for choice, piece in source:
                parts[choice.index].append(piece)
                if piece.finish_reason is not None:
                    whole = join_pieces(parts.pop(choice.index))
                    judging.append(asyncio.create_task(judge(choice, whole)))
            await asyncio.gather(*judging)
        # Whoever takes it raises it.
        except Exception as error:  # noqa: BLE001
            found.put_nowait(error)
        finally:
            await source.aclose()
            for task in judging:
                task.cancel()
            await asyncio.gather(*judging, return_exceptions=True)

    async def _released(self, choice: Choice, whole: Piece) -> Piece:
        """A whole text as it may leave; one without anything in it says nothing to review."""
        flags = [*choice.text.flags(), *self.prompt_flags]
        if not flags or not whole.text:
            return whole
        decision = await self.reviewing.hold(self._item(flags[0], whole.text, hold=True))
        if decision.text is None:
            return Piece(finish_reason=CONTENT_FILTER)
        if decision.corrected:
            return Piece(decision.text, finish_reason="stop")
        # The text that the queue holds may be cut off.
        return whole

    def _item(self, flag: Flag, text: str, *, hold: bool) -> NewItem:
        return NewItem(
            request_id=self.request_id,
            kind="output",
            text=text,
            guard=flag.guard,
            rule=flag.rule,
            hold=hold,
        )
