"""The table of one engine: each figure's sources, the preferred first."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ...protocol import EngineKind, Figure
from .further import Further
from .names import Labels
from .source import (
    AnyLevel,
    Flow,
    Label,
    Level,
    Mean,
    Metric,
    Part,
    Rate,
    Share,
    Spread,
    Times,
    known,
)


class Endpoint(NamedTuple):
    """A path that the server is to be asked for, and how often: its answer goes to `take_json`."""

    path: str
    every_s: float


@dataclass(frozen=True)
class KvSize:
    """The blocks of the KV cache, and the tokens of one: 1 where tokens are what is counted."""

    blocks: AnyLevel
    tokens: AnyLevel | None = None


@dataclass(frozen=True, kw_only=True)
class EngineMap:
    """Which metrics of an engine are which figure. Of several sources the first one is taken whose
    metrics the server has.

    `absent`: why the engine cannot tell a figure, or what it has to be started with.
    `refresh_s`: how often it renews what it exports. `exact_sums`: whether a histogram's sum is of
    the values themselves.
    """

    kind: EngineKind
    running: tuple[Level, ...] = ()
    waiting: tuple[Level, ...] = ()
    kv_usage: tuple[Level, ...] = ()
    kv_size: tuple[KvSize, ...] = ()
    kv_blocks_running: tuple[Level, ...] = ()
    kv_blocks_evictable: tuple[Level, ...] = ()
    prefix_hits: tuple[Part, ...] = ()
    response_hits: tuple[Part, ...] = ()
    response_entries: tuple[Level, ...] = ()
    response_bytes: tuple[Level, ...] = ()
    prefill: tuple[Rate, ...] = ()
    """Prompt tokens computed."""
    cached: tuple[Rate, ...] = ()
    """Prompt tokens from the prefix cache."""
    cached_output: tuple[Flow, ...] = ()
    """Output tokens from a response cache."""
    decode: tuple[Rate, ...] = ()
    finished: tuple[Flow, ...] = ()
    failed: tuple[Flow, ...] = ()
    rejected: tuple[Flow, ...] = ()
    submitted: tuple[Flow, ...] = ()
    preemptions: tuple[Flow, ...] = ()
    steps: tuple[Rate, ...] = ()
    rows: tuple[Part, ...] = ()
    """Sequences of a step."""
    ttft: tuple[Times, ...] = ()
    ttfb: tuple[Times, ...] = ()
    itl: tuple[Times, ...] = ()
    tpot: tuple[Times, ...] = ()
    e2e: tuple[Times, ...] = ()
    queue: tuple[Times, ...] = ()
    acceptance: tuple[Part, ...] = ()
    drafts: tuple[Share, ...] = ()
    """Tokens drafted over drafts."""
    accept_length: tuple[Level, ...] = ()
    """Tokens that a step accepts in the mean, its own included."""
    flops: tuple[Flow, ...] = ()
    """Of one GPU."""
    read_bytes: tuple[Flow, ...] = ()
    """Of one GPU."""
    busy_s: tuple[Flow, ...] = ()
    """How long its steps took."""
    prefill_busy_s: tuple[Flow, ...] = ()
    energy_j: tuple[Flow, ...] = ()
    memory_used: tuple[Level, ...] = ()
    memory_weights: tuple[Level, ...] = ()
    memory_kv: tuple[Level, ...] = ()
    memory_graphs: tuple[Level, ...] = ()
    max_seqs: tuple[AnyLevel, ...] = ()
    context_tokens: tuple[AnyLevel, ...] = ()
    further: tuple[Further, ...] = ()
    model_labels: tuple[str, ...] = ("model_name", "model")
    version: tuple[tuple[str, str], ...] = ()
    """Info metrics and their labels that hold the version."""
    rank_labels: tuple[str, ...] = ()
    """The labels that tell data-parallel ranks apart: their gauges are added up."""
    same_labels: tuple[str, ...] = ()
    """Of series that differ in these alone all tell the same: the first one is read."""
    absent: Mapping[Figure, str] = field(default_factory=dict)
    refresh_s: float = 1.0
    exact_sums: bool = True
    endpoints: tuple[Endpoint, ...] = ()
    metrics_paths: tuple[str, ...] = ("/metrics",)

    def sources(self) -> Iterator[AnyLevel | Rate | Part | Times]:
        """All that is in the table."""
        for each in dataclasses.fields(self):
            held = getattr(self, each.name)
            if isinstance(held, tuple):
                for source in held:
                    if isinstance(source, Further):
                        yield source.source
                    elif isinstance(source, Level | Label | Flow | Share | Spread | Mean):
                        yield source
                    elif isinstance(source, KvSize):
                        yield source.blocks
                        if source.tokens is not None:
                            yield source.tokens

    @cached_property
    def of_a_row(self) -> "EngineMap":
        """The same with what a row of a fleet shows alone: of hundreds of servers all else would
        take memory and time, and nobody looks at it."""
        kept = {name: getattr(self, name) for name in _OWN | _OF_A_ROW}
        return EngineMap(**{**kept, "absent": dict.fromkeys(Figure, NOT_LOOKED_AT)})

    @cached_property
    def needs(self) -> "Needs":
        """What must be read of every scrape: by canonical names."""
        return _needs(self)

    def extended(self, other: "EngineMap", kind: EngineKind) -> "EngineMap":
        """This table, and where it has nothing the other's, which passes this one's figures on: how
        they are exported, and where, is the other's."""
        joined = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in dataclasses.fields(self)
            if each.name not in _OWN
        }
        absent = {**other.absent, **self.absent}
        exported = {name: getattr(other, name) for name in _EXPORT}
        return dataclasses.replace(self, **joined, **exported, absent=absent, kind=kind)

    def explained(
        self, absent: Mapping[Figure, str], endpoints: tuple[Endpoint, ...]
    ) -> "EngineMap":
        """The same with reasons for what is not there, and other paths to ask."""
        return dataclasses.replace(self, absent={**self.absent, **absent}, endpoints=endpoints)


_EXPORT = frozenset({"refresh_s", "exact_sums", "metrics_paths"})
_OWN = frozenset({"kind", "absent"}) | _EXPORT
NOT_LOOKED_AT = "not read before the server is looked at"
_OF_A_ROW = frozenset(
    {"running", "waiting", "kv_usage", "kv_size", "kv_blocks_running", "prefix_hits", "decode"}
    | {"finished", "failed", "ttft", "model_labels", "version", "rank_labels", "same_labels"}
    | {"endpoints"}
)


@dataclass(frozen=True)
class Needs:
    """What must be read of every scrape for a table: by canonical names."""

    counters: tuple[Metric, ...]
    spreads: tuple[Spread, ...]
    gauges: frozenset[str]


def _needs(table: EngineMap) -> Needs:
    counters: dict[tuple[str, Labels], Metric] = {}
    spreads: dict[Spread, None] = {}
    gauges = {known(name) for name, _ in table.version}
    for source in table.sources():
        if isinstance(source, Level):
            gauges |= {metric.key for metric in source.plus + source.minus + source.also}
        elif isinstance(source, Label):
            gauges.add(source.metric.key)
        elif isinstance(source, Spread):
            spreads[source] = None
        else:
            for flow in flows(source):
                counters |= {(metric.key, metric.where): metric for metric in flow.metrics}
    return Needs(tuple(counters.values()), tuple(spreads), frozenset(gauges))


def flows(source: Flow | Share | Mean) -> tuple[Flow, ...]:
    """The counters of a source."""
    if isinstance(source, Flow):
        return (source,)
    if isinstance(source, Share):
        return (source.part, source.whole)
    return (source.total, source.count)
