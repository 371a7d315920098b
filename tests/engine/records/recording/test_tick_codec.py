"""Any trees come back as they were, whatever came before them; and no bytes do harm."""

import copy
import math
from contextlib import suppress
from typing import TypeAlias

import msgspec
import pytest
from frames import play
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.records.recording.decoding import (
    Paths,
    TickDecoder,
    unpacked_times,
)
from prodtop.engine.records.recording.encoding import Streams, TickEncoder, joined, packed_times
from prodtop.engine.records.recording.packing import (
    UnpackingError,
    pack_second,
    pack_segment,
    unpack_second,
    unpack_segment,
)
from prodtop.engine.records.recording.tick import LiveSlots, tick_of, trees_of
from prodtop.engine.records.recording.values import Tree, rounded_tree
from prodtop.engine.records.recording.varints import MalformedTicksError
from recording_samples import ticks_of

Trees: TypeAlias = list[tuple[str, Tree]]

NAMES = st.sampled_from(["at_s", "count", "text", "a", "b", "energy_j", ""])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 10**20),
    st.floats(-1e20, 1e20),
    st.text(max_size=12),
)
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=4)),
    max_leaves=12,
)
TREES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=5).map(rounded_tree)
TICKS = st.lists(
    st.lists(st.tuples(st.sampled_from(["frame", "ended", "host"]), TREES), max_size=4),
    max_size=8,
)


def once_each(trees: Trees) -> Trees:
    """All but `ended` are there once a tick."""
    roots = [root for root, _ in trees]
    return [
        (root, tree)
        for place, (root, tree) in enumerate(trees)
        if root == "ended" or root not in roots[:place]
    ]


def encode(ticks: list[Trees], segment_at: int | None = None) -> tuple[Paths, list[Streams]]:
    encoder, parts = TickEncoder(), []
    paths = Paths()
    for number, trees in enumerate(ticks):
        if number == segment_at:
            encoder.begin_segment()
        encoder.add(trees)
        parts.append(encoder.take())
    for path in encoder.new_paths:
        paths.add(path)
    return paths, parts


def decode(paths: Paths, streams: Streams, first: int = 0) -> list[Trees]:
    return [copy.deepcopy(trees) for trees in TickDecoder(paths, streams).ticks(first)]


@settings(max_examples=60)
@given(TICKS, st.integers(0, 8), st.integers(0, 8))
def test_trees_come_back_as_they_were(ticks: list[Trees], begin: int, first: int) -> None:
    """A segment needs nothing of what was before it, and reading may begin at any of its ticks."""
    ticks = [once_each(trees) for trees in ticks]
    paths, parts = encode(ticks, segment_at=begin)
    assert decode(paths, joined(parts[:begin])) == ticks[:begin]
    assert decode(paths, joined(parts[begin:]), first) == ticks[begin:][first:]


@given(st.builds(Streams, ticks=st.integers(0, 30), changes=st.binary(max_size=80),
    kinds=st.binary(max_size=20), ints=st.binary(max_size=40), singles=st.binary(max_size=40),
    doubles=st.binary(max_size=40), texts=st.binary(max_size=40)))  # fmt: skip
def test_any_bytes_are_ticks_or_one_error(streams: Streams) -> None:
    paths, _ = encode([[("frame", {"a": 1, "b": [1.0, "x"]}), ("ended", {"at_s": 2.0})]])
    with suppress(MalformedTicksError):
        list(TickDecoder(paths, streams).ticks())


def test_numbers_that_nothing_counted_are_refused() -> None:
    for value in (math.inf, math.nan, 1e300, -5, 10**30):
        paths, parts = encode([[("frame", {"rate": value})]])
        with pytest.raises(MalformedTicksError):
            decode(paths, joined(parts))


def test_real_polls_come_back_as_they_were() -> None:
    slots, ticks = LiveSlots(), ticks_of(play(30))
    paths, parts = encode([trees_of(tick, slots) for tick in ticks])
    streams = unpack_segment(pack_segment(joined([unpack_second(pack_second(p)) for p in parts])))
    read = [
        tick_of(tick.clock_s, trees, tick.events)
        for tick, trees in zip(ticks, TickDecoder(paths, streams).ticks(), strict=True)
    ]
    assert read == ticks


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=9).map(sorted))
def test_times_come_back_to_the_microsecond(times_s: list[float]) -> None:
    rounded = [round(time_s * 1e6) / 1e6 for time_s in times_s]
    assert unpacked_times(rounded[0], packed_times(rounded), len(rounded)) == rounded


@given(st.binary(max_size=200))
def test_any_bytes_unpack_or_are_one_error(data: bytes) -> None:
    for unpack in (unpack_second, unpack_segment):
        with suppress(UnpackingError):
            unpack(data)


@pytest.mark.parametrize("kind", ["second", "segment"])
def test_decompression_is_bounded(kind: str) -> None:
    """32 MiB of zeros take some kB."""
    bomb = Streams(ticks=1, ints=bytes(32 << 20))
    packed, unpack = (
        (pack_second(bomb), unpack_second)
        if kind == "second"
        else (pack_segment(bomb), unpack_segment)
    )
    assert len(packed) < 1 << 18
    with pytest.raises(UnpackingError, match="more than a recording has"):
        unpack(packed)


def test_a_list_cannot_claim_a_length_that_it_has_not() -> None:
    paths, parts = encode([[("frame", {"a": [1, 2]})]])
    whole = joined(parts)
    # The length is the first number: 2, as a signed varint.
    assert whole.ints[0] == 4
    forged = msgspec.structs.replace(whole, ints=b"\xfe\xff\xff\xff\x7f" + whole.ints[1:])
    with pytest.raises(MalformedTicksError, match="no such length"):
        decode(paths, forged)
