"""A trace: when requests came, how long they were, and which blocks of prompts they shared."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from ..protocol.errors import BadInputError
from ..protocol.wording import counted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class TraceFormat(StrEnum):
    """The files that are understood."""

    AZURE = "Azure LLM CSV"
    BURSTGPT = "BurstGPT CSV"
    MOONCAKE = "Mooncake JSONL"


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One request: `arrival_s` after the trace began, and its lengths in tokens.

    `hash_ids` name the leading blocks of its prompt; `None` where the trace tells of no content.
    """

    arrival_s: float
    prompt_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The requests of a file in order of arrival, in columns: `arrival_s` `[n]` ascending from 0,
    `prompt_tokens` `[n]`, `output_tokens` `[n]`.

    `hash_ids` `[blocks]` of entry k are those from `hash_starts[k]` to `hash_starts[k + 1]`; each
    stands for `block_tokens` tokens of a prompt (the last one of a prompt for fewer), and equal
    ones for equal tokens. They count from 0, whatever the file calls them. Both are `None`, and
    `block_tokens` too, where the file has none.

    `without_output`: lines that were left out since nothing could be asked for. `reordered`: lines
    that stood behind a later one. `truncated`: the file ended within a line, which is left out.
    """

    name: str
    format: TraceFormat
    arrival_s: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    hash_ids: Ints | None = None
    hash_starts: Ints | None = None
    block_tokens: int | None = None
    without_output: int = 0
    reordered: int = 0
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def span_s(self) -> float:
        """From the first arrival to the last one."""
        return float(self.arrival_s[-1] - self.arrival_s[0])

    def entry(self, index: int) -> TraceEntry:
        """One request."""
        return TraceEntry(
            arrival_s=float(self.arrival_s[index]),
            prompt_tokens=int(self.prompt_tokens[index]),
            output_tokens=int(self.output_tokens[index]),
            hash_ids=self._hash_ids_of(index),
        )

    def entries(self) -> Iterator[TraceEntry]:
        """All requests, in order of arrival."""
        return map(self.entry, range(len(self)))

    def part(self, start_s: float, most: int | None) -> "Trace":
        """The requests from `start_s` on, `most` of them at most; time counts from `start_s`.

        Raises `BadInputError` where none is left.
        """
        first = int(np.searchsorted(self.arrival_s, start_s, side="left"))
        end = len(self) if most is None else min(len(self), first + most)
        if first >= end:
            raise BadInputError(
                f"trace {self.name}: has no request after {start_s:g} s; it ends at"
                f" {float(self.arrival_s[-1]):g} s"
            )
        starts = None if self.hash_starts is None else self.hash_starts[first : end + 1]
        return replace(
            self,
            arrival_s=self.arrival_s[first:end] - start_s,
            prompt_tokens=self.prompt_tokens[first:end],
            output_tokens=self.output_tokens[first:end],
            # The starts keep pointing into all hash ids.
            hash_starts=starts,
        )

    def notes(self) -> list[str]:
        """What is to be said of the file, each a line."""
        notes: list[str] = []
        if self.without_output:
            rows = counted(self.without_output, "line", grouped=True)
            notes.append(f"{rows} without prompt or output tokens left out (failed requests)")
        if self.reordered:
            rows = counted(self.reordered, "line", grouped=True)
            notes.append(f"{rows} behind a later one in time: sorted by arrival")
        if self.truncated:
            notes.append("the file ends within a line, which is left out")
        return [f"trace {self.name}: {note}" for note in notes]

    def _hash_ids_of(self, index: int) -> tuple[int, ...] | None:
        if self.hash_ids is None or self.hash_starts is None:
            return None
        ids: list[int] = self.hash_ids[
            self.hash_starts[index] : self.hash_starts[index + 1]
        ].tolist()
        return tuple(ids)
