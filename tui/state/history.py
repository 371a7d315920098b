"""What the screen remembers: frames to walk back through, and numbers to draw.

Time (`wall_s`) is the screen's monotonic clock, counted as Unix time from the session's begin: a
worker that was restarted may have another clock, and a wall clock may be set; the history goes on.
Old samples are thinned tier by tier, so that a session of any length fits into a bounded memory:
all samples of five minutes, two a second for an hour, two in ten seconds for a day: the least and
the greatest values of that time. Moments, whole frames to look at, are one for each sample of five
minutes, then one a second, then one in ten seconds; where they take more than `MOST_MOMENT_BYTES`,
every second one of the oldest goes.
"""

import math
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from ...engine.protocol import (
    ENCODER,
    REPORT_DECODER,
    Frame,
    HostSample,
    Report,
)
from ...engine.records.columns import COLUMNS, COUNTERS, GPU_COLUMNS, figures
from ...engine.records.engine_gpu import engine_gpu
from ...engine.records.recording.peaks import PeakTable
from .latency_history import LatencyHistory
from .requests import Requests

MISSING = math.nan
"""In a series: not measured at that moment. Charts leave a gap."""

MAX_MARKS = 2_000
MOST_MOMENT_BYTES = 48 << 20
BOUND_EVERY = 256
"""Samples between two looks at what moments take."""
READ_TOGETHER_S = 0.5
"""Readings of the engine and of the machine that are no further apart are of one moment."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values over time, oldest first; `values[i]` was measured at `times_s[i]` (Unix time)."""

    times_s: "array[float]"
    values: "array[float]"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, shown on every chart. `kind` is `switch` or `fault`."""

    wall_s: float
    label: str
    kind: str = "switch"


@dataclass(frozen=True, slots=True)
class PastMoment:
    """One remembered moment."""

    wall_s: float
    frame: Frame | None
    host: HostSample | None
    requests: Requests | None = None
    """Single requests, where the moment itself has them."""


def _doubles() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class _Tier:
    """Samples at one resolution, oldest first. `bucket_s` 0 keeps every sample."""

    bucket_s: float
    capacity: int
    times_s: "array[float]" = field(default_factory=_doubles)
    packed: list[bytes] = field(default_factory=list)
    columns: dict[str, "array[float]"] = field(
        default_factory=lambda: {name: _doubles() for name in COLUMNS}
    )

    def append(self, wall_s: float, packed: bytes, numbers: Mapping[str, float | None]) -> None:
        self.times_s.append(wall_s)
        self.packed.append(packed)
        for name, column in self.columns.items():
            number = numbers.get(name)
            column.append(MISSING if number is None else number)

    def drop_oldest(self, count: int) -> None:
        del self.times_s[:count]
        del self.packed[:count]
        for column in self.columns.values():
            del column[:count]

    def slice(self, name: str, start_s: float, end_s: float) -> Series:
        first = max(0, bisect_left(self.times_s, start_s) - 1)
        last = bisect_right(self.times_s, end_s) + 1
        return Series(self.times_s[first:last], self.columns[name][first:last])

    def thinned_into(self, other: "_Tier", count: int) -> None:
        """Hand at least the oldest `count` samples on, one for each of the other's buckets, and
        the last bucket whole: its rest would not be merged with it later."""
        last_bucket = self.times_s[count - 1] // other.bucket_s
        while count < len(self.times_s) and self.times_s[count] // other.bucket_s == last_bucket:
            count += 1
        start = 0
        while start < count:
            bucket = self.times_s[start] // other.bucket_s
            end = start + 1
            while end < count and self.times_s[end] // other.bucket_s == bucket:
                end += 1
            self._merged_into(other, start, end)
            start = end
        self.drop_oldest(count)

    def _merged_into(self, other: "_Tier", start: int, end: int) -> None:
        """Hand some samples on as two, their least values and their greatest: so no peak is lost.
        Of counters those are the first and the last. The last of the moments stays."""
        pieces = {name: column[start:end] for name, column in self.columns.items()}
        if end - start > 1:
            lows = {name: _first(name, piece) for name, piece in pieces.items()}
            other.append(self.times_s[start], b"", lows)
        highs = {name: _last(name, piece) for name, piece in pieces.items()}
        # One moment may have been known without a frame, which an earlier one had.
        packed = next((each for each in reversed(self.packed[start:end]) if each), b"")
        other.append(self.times_s[end - 1], packed, highs)

    @property
    def packed_bytes(self) -> int:
        """What its moments take."""
        return sum(map(len, self.packed))

    def thin_moments(self) -> None:
        """Forget every second moment, the newest not: its numbers stay."""
        kept = [place for place, each in enumerate(self.packed) if each]
        for place in kept[-2::-2]:
            self.packed[place] = b""


def _first(name: str, values: Sequence[float]) -> float:
    measured = [value for value in values if value == value]
    if not measured:
        return MISSING
    return measured[0] if name in COUNTERS else min(measured)


def _last(name: str, values: Sequence[float]) -> float:
    measured = [value for value in values if value == value]
    if not measured:
        return MISSING
    return measured[-1] if name in COUNTERS else max(measured)


class History:
    """A bounded memory of a session. Samples are added in order of time; a wall clock that was
    set back is held still, so that time on the charts never runs backwards."""

    def __init__(
        self,
        tiers: tuple[tuple[float, int], ...] = ((0.0, 1200), (1.0, 7200), (10.0, 17_280)),
        most_moment_bytes: int = MOST_MOMENT_BYTES,
    ) -> None:
        """`tiers`: seconds a bucket and the number of samples kept, finest first; each spans at
        least a bucket of the next."""
        self._most_moment_bytes = most_moment_bytes
        self._added = 0
        self._tiers = [_Tier(bucket_s, capacity) for bucket_s, capacity in tiers]
        self._marks: list[Mark] = []
        self.distributions = LatencyHistory()
        self._frame: Frame | None = None
        self._gpu_uuid: str | None = None
        self._gpu_since_s: list[float] = []

    def add(self, wall_s: float, frame: Frame | None, host: HostSample | None) -> None:
        """Remember what was known at a moment."""
        self._add(wall_s, frame, host, _pack(frame, host))

    def begin_with(self, frames: Sequence[Frame]) -> None:
        """What an attached server told before it was watched, oldest first; nothing where there is
        a history already."""
        if self.newest_s is None:
            for frame in frames:
                self.add(frame.wall_s, frame, None)

    def recall_moment(self, wall_s: float, frame: Frame | None, host: HostSample | None) -> None:
        """Remember the numbers of a moment alone: nobody will walk back to it."""
        self._add(wall_s, frame, host, b"")

    def recall(self, table: PeakTable, offset_s: float) -> None:
        """Remember what was long ago, before anything else was remembered. `offset_s` leads from
        the table's clock to Unix time."""
        tier = self._tiers[-1]
        tier.times_s.extend(time_s + offset_s for time_s in table.times_s)
        tier.packed.extend(b"" for _ in table.times_s)
        for name, column in tier.columns.items():
            column.extend(table.columns[name])

    def recall_columns(
        self, times_s: Sequence[float], columns: Mapping[str, Sequence[float | None]]
    ) -> None:
        """Remember numbers alone of ascending times, before anything else was remembered."""
        for place, time_s in enumerate(times_s):
            known = {name: column[place] for name, column in columns.items()}
            self._tiers[0].append(time_s, b"", known)

    def _add(
        self, wall_s: float, frame: Frame | None, host: HostSample | None, packed: bytes
    ) -> None:
        newest = self.newest_s
        if newest is not None and wall_s <= newest:
            wall_s = math.nextafter(newest, math.inf)
        if frame is not None:
            self._frame = frame
            if frame.latency_counts is not None:
                self.distributions.add(wall_s, frame.latency_counts)
        gpu = engine_gpu(self._frame, host.gpus) if host is not None else None
        if gpu is not None and gpu.uuid != self._gpu_uuid:
            # Another card's energy counter is not this one's gone on.
            self._gpu_uuid = gpu.uuid
            self._gpu_since_s.append(wall_s)
            del self._gpu_since_s[:-MAX_MARKS]
        self._tiers[0].append(wall_s, packed, figures(frame, host, gpu))
        self._make_room()

    def _make_room(self) -> None:
        for finer, coarser in zip(self._tiers, self._tiers[1:], strict=False):
            surplus = max(1, finer.capacity // 8)
            if len(finer.times_s) >= finer.capacity + surplus:
                finer.thinned_into(coarser, surplus)
        last = self._tiers[-1]
        last.drop_oldest(max(0, len(last.times_s) - last.capacity))
        self._added += 1
        if self._added % BOUND_EVERY == 0:
            self._bound_moments()

    def _bound_moments(self) -> None:
        """Forget moments, the oldest first, until the others take no more than they may."""
        taken = [tier.packed_bytes for tier in self._tiers]
        for place in reversed(range(len(self._tiers))):
            while sum(taken) > self._most_moment_bytes:
                self._tiers[place].thin_moments()
                before, taken[place] = taken[place], self._tiers[place].packed_bytes
                if taken[place] == before:
                    break

    @property
    def moment_bytes(self) -> int:
        """What all remembered moments take."""
        return sum(tier.packed_bytes for tier in self._tiers)

    def mark(self, mark: Mark) -> None:
        """Remember an event for the charts."""
        self._marks.append(mark)
        del self._marks[: max(0, len(self._marks) - MAX_MARKS)]

    @property
    def oldest_s(self) -> float | None:
        return next((tier.times_s[0] for tier in reversed(self._tiers) if tier.times_s), None)

    @property
    def whole_since_s(self) -> float:
        """From then on every moment is remembered."""
        return self._tiers[0].times_s[0] if self._tiers[0].times_s else math.inf

    @property
    def newest_s(self) -> float | None:
        return next((tier.times_s[-1] for tier in self._tiers if tier.times_s), None)

    def __len__(self) -> int:
        return sum(len(tier.times_s) for tier in self._tiers)

    def series(self, name: str, start_s: float, end_s: float) -> Series:
        """The samples of a column in the closed span, and a neighbour on each side, so that a
        line reaches the edges of its chart."""
        whole = Series(_doubles(), _doubles())
        for tier in reversed(self._tiers):
            piece = tier.slice(name, start_s, end_s)
            whole.times_s.extend(piece.times_s)
            whole.values.extend(piece.values)
        return whole

    def last_switch_s(self, before_s: float) -> float | None:
        """When the last switch before a moment took effect; `None` where none is remembered."""
        switches = (mark.wall_s for mark in self._marks if mark.kind == "switch")
        return max((at_s for at_s in switches if at_s <= before_s), default=None)

    def marks(self, start_s: float, end_s: float) -> list[Mark]:
        return [mark for mark in self._marks if start_s <= mark.wall_s <= end_s]

    def at(self, wall_s: float) -> PastMoment | None:
        """The last moment at or before a time that is remembered; the oldest one for an earlier
        time. Where there are numbers alone, it is one without a frame."""
        oldest: PastMoment | None = None
        for tier in self._tiers:
            index = bisect_right(tier.times_s, wall_s) - 1
            kept = next((at for at in range(index, -1, -1) if tier.packed[at]), None)
            if kept is not None:
                return _unpack(tier.times_s[kept], tier.packed[kept])
            first = next((at for at, packed in enumerate(tier.packed) if packed), None)
            if first is not None:
                oldest = _unpack(tier.times_s[first], tier.packed[first])
        if oldest is not None:
            return oldest
        oldest_s = self.oldest_s
        return None if oldest_s is None else PastMoment(oldest_s, None, None)

    def increase(self, name: str, end_s: float, span_s: float) -> float | None:
        """How much a counter grew over a span; `None` where the span holds no two readings, or
        where the counter started anew. A GPU's is counted from when the engine is on that GPU."""
        return _growth(self._readings(name, end_s, span_s))

    def growth_ratio(self, name: str, per: str, end_s: float, span_s: float) -> float | None:
        """Growth of a counter for each one that another grew, in the part of a span in which both
        were read; `None` where that holds no two readings of each, or the other did not grow."""
        both = (self._readings(name, end_s, span_s), self._readings(per, end_s, span_s))
        if not all(both):
            return None
        # Engine and machine are not read in the same instant.
        first_s = max(readings[0][0] for readings in both) - READ_TOGETHER_S
        last_s = min(readings[-1][0] for readings in both) + READ_TOGETHER_S
        growth, of_other = (
            _growth([reading for reading in readings if first_s <= reading[0] <= last_s])
            for readings in both
        )
        return growth / of_other if growth is not None and of_other else None

    def _readings(self, name: str, end_s: float, span_s: float) -> list[tuple[float, float]]:
        """When a counter was read within a span, and what it stood at."""
        start_s = end_s - span_s
        if name in GPU_COLUMNS:
            changes = bisect_right(self._gpu_since_s, end_s)
            start_s = max([start_s, *self._gpu_since_s[:changes][-1:]])
        series = self.series(name, start_s, end_s)
        return [
            (time_s, value)
            for time_s, value in zip(series.times_s, series.values, strict=True)
            if start_s <= time_s <= end_s and not math.isnan(value)
        ]


def _growth(readings: Sequence[tuple[float, float]]) -> float | None:
    values = [value for _, value in readings]
    if len(values) < 2 or any(after < before for before, after in pairwise(values)):
        return None
    return values[-1] - values[0]


def _pack(frame: Frame | None, host: HostSample | None) -> bytes:
    reports: list[Report] = [report for report in (frame, host) if report is not None]
    return zlib.compress(ENCODER.encode([ENCODER.encode(report) for report in reports]), 1)


def _unpack(wall_s: float, packed: bytes) -> PastMoment:
    frame: Frame | None = None
    host: HostSample | None = None
    if not packed:
        return PastMoment(wall_s, None, None)
    for encoded in msgspec.msgpack.decode(zlib.decompress(packed), type=list[bytes]):
        match REPORT_DECODER.decode(encoded):
            case Frame() as decoded:
                frame = decoded
            case HostSample() as sample:
                host = sample
            case _:
                pass
    return PastMoment(wall_s, frame, host)
