"""The few sizes that steps are padded to, so that one graph serves many of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..ops.step_layout import StepLayout

_PROMPT_ROWS = (
    *(8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024),
    *(1536, 2048, 3072, 4096, 6144, 8192),
)
_MOST_PROMPT_WORK = 4_000_000_000_000
"""Rows times weights beyond which a device is busy for longer than the host needs to launch the
kernels one by one, and idle rows would only cost time. That is 13 ms for 32 layers, in which an
H200 multiplies 570 rows of a model of 8 billion parameters, and 9,000 of one of 0.6."""
_DECODE_ROWS_BESIDE = (8, 32, 64, 128, 256, 512)
_MOST_CHUNKS = 64
_ALL_SAMPLED = 128
"""So many rows may all be followed by a token: drafts, for which the head costs hardly more."""


@dataclass(frozen=True)
class StepSizes:
    """Sizes for steps of up to `max_seqs` sequences and `token_budget` tokens.

    A row is multiplied by so many `weights`, and a token follows at most `sampled_rows` of a step's
    rows. Block tables are `width` wide, and a prefill chunk is computed in tiles of `tile_queries`
    rows.
    """

    max_seqs: int
    token_budget: int
    weights: int
    sampled_rows: int
    width: int
    tile_queries: int

    @cached_property
    def decode_rows(self) -> list[int]:
        """Rows of decode steps, rising: a tenth of a large step idles at most, or seven rows."""
        sizes = [1, 2, 4, *range(8, 129, 8), *range(144, 257, 16), *range(288, self.max_seqs, 32)]
        return _up_to(self.max_seqs, sizes)

    @cached_property
    def _prompt_rows(self) -> list[int]:
        least, most = _PROMPT_ROWS[0], _MOST_PROMPT_WORK // self.weights
        sizes = [rows for rows in _PROMPT_ROWS if rows <= max(least, most)]
        return _up_to(min(sizes[-1], self.token_budget), sizes)

    @cached_property
    def _decode_rows_beside(self) -> list[int]:
        return [0, *_up_to(self.max_seqs, _DECODE_ROWS_BESIDE)]

    def decode(self, sequences: int) -> StepLayout:
        """A step of one row for each of at least so many sequences, all of them sampled."""
        rows = smallest_holding(sequences, self.decode_rows)
        return StepLayout(rows, rows, rows, rows, self.width)

    def mixed(self, step: StepLayout) -> StepLayout | None:
        """The size for a step with prefill chunks; `None` for one that stays as it is.

        Those are long prompts, and steps of more chunks or sampled rows than a graph has room for.
        """
        prompts = step.rows - step.decode
        if prompts > self._prompt_rows[-1]:
            return None
        size = self._mixed(
            smallest_holding(step.decode, self._decode_rows_beside),
            smallest_holding(prompts, self._prompt_rows),
        )
        chunks, room = step.sequences - step.decode, size.sequences - size.decode
        return size if chunks <= room and step.sampled <= size.sampled else None

    @property
    def largest(self) -> StepLayout:
        """The size that takes most memory."""
        return self._mixed(self.max_seqs, self._prompt_rows[-1])

    def _mixed(self, decode: int, prompts: int) -> StepLayout:
        rows = decode + prompts
        # A chunk has two rows at least.
        chunks = min(max(prompts // 2, 1), self.max_seqs, _MOST_CHUNKS)
        sampled = rows if rows <= _ALL_SAMPLED else decode + chunks
        return StepLayout(
            rows=rows,
            sequences=decode + chunks,
            decode=decode,
            sampled=min(sampled, self.sampled_rows),
            width=self.width,
            # All but the last tile of a chunk are full.
            tiles=prompts // self.tile_queries + chunks,
        )


def smallest_holding(count: int, sizes: Sequence[int]) -> int:
    """The first of the rising `sizes` that has room for `count`."""
    return next(size for size in sizes if size >= count)


def _up_to(most: int, sizes: Sequence[int]) -> list[int]:
    """Those of `sizes` below `most`, and `most`."""
    return [*(size for size in sizes if size < most), most]
