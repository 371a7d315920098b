"""What a diff compares: each metric with its unit, its direction, and where its samples are."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from ...compare.metrics import METRICS as MEASURED
from ...compare.metrics import dotted
from ...compare.wording import Unit
from ...protocol.errors import BadInputError

LATENCIES = ("ttft", "ttfb", "tpot", "e2e", "queue")
SUCCESS = "success"
"""Beside them: 1 of a request that was answered, 0 of one that failed."""
STATISTICS = {"mean": None, "p50": 50.0, "p95": 95.0, "p99": 99.0}
"""Of a latency; the percentiles by their rank."""


class Source(Enum):
    """Where the samples of a metric are in a `Side`."""

    SERIES = "series"
    REQUESTS = "requests"
    COUNTED = "counted"
    ENERGY = "energy"


class DiffMetric(msgspec.Struct, frozen=True, kw_only=True):
    """`higher_is_better` is `None` for what is neither. `samples` is the key in the source, and
    `percentile` the rank of what is taken of them; `None`: the mean."""

    name: str
    label: str
    unit: Unit
    higher_is_better: bool | None
    source: Source
    samples: str
    percentile: float | None = None


def _measured(name: str, source: Source, samples: str, rank: float | None = None) -> DiffMetric:
    """A metric that `prodtop compare` has as well: name, unit and direction are the same."""
    known = MEASURED[name]
    return DiffMetric(
        name=name,
        label=known.label,
        unit=known.unit,
        higher_is_better=known.higher_is_better,
        source=source,
        samples=samples,
        percentile=rank,
    )


def _series(name: str, label: str, unit: Unit, better: bool | None = None) -> DiffMetric:
    return DiffMetric(
        name=name,
        label=label,
        unit=unit,
        higher_is_better=better,
        source=Source.SERIES,
        samples=name,
    )


_ALL = [
    _measured("output_tok_s", Source.SERIES, "decode_tok_s"),
    _measured("req_s", Source.SERIES, "requests_per_s"),
    *(
        _measured(f"{latency}_{statistic}_ms", Source.REQUESTS, latency, rank)
        for latency in LATENCIES
        for statistic, rank in STATISTICS.items()
    ),
    _measured("success_rate", Source.REQUESTS, SUCCESS),
    _measured("j_per_token", Source.ENERGY, ""),
    _measured("mbu", Source.SERIES, "mbu"),
    _measured("response_hit_rate", Source.SERIES, "response_hits"),
    _measured("prefix_hit_rate", Source.SERIES, "prefix_hits"),
    *(
        _measured(name, Source.COUNTED, name)
        for name in ("memory_bytes", "weights_bytes", "kv_bytes")
    ),
    _series("prefill_tok_s", "prefill tok/s", Unit.TOKENS_PER_S),
    _series("cached_tok_s", "cached tok/s", Unit.TOKENS_PER_S),
    _series("arrivals_per_s", "arrivals", Unit.REQUESTS_PER_S),
    _series("in_system", "in system", Unit.COUNT),
    _series("running", "running", Unit.COUNT),
    _series("kv_used", "KV in use", Unit.FRACTION),
    _series("gpu", "GPU busy", Unit.FRACTION),
    _series("power_w", "power (W)", Unit.COUNT, better=False),
    _series("cpu", "CPU", Unit.FRACTION),
    _series("worker_cpu", "engine CPU (cores)", Unit.COUNT, better=False),
]
DIFF_METRICS: Mapping[str, DiffMetric] = {metric.name: metric for metric in _ALL}
SERIES = frozenset(each.samples for each in _ALL if each.source is Source.SERIES)


def diff_metric_named(name: str) -> str:
    """The name of a metric of a diff; raises `BadInputError` that lists them."""
    found = DIFF_METRICS.get(dotted(name))
    if found is None:
        raise BadInputError(f"unknown metric '{name}': choose from {', '.join(DIFF_METRICS)}")
    return found.name
