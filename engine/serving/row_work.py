"""What a step does for single requests beside choosing their tokens: edits, masks, logprobs.

Both runners call it between the head and the sampler. A step without such requests has none.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from ..protocol.served import TokenLogprob
from .edit_rows import add_and_penalize, apply_masks, ban, banned_tokens, drop_unlikely
from .grammar import Mask
from .logprobs import Measured, StepLogprobs, measure, prompt_parts
from .step_plan import Chunk
from .transfers import slices, to_device

Head = Callable[[Tensor], Tensor]
"""From hidden states `[rows, hidden]` to logits `[rows, vocabulary]`."""


class RowWork:
    """The work on a step's rows: `sampled` are the chunks that a token is sampled for, in the order
    of their rows of logits; `chunks` are all of the step, `rows` the first row of each."""

    def __init__(
        self, sampled: Sequence[Chunk], chunks: Sequence[Chunk], rows: Sequence[int]
    ) -> None:
        self._measured_rows = [
            row for row, chunk in enumerate(sampled) if chunk.request.logprobs is not None
        ]
        self._measured_chunks = [sampled[row] for row in self._measured_rows]
        self._edited_rows = [
            row
            for row, chunk in enumerate(sampled)
            if chunk.request.edits.any or chunk.request.match
        ]
        self._edited_chunks = [sampled[row] for row in self._edited_rows]
        self._parts = prompt_parts(chunks, rows)
        self._raw: Tensor | None = None
        self._sampled: Measured | None = None
        self._prompts: list[tuple[int, Measured]] = []

    @classmethod
    def of(
        cls, sampled: Sequence[Chunk], chunks: Sequence[Chunk], rows: Callable[[], Sequence[int]]
    ) -> "RowWork | None":
        """The work on a step; `None` where no request asks for any: its `rows` are not counted."""
        if all(chunk.request.plain for chunk in chunks):
            return None
        return cls(sampled, chunks, rows())

    @property
    def prompt_rows(self) -> list[int]:
        """The rows of the step whose hidden states `measure_prompts` wants, in its order."""
        return [part.row + index for part in self._parts for index in range(len(part.tokens))]

    def edit(self, logits: Tensor) -> None:
        """Edit the logits of the sampled rows `[rows, vocabulary]` in place; what logprobs need of
        them is kept."""
        if self._measured_rows:
            self._raw = logits[to_device(self._measured_rows, logits.device)]
        rows, chunks = self._edited_rows, self._edited_chunks
        add_and_penalize(logits, rows, chunks)
        # Where a grammar leaves nothing but a stop token, that is not banned.
        free = [chunk.request.match is None for chunk in chunks]
        banned = [
            banned_tokens(chunk) if is_free else frozenset[int]()
            for chunk, is_free in zip(chunks, free, strict=True)
        ]
        ban(logits, rows, banned)
        # All that the device can do without them is on its way by now.
        apply_masks(logits, *self._masks())
        drop_unlikely(logits, rows, chunks)

    def _masks(self) -> tuple[list[int], list[Mask]]:
        """The rows that follow a grammar, and their masks: waits for those."""
        rows, masks = [], []
        for row, chunk in zip(self._edited_rows, self._edited_chunks, strict=True):
            match = chunk.request.match
            if match is not None:
                rows.append(row)
                masks.append(match.mask(banned_tokens(chunk)))
        return rows, masks

    def measure_tokens(self, tokens: Tensor) -> None:
        """Measure the tokens that were chosen, int64 `[rows]`, on the device."""
        if self._raw is not None:
            top = max(chunk.request.logprobs or 0 for chunk in self._measured_chunks)
            chosen = tokens[to_device(self._measured_rows, tokens.device)]
            self._sampled = measure(self._raw, chosen, top).to_host()
            self._raw = None

    def measure_prompts(self, hidden: Tensor, head: Head, vocabulary: int) -> None:
        """Measure the prompt tokens after the rows of `prompt_rows`, from their `hidden` states
        `[rows, hidden]`, a bounded number at a time."""
        if not self._parts:
            return
        tokens = to_device([t for part in self._parts for t in part.tokens], hidden.device)
        top = max(part.top for part in self._parts)
        for rows in slices(len(tokens), vocabulary):
            measured = measure(head(hidden[rows]), tokens[rows], top)
            self._prompts.append((rows.stop - rows.start, measured.to_host()))

    def read(self) -> StepLogprobs:
        """What was measured, once the device is done."""
        brought = StepLogprobs()
        if self._sampled is not None:
            tops = [chunk.request.logprobs or 0 for chunk in self._measured_chunks]
            entries = self._sampled.read(tops)
            for chunk, entry in zip(self._measured_chunks, entries, strict=True):
                brought.sampled[chunk.request.request_id] = entry
        self._read_prompts(brought)
        return brought

    def _read_prompts(self, brought: StepLogprobs) -> None:
        tops = [part.top for part in self._parts for _ in part.tokens]
        entries: list[TokenLogprob] = []
        for count, measured in self._prompts:
            entries += measured.read(tops[len(entries) : len(entries) + count])
        first = 0
        for part in self._parts:
            own = entries[first : first + len(part.tokens)]
            brought.prompts[part.request_id] = part.first, own
            first += len(part.tokens)
