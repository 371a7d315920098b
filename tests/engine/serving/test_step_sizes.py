"""Sizes that steps are padded to."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.ops.step_layout import StepLayout
from prodtop.engine.serving.step_sizes import StepSizes, smallest_holding

WIDTH = 8
TILE_QUERIES = 16


LARGE_MODEL, SMALL_MODEL = 7_000_000_000, 440_000_000
"""Weights that each row is multiplied by."""


def sizes(max_seqs: int = 64, token_budget: int = 2048, weights: int = LARGE_MODEL) -> StepSizes:
    return StepSizes(max_seqs, token_budget, weights, max_seqs + 8, WIDTH, TILE_QUERIES)


def step(decode: int, chunks: list[int], sampled: int | None = None) -> StepLayout:
    """A step with prefill chunks of so many rows; a token follows each sequence by itself."""
    sequences = decode + len(chunks)
    return StepLayout(
        rows=decode + sum(chunks),
        sequences=sequences,
        decode=decode,
        sampled=sequences if sampled is None else sampled,
        width=1,
        tiles=sum(-(-chunk // TILE_QUERIES) for chunk in chunks),
    )


def test_decode_sizes_end_with_the_limit_and_leave_few_rows_idle() -> None:
    for limit in (1, 5, 64, 100, 256, 300, 1000):
        rows = sizes(limit).decode_rows
        assert rows == sorted(set(rows))
        assert rows[-1] == limit
        for before, after in pairwise(rows):
            assert after <= max(2 * before, before + 8)
            assert before < 24 or after <= 1.3 * before + 1


def test_a_decode_step_samples_all_its_rows() -> None:
    assert sizes().decode(17) == StepLayout(24, 24, 24, 24, WIDTH)
    assert sizes(20).decode(17) == StepLayout(20, 20, 20, 20, WIDTH)


@given(
    max_seqs=st.integers(1, 300),
    token_budget=st.integers(1, 3000),
    decode=st.integers(0, 300),
    chunks=st.lists(st.integers(2, 700), min_size=1, max_size=80),
    drafted=st.booleans(),
    model=st.sampled_from([(LARGE_MODEL, 512), (SMALL_MODEL, 8192)]),
)
@settings(max_examples=300, deadline=None)
def test_a_step_fits_the_size_it_is_padded_to(
    max_seqs: int,
    token_budget: int,
    decode: int,
    chunks: list[int],
    drafted: bool,
    model: tuple[int, int],
) -> None:
    token_budget = max(token_budget, max_seqs)
    decode = min(decode, max_seqs)
    chunks = chunks[: max_seqs - decode]
    exact = step(decode, chunks, sampled=decode + sum(chunks) if drafted else None)
    if not chunks or exact.rows > token_budget:
        return
    weights, most_prompt_rows = model
    all_sizes = sizes(max_seqs, token_budget, weights)
    size = all_sizes.mixed(exact)
    if size is None:
        prompts = exact.rows - decode
        assert prompts > most_prompt_rows or len(chunks) > 64 or exact.sampled > 128 or drafted
        return
    largest = all_sizes.largest
    prompts, room = exact.rows - decode, size.rows - size.decode
    assert prompts <= room < max(2 * prompts, 9)
    assert decode <= size.decode
    assert (decode > 0) == (size.decode > 0)
    assert len(chunks) <= size.sequences - size.decode
    assert exact.sampled <= size.sampled <= all_sizes.sampled_rows
    assert exact.tiles <= size.tiles
    assert size.decode == 0 or size.decode in all_sizes.decode_rows
    assert size.words <= largest.words
    assert size.rows <= largest.rows


def test_the_sizes_of_one_prompt_are_few() -> None:
    one_prompt = {sizes().mixed(step(0, [rows])) for rows in range(2, 513)}
    assert None not in one_prompt
    assert len(one_prompt) <= 10
    assert sizes().mixed(step(0, [513])) is None


def test_of_a_small_model_longer_prompts_are_padded() -> None:
    small = sizes(weights=SMALL_MODEL)
    assert [small.mixed(step(0, [rows])) is None for rows in (513, 2048, 2049)] == [
        False,
        False,
        True,
    ]
    longest = sizes(token_budget=9000, weights=SMALL_MODEL)
    assert [longest.mixed(step(0, [rows])) is None for rows in (8192, 8193)] == [False, True]


def test_of_the_largest_model_short_prompts_are_padded() -> None:
    huge = sizes(weights=10**12)
    assert [huge.mixed(step(0, [rows])) is None for rows in (8, 9)] == [False, True]


def test_more_chunks_than_a_size_has_room_for_stay_as_they_are() -> None:
    assert sizes(300).mixed(step(0, [2] * 64)) is not None
    assert sizes(300).mixed(step(0, [2] * 65)) is None


def test_the_smallest_size_that_holds_a_count() -> None:
    assert [smallest_holding(count, [1, 4, 9]) for count in (0, 1, 2, 4, 5, 9)] == [
        1,
        1,
        4,
        4,
        9,
        9,
    ]
