"""What the Fleet tab knows: the rows of all servers, how each does, and in which order they stand.

Pure but for `FleetBook`, which remembers the last minutes of every row for its curve.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

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
    reason: str = ""
    deviation: float | None = None
    usd_per_million: float | None = None
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """The newest rows; `chosen` is the one that the other tabs show, `note` what is wrong with
    where the figures come from."""

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
        names = {each.name for each in sample.replicas}
        self._curves = {name: each for name, each in self._curves.items() if name in names}
        for each in sample.replicas:
            curve = self._curves.setdefault(each.name, deque(maxlen=CURVE_SAMPLES))
            curve.append(each.decode_tok_s or 0.0)
        rows = judged(sample.replicas, usd_per_hour)
        self.now = Fleet(
            tuple(replace(row, curve=tuple(self._curves[row.replica.name])) for row in rows),
            sample.chosen,
            sample.note or "",
        )


@dataclass(slots=True)
class _Medians:
    speed: float | None = None
    ttft_ms: float | None = None
    counts: int = 0


def judged(replicas: Sequence[Replica], usd_per_hour: float | None) -> list[Row]:
    """How each replica does, by itself and against the others of its model."""
    models: dict[str, list[Replica]] = {}
    for each in replicas:
        models.setdefault(each.model, []).append(each)
    medians = {model: _medians(each) for model, each in models.items()}
    return [_judged(each, medians[each.model], usd_per_hour) for each in replicas]


def _medians(replicas: Sequence[Replica]) -> _Medians:
    """Of those that work: one that idles says nothing of how fast the others should be."""
    busy = [each for each in replicas if each.down is None and each.running]
    speeds = [each.decode_tok_s for each in busy if each.decode_tok_s is not None]
    ttfts = [each.ttft_p95_ms for each in busy if each.ttft_p95_ms is not None]
    if len(busy) < LEAST_OF_MODEL:
        return _Medians(counts=len(busy))
    return _Medians(median(speeds) if speeds else None, median(ttfts) if ttfts else None, len(busy))


def _judged(replica: Replica, medians: _Medians, usd_per_hour: float | None) -> Row:
    speed, deviation = replica.decode_tok_s, None
    if speed is not None and medians.speed and replica.running:
        deviation = speed / medians.speed - 1
    cost = None
    if usd_per_hour is not None and speed:
        cost = usd_per_hour / (speed * SECONDS_PER_HOUR) * MILLION
    word, reason = _word(replica, medians, deviation)
    return Row(replica, word, reason, deviation, cost)


def _word(replica: Replica, medians: _Medians, deviation: float | None) -> tuple[Word, str]:
    """The worst that is wrong with it, in a word with its reason."""
    running, waiting = replica.running, replica.waiting
    if replica.down is not None:
        return Word.DOWN, replica.down
    if replica.age_s is None and running is None and replica.decode_tok_s is None:
        return Word.WAITING, "not heard of yet"
    if replica.stale and replica.age_s is not None:
        return Word.STALE, f"silent for {replica.age_s:.0f} s"
    if replica.kv_used is not None and replica.kv_used >= FULL and waiting:
        return Word.KV_FULL, f"{percent(replica.kv_used)} of KV, {waiting} waiting"
    if waiting and waiting > (running or 0):
        return Word.OVERLOADED, f"{waiting} waiting for {running or 0} running"
    ttft_ms = replica.ttft_p95_ms
    if ttft_ms is not None and medians.ttft_ms and ttft_ms > SLOW * medians.ttft_ms:
        return (
            Word.SLOW,
            f"TTFT p95 {milliseconds(ttft_ms)}, median {milliseconds(medians.ttft_ms)}",
        )
    if deviation is not None and abs(deviation) > OUTLIER:
        less = "less" if deviation < 0 else "more"
        return Word.OUTLIER, f"{percent(abs(deviation))} {less} tok/s than the median"
    if running == 0 and not waiting:
        return Word.IDLE, ""
    return Word.OK, ""


def shown_rows(fleet: Fleet, order: FleetOrder) -> dict[str, list[Row]]:
    """The rows that have all words of the filter, sorted, by their group."""
    words = order.wanted.lower().split()
    rows = [row for row in fleet.rows if all(word in _said(row) for word in words)]
    rows.sort(key=lambda row: row.replica.name)
    rows.sort(key=_KEYS[order.order], reverse=order.descending)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row.replica, order.group), []).append(row)
    return dict(sorted(groups.items())) if order.group is not Group.NONE else groups


def _said(row: Row) -> str:
    replica = row.replica
    said = (replica.name, replica.url, replica.kind, replica.version or "", replica.model)
    return " ".join((*said, replica.node, row.word)).lower()


def _group(replica: Replica, group: Group) -> str:
    names: Mapping[Group, str] = {
        Group.MODEL: replica.model or "no model told",
        Group.NODE: replica.node or "no node told",
        Group.VERSION: f"{replica.kind} {replica.version or ''}".strip(),
    }
    return names.get(group, "")


def _less(value: float | None) -> float:
    """Downwards: the greatest first, what is not known last."""
    return float("inf") if value is None else -value


_KEYS: Mapping[Order, Callable[[Row], float | str]] = {
    Order.HEALTH: lambda row: list(Word).index(row.word),
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
