"""Which steps gather their keys, where these lie, and how much memory that takes."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.kernels.attention.gather_plan import (
    KEY_TILE,
    GatherRule,
    PrefillTiles,
    scratch_bytes,
    scratch_tokens,
)
from prodtop.engine.kernels.attention.prefill_tiles import list_tiles

LLAMA_8B = GatherRule(heads=32, kv_heads=8, head_dim=128, window=0, scratch_tokens=131_072)
CHUNKS = st.lists(st.tuples(st.integers(1, 2048), st.integers(0, 9000)), min_size=1, max_size=6)


def pays(rule: GatherRule, *chunks: tuple[int, int]) -> bool:
    """For chunks of so many queries after so many keys."""
    return rule.pays([count for count, _ in chunks], [sum(chunk) for chunk in chunks])


def test_long_chunks_gather_and_short_ones_do_not() -> None:
    assert pays(LLAMA_8B, (2048, 0))
    assert pays(LLAMA_8B, (2048, 6144))
    assert pays(LLAMA_8B, (512, 7680))
    assert not pays(LLAMA_8B, *[(256, 0)] * 32)
    assert not pays(LLAMA_8B, (128, 8000))
    assert not pays(LLAMA_8B, (512, 0))


@given(CHUNKS, st.sampled_from([0, 1, 100, 1024, 4096]), st.integers(1, 8))
def test_the_rule_weighs_every_pair_that_is_seen_against_every_key_that_is_copied(
    chunks: list[tuple[int, int]], window: int, group: int
) -> None:
    rule = GatherRule(8 * group, 8, 128, window, 10**9)
    pairs = keys = 0
    for count, before in chunks:
        seen = range(before + 1, before + count + 1)
        pairs += sum(min(each, window) if window else each for each in seen)
        keys += min(before + count, count + window) if window else before + count
    saved_us = 0.2 * 4 * 8 * group * 128 * pairs / 390e6
    costs_us = 5 + 2 * keys * 4096 / 4e6
    if abs(saved_us - costs_us) > 1e-6:
        assert pays(rule, *chunks) == (saved_us > costs_us)


@given(CHUNKS, st.integers(0, 30_000))
def test_no_step_gathers_more_than_there_is_room_for(
    chunks: list[tuple[int, int]], room: int
) -> None:
    rule = GatherRule(32, 8, 128, 0, room)
    seq_lens = [sum(chunk) for chunk in chunks]
    cut = PrefillTiles.gathered(list_tiles([count for count, _ in chunks], seq_lens, 16), seq_lens)
    if pays(rule, *chunks):
        assert KEY_TILE * len(cut.key_tiles) <= room
    assert not pays(GatherRule(32, 8, 128, 0, 0), *chunks)


@given(st.lists(st.integers(0, 400), max_size=8))
def test_every_key_has_a_place_of_its_own(seq_lens: Sequence[int]) -> None:
    cut = PrefillTiles.gathered(list_tiles([], [], 16), seq_lens)
    places = [
        (sequence, KEY_TILE * tile - int(cut.key_starts[sequence]) + offset)
        for tile, sequence in enumerate(cut.key_tiles.tolist())
        for offset in range(KEY_TILE)
    ]
    assert len(set(places)) == len(places)
    wanted = {(sequence, key) for sequence, n in enumerate(seq_lens) for key in range(n)}
    assert wanted <= set(places)
    assert len(places) < len(wanted) + KEY_TILE * (len(seq_lens) + 1)


def test_the_scratch_holds_the_longest_sequence_and_a_budget_of_new_ones() -> None:
    tokens = scratch_tokens(8192, 2048, 8, 128)
    rule = GatherRule(32, 8, 128, 0, tokens)
    assert pays(rule, (1000, 7192), (700, 0), (348, 0))
    assert tokens % KEY_TILE == 0
    assert scratch_bytes(8192, 2048, 8, 128) == tokens * 4096


def test_the_scratch_is_bounded_and_there_is_none_for_other_heads() -> None:
    assert scratch_bytes(10**7, 2048, 8, 128) == 512 << 20
    assert scratch_bytes(10**7, 2048, 40, 64) <= 512 << 20
    assert scratch_bytes(8192, 2048, 8, 80) == 0
