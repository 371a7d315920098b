"""What the Fleet tab knows: the rows of all servers, how each does, and in which order they stand.

Pure but for `FleetBook`, which remembers the last minutes of every row for its curve.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from types import MappingProxyType

from ...engine.protocol import FleetSample, Replica
from ...engine.protocol.wording import counted
from ..style.formatting import milliseconds, percent
from ..style.inks import Ink

CURVE_SAMPLES = 60
FULL = 0.98
OUTLIER = 0.3
"""A replica whose tokens per second differ by so much from the median of its model stands out."""
SLOW = 2.0
"""… and one whose TTFT is so many times that median."""
LEAST_OF_MODEL = 3
"""Of fewer replicas of a model no one is an outlier."""
SECONDS_PER_HOUR, MILLION = 3600.0, 1e6


class Order(StrEnum):
    """What rows are sorted by: those that are worst off first, or by a column."""

    HEALTH = "health"
    NAME = "name"
    SPEED = "tok/s"
    WAITING = "waiting"
    KV = "KV"
    TTFT = "TTFT p95"
    COST = "$/1M"


class Group(StrEnum):
    """What rows are put together by."""

    NONE = "all"
    MODEL = "model"
    NODE = "node"
    VERSION = "version"


class Word(StrEnum):
    """How a replica does; the worst first."""

    DOWN = "DOWN"
    STALE = "STALE"
    KV_FULL = "KV FULL"
    OVERLOADED = "OVERLOADED"
    SLOW = "SLOW"
    OUTLIER = "OUTLIER"
    WAITING = "…"
    IDLE = "IDLE"
    OK = "OK"


INKS = {
    Word.DOWN: Ink.BAD,
    Word.STALE: Ink.BAD,
    Word.KV_FULL: Ink.BAD,
    Word.OVERLOADED: Ink.WARN,
    Word.SLOW: Ink.WARN,
    Word.OUTLIER: Ink.WARN,
    Word.WAITING: Ink.MUTED,
    Word.IDLE: Ink.MUTED,
    Word.OK: Ink.OK,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A replica with what is made of its figures. `deviation` is its speed against the median of
    its model, −0.3 for a third less; `usd_per_million` what its tokens cost."""

    replica: Replica
    word: Word
    deviation: float | None = None
    usd_per_million: float | None = None
    curve: tuple[float, ...] = ()
    median_ttft_ms: float | None = None

    @property
    def reason(self) -> str:
        """Why it has this word. Made when it is asked for: one row's is shown at a time."""
        replica, running, waiting = self.replica, self.replica.running or 0, self.replica.waiting
        match self.word:
            case Word.DOWN:
                return replica.down or ""
            case Word.WAITING:
                return "not heard of yet"
            case Word.STALE:
                return f"silent for {replica.age_s or 0.0:.0f} s"
            case Word.KV_FULL:
                return f"{percent(replica.kv_used)} of KV, {waiting} waiting"
            case Word.OVERLOADED:
                return f"{waiting} waiting for {running} running"
            case Word.SLOW:
                own, usual = milliseconds(replica.ttft_p95_ms), milliseconds(self.median_ttft_ms)
                return f"TTFT p95 {own}, median {usual}"
            case Word.OUTLIER:
                share = self.deviation or 0.0
                less = "less" if share < 0 else "more"
                return f"{percent(abs(share))} {less} tok/s than the median"
            case Word.IDLE | Word.OK:
                return ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The newest rows, by name; `chosen` is the one that the other tabs show, `note` what is wrong
    with where the figures come from."""

    rows: tuple[Row, ...] = ()
    chosen: str = ""
    note: str = ""

    def row(self, name: str | None) -> Row | None:
        return next((row for row in self.rows if row.replica.name == name), None)


@dataclass(frozen=True, slots=True)
class FleetOrder:
    """How the table is looked at."""

    order: Order = Order.HEALTH
    descending: bool = False
    group: Group = Group.NONE
    wanted: str = ""


class FleetBook:
    """Takes samples in, and remembers each replica's speed for its curve."""

    def __init__(self) -> None:
        self._curves: dict[str, deque[float]] = {}
        self.now: Fleet | None = None
        """`None` where no fleet is watched."""

    def take(self, sample: FleetSample, usd_per_hour: float | None) -> None:
        """A sample came. `usd_per_hour` is what one replica costs, where that is set."""
        before, self._curves = self._curves, {}
        for each in sample.replicas:
            curve = before.get(each.name)
            if curve is None:
                curve = deque(maxlen=CURVE_SAMPLES)
            curve.append(each.decode_tok_s or 0.0)
            self._curves[each.name] = curve
        replicas = sorted(sample.replicas, key=lambda each: each.name)
        rows = judged(replicas, usd_per_hour, self._curves)
        self.now = Fleet(tuple(rows), sample.chosen, sample.note or "")


@dataclass(slots=True)
class _Medians:
    speed: float | None = None
    ttft_ms: float | None = None
    counts: int = 0


def judged(
    replicas: Sequence[Replica],
    usd_per_hour: float | None,
    curves: Mapping[str, Collection[float]] = MappingProxyType({}),
) -> list[Row]:
    """How each replica does, by itself and against the others of its model; `curves` are the last
    speeds of each by name."""
    models: dict[str, list[Replica]] = {}
    for each in replicas:
        models.setdefault(each.model, []).append(each)
    medians = {model: _medians(each) for model, each in models.items()}
    return [
        _judged(each, medians[each.model], usd_per_hour, tuple(curves.get(each.name, ())))
        for each in replicas
    ]


def _medians(replicas: Sequence[Replica]) -> _Medians:
    """Of those that work: one that idles says nothing of how fast the others should be."""
    busy = [each for each in replicas if each.down is None and each.running]
    speeds = [each.decode_tok_s for each in busy if each.decode_tok_s is not None]
    ttfts = [each.ttft_p95_ms for each in busy if each.ttft_p95_ms is not None]
    if len(busy) < LEAST_OF_MODEL:
        return _Medians(counts=len(busy))
    return _Medians(median(speeds) if speeds else None, median(ttfts) if ttfts else None, len(busy))


def _judged(
    replica: Replica, medians: _Medians, usd_per_hour: float | None, curve: tuple[float, ...]
) -> Row:
    speed, deviation = replica.decode_tok_s, None
    if speed is not None and medians.speed and replica.running:
        deviation = speed / medians.speed - 1
    cost = None
    if usd_per_hour is not None and speed:
        cost = usd_per_hour / (speed * SECONDS_PER_HOUR) * MILLION
    word = _word(replica, medians, deviation)
    return Row(replica, word, deviation, cost, curve, medians.ttft_ms)


def _word(replica: Replica, medians: _Medians, deviation: float | None) -> Word:
    """The worst that is wrong with it."""
    running, waiting = replica.running, replica.waiting
    if replica.down is not None:
        return Word.DOWN
    if replica.age_s is None and running is None and replica.decode_tok_s is None:
        return Word.WAITING
    if replica.stale and replica.age_s is not None:
        return Word.STALE
    if waiting:
        if replica.kv_used is not None and replica.kv_used >= FULL:
            return Word.KV_FULL
        if waiting > (running or 0):
            return Word.OVERLOADED
    ttft_ms = replica.ttft_p95_ms
    if ttft_ms is not None and medians.ttft_ms and ttft_ms > SLOW * medians.ttft_ms:
        return Word.SLOW
    if deviation is not None and abs(deviation) > OUTLIER:
        return Word.OUTLIER
    return Word.IDLE if running == 0 and not waiting else Word.OK


def shown_rows(fleet: Fleet, order: FleetOrder) -> dict[str, list[Row]]:
    """The rows that have all words of the filter, sorted, by their group."""
    words = order.wanted.lower().split()
    rows = [row for row in fleet.rows if not words or _has_all(_said(row), words)]
    # Those that a column does not tell apart stay by name: the sort is stable, also in reverse.
    rows.sort(key=_KEYS[order.order], reverse=order.descending)
    if order.group is Group.NONE:
        return {"": rows} if rows else {}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row.replica, order.group), []).append(row)
    return dict(sorted(groups.items()))


def _has_all(said: str, words: Sequence[str]) -> bool:
    return all(word in said for word in words)


def _said(row: Row) -> str:
    replica = row.replica
    said = (replica.name, replica.url, replica.kind, replica.version or "", replica.model)
    return " ".join((*said, replica.node, row.word)).lower()


def _group(replica: Replica, group: Group) -> str:
    match group:
        case Group.MODEL:
            return replica.model or "no model told"
        case Group.NODE:
            return replica.node or "no node told"
        case Group.VERSION:
            return f"{replica.kind} {replica.version or ''}".strip()
        case Group.NONE:
            return ""


def _less(value: float | None) -> float:
    """Downwards: the greatest first, what is not known last."""
    return float("inf") if value is None else -value


_BADNESS = {word: place for place, word in enumerate(Word)}
_KEYS: Mapping[Order, Callable[[Row], float | str]] = {
    Order.HEALTH: lambda row: _BADNESS[row.word],
    Order.NAME: lambda row: row.replica.name,
    Order.SPEED: lambda row: _less(row.replica.decode_tok_s),
    Order.WAITING: lambda row: _less(row.replica.waiting),
    Order.KV: lambda row: _less(row.replica.kv_used),
    Order.TTFT: lambda row: _less(row.replica.ttft_p95_ms),
    Order.COST: lambda row: _less(row.usd_per_million),
}


@dataclass(frozen=True, slots=True)
class Totals:
    """What several rows come to: sums, and how many are not well."""

    replicas: int = 0
    wrong: dict[Word, int] = field(default_factory=dict)
    decode_tok_s: float | None = None
    running: int | None = None
    waiting: int | None = None
    requests_per_s: float | None = None

    @property
    def words(self) -> str:
        """`12 replicas`."""
        return counted(self.replicas, "replica")


def totals(rows: Sequence[Row]) -> Totals:
    """The sums of what is told."""
    wrong: dict[Word, int] = {}
    for row in rows:
        if INKS[row.word] in (Ink.BAD, Ink.WARN):
            wrong[row.word] = wrong.get(row.word, 0) + 1
    replicas = [row.replica for row in rows]
    return Totals(
        len(rows),
        wrong,
        _sum([each.decode_tok_s for each in replicas]),
        _whole_sum([each.running for each in replicas]),
        _whole_sum([each.waiting for each in replicas]),
        _sum([each.requests_per_s for each in replicas]),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) if told else None


def _whole_sum(values: Sequence[int | None]) -> int | None:
    told = [value for value in values if value is not None]
    return sum(told) if told else None
