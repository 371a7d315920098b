"""The metrics of a comparison: each with its unit, its direction, and how a repeat gives it."""

from collections.abc import Callable, Mapping

import msgspec

from ..protocol import CellResult, Distribution, StrategyName
from ..protocol.errors import BadInputError
from . import samples
from .cells import Comparison, Measured
from .median import Median, median
from .samples import NO_LIMITS, Limits
from .wording import Unit


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """One repeat, and what some metrics need beside it.

    `single`: the repeat of the same number of `single` on the same requests, at the same precision
    and settings. `None` where there is none.
    """

    result: CellResult
    single: CellResult | None = None
    limits: Limits = NO_LIMITS


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a cell. `higher_is_better` is `None` for one that is neither."""

    name: str
    label: str
    unit: Unit
    higher_is_better: bool | None
    read: Callable[[Repeat], float | None]

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is better than `other`; never for a metric without direction."""
        if self.higher_is_better is None:
            return False
        return one > other if self.higher_is_better else one < other


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _output_tokens(result: CellResult) -> float:
    return result.output_tok_s * result.duration_s


def _efficiency(of: Repeat) -> float | None:
    e2e = of.result.e2e_ms
    return _ratio(of.result.output_tok_s, None if e2e is None else e2e.mean / 1e3)


def _batch_efficiency(of: Repeat) -> float | None:
    single, result = of.single, of.result
    if single is None or single.failed or result.failed or single.rejected or result.rejected:
        return None
    return _ratio(single.duration_s, result.duration_s)


def _success(of: Repeat) -> float | None:
    lost = of.result.failed + of.result.rejected
    return _ratio(of.result.requests - lost, of.result.requests)


def _goodput(of: Repeat) -> float | None:
    return samples.goodput_req_s(of.result, of.limits) if of.limits.given() else None


def _attainment(of: Repeat) -> float | None:
    return samples.attainment(of.result, of.limits) if of.limits.given() else None


def _metric(
    name: str, label: str, unit: Unit, better: bool | None, read: Callable[[Repeat], float | None]
) -> Metric:
    return Metric(name=name, label=label, unit=unit, higher_is_better=better, read=read)


def _field(name: str) -> Callable[[Repeat], float | None]:
    def read(of: Repeat) -> float | None:
        value: float | None = getattr(of.result, name)
        return value

    return read


def _percentile(latency: str, statistic: str) -> Callable[[Repeat], float | None]:
    def read(of: Repeat) -> float | None:
        found: Distribution | None = getattr(of.result, latency)
        if found is None:
            return None
        value: float = getattr(found, statistic)
        return value

    return read


def _latencies() -> list[Metric]:
    names = (("ttft", "TTFT"), ("ttfb", "TTFB"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2e", "E2E"))
    return [
        _metric(
            f"{name}_{statistic}_ms",
            f"{label} {statistic}",
            Unit.MS,
            False,
            _percentile(f"{name}_ms", statistic),
        )
        for name, label in (*names, ("queue", "queue"))
        for statistic in Distribution.__struct_fields__
    ]


_ALL = [
    _metric("output_tok_s", "tok/s", Unit.TOKENS_PER_S, True, _field("output_tok_s")),
    _metric("total_tok_s", "total tok/s", Unit.TOKENS_PER_S, True, _field("total_tok_s")),
    _metric("req_s", "req/s", Unit.REQUESTS_PER_S, True, _field("req_s")),
    _metric("goodput_req_s", "goodput", Unit.REQUESTS_PER_S, True, _goodput),
    _metric("attainment", "within limits", Unit.FRACTION, True, _attainment),
    *_latencies(),
    _metric("duration_s", "duration", Unit.S, False, _field("duration_s")),
    _metric("success_rate", "success", Unit.FRACTION, True, _success),
    _metric(
        "memory_bytes", "memory", Unit.BYTES, False, lambda of: of.result.memory.peak_bytes or None
    ),
    _metric(
        "weights_bytes", "weights", Unit.BYTES, False, lambda of: of.result.memory.weights_bytes
    ),
    _metric("kv_bytes", "KV cache", Unit.BYTES, None, lambda of: of.result.memory.kv_bytes),
    _metric("peak_kv_bytes", "KV in use", Unit.BYTES, False, _field("peak_kv_bytes")),
    _metric("peak_running", "running", Unit.COUNT, None, _field("peak_running")),
    _metric("mbu", "MBU", Unit.FRACTION, True, _field("mbu")),
    _metric("mfu", "MFU", Unit.FRACTION, True, _field("mfu")),
    _metric(
        "j_per_token",
        "J/token",
        Unit.JOULES_PER_TOKEN,
        False,
        lambda of: _ratio(of.result.energy_j, _output_tokens(of.result)),
    ),
    _metric("response_hit_rate", "response", Unit.FRACTION, True, _field("response_hit_rate")),
    _metric("prefix_hit_rate", "prefix", Unit.FRACTION, True, _field("prefix_hit_rate")),
    _metric("draft_acceptance", "drafts", Unit.FRACTION, True, _field("draft_acceptance_rate")),
    _metric("batch_waste", "waste", Unit.FRACTION, False, _field("batch_waste")),
    _metric("batch_efficiency", "× single", Unit.FACTOR, True, _batch_efficiency),
    _metric(
        "cache_speedup", "hit gain", Unit.FACTOR, True, lambda of: samples.cache_speedup(of.result)
    ),
    _metric("efficiency", "tok/s per s", Unit.EFFICIENCY, True, _efficiency),
]
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}


def dotted(name: str) -> str:
    """A metric's name as it is listed: `ttft_ms.p95`, its place in JSON, is `ttft_p95_ms`."""
    cleaned = name.strip().lower()
    latency, dot, statistic = cleaned.partition(".")
    if not dot or not latency.endswith("_ms"):
        return cleaned
    return f"{latency.removesuffix('_ms')}_{statistic}_ms"


def measured_name(name: str) -> str:
    """The name of a metric as it is listed; raises `BadInputError`."""
    return metric_named(name).name


def metric_named(name: str) -> Metric:
    """A metric by name; raises `BadInputError` that lists them."""
    found = METRICS.get(dotted(name))
    if found is None:
        raise BadInputError(f"unknown metric '{name}': choose from {', '.join(METRICS)}")
    return found


def repeats(comparison: Comparison, measured: Measured, limits: Limits) -> list[Repeat]:
    """The repeats of a cell, each beside that of `single` of the same number."""
    cell = msgspec.structs.replace(measured.cell, strategy=StrategyName.SINGLE)
    single = comparison.find(cell)
    beside = [] if single is None else single.repeats
    return [
        Repeat(
            result=result,
            single=beside[number] if number < len(beside) else None,
            limits=limits,
        )
        for number, result in enumerate(measured.repeats)
    ]


def summary(
    comparison: Comparison, measured: Measured, metric: Metric, limits: Limits = NO_LIMITS
) -> Median | None:
    """The median of a metric over a cell's repeats; `None` where no repeat has it."""
    values = (metric.read(repeat) for repeat in repeats(comparison, measured, limits))
    return median([value for value in values if value is not None])
