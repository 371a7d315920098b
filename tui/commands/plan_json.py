"""What `prodtop plan --json` prints: one object, in SI units and bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import msgspec

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.cost.intervals import SHARE, Interval
from ...engine.planner.explain.memory import MEMORY_PARTS
from ...engine.planner.explain.step import STEP_PARTS
from ...engine.planner.explain.verdict import Difference, Verdict
from ...engine.planner.question.question import Question
from ...engine.planner.search.search import SearchResult
from ...engine.planner.search.strategies import StrategyResult
from .plan_report import Report
from .plan_run import run_object, tuning_object

SCHEMA_VERSION = 1

Object = dict[str, object]


def report_object(report: Report) -> Object:
    """The whole report."""
    result, question = report.result, report.question

    def layouts(estimates: Iterable[Estimate]) -> list[Object]:
        return [layout_object(one, question) for one in estimates]

    return {
        "schema_version": SCHEMA_VERSION,
        "question": _question(report),
        "limit_bytes": result.limit_bytes,
        "considered": result.considered,
        "fitting": result.fitting,
        "limiting": msgspec.to_builtins(result.limiting),
        "best": layouts(result.best),
        "splits": layouts(result.splits),
        "front": layouts(result.front),
        "leanest": _maybe(result.leanest, question),
        "more_memory": _maybe(report.more_memory, question),
        "more_gpus": None if report.more_gpus is None else _larger(report.more_gpus, question),
        "strategies": [_strategy(one, question) for one in report.strategies],
        "verdict": None if report.verdict is None else _verdict(report.verdict),
    }


def layout_object(one: Estimate, question: Question) -> Object:
    """A layout and all that is estimated of it."""
    return {
        "shorthand": one.layout.shorthand,
        "layout": msgspec.to_builtins(one.layout),
        "step_s": one.step_s,
        "step_interval": _interval(one.step_interval, one.step_s),
        "memory_interval": _interval(one.memory_interval, one.memory.total),
        "tokens_s": one.tokens_s,
        "tokens_s_gpu": one.tokens_s_gpu,
        "samples_s": one.samples_s,
        "mfu": one.mfu(),
        "mfu_causal": one.mfu(causal=True),
        "hfu": one.hfu(),
        "communication_share": one.communication_share,
        "bubble_share": one.time.bubble_share,
        "amdahl_speedup": one.amdahl_speedup,
        "time_s": {**_parts(one.time, STEP_PARTS), "total_s": one.step_s},
        "memory_bytes": {**_parts(one.memory, MEMORY_PARTS), "total": one.memory.total},
        "training": _training(one, question),
        "tuning": tuning_object(one, question),
        "long_run": run_object(one, question),
    }


def _interval(found: Interval, value: float) -> Object:
    low, high = found.bounds(value)
    return {"share": SHARE, "low": low, "high": high, **msgspec.to_builtins(found)}


def _parts(record: object, names: Mapping[str, str]) -> Object:
    return {name: getattr(record, name) for name in names}


def _training(one: Estimate, question: Question) -> Object | None:
    tokens, price = question.tokens, question.price
    if tokens is None:
        return None
    seconds = one.training_s(tokens)
    return {
        "tokens": tokens,
        "seconds": seconds,
        "gpu_hours": seconds / 3600 * one.layout.world,
        "energy_j": one.training_energy_j(tokens),
        "cost": None if price is None else one.training_cost(tokens, price),
    }


def _question(report: Report) -> Object:
    setting, constraints = report.question.setting, report.question.constraints
    cluster, model = setting.cluster, setting.model
    return {
        "model": {
            **asdict(model),
            "parameters": model.parameters,
            "active_parameters": model.active_parameters,
        },
        "gpu": cluster.gpu.key,
        "gpu_note": cluster.gpu.note or None,
        "gpus": cluster.gpus,
        "node_gpus": cluster.node_gpus,
        "network_bytes_s": cluster.gpu.network_bytes_s,
        "sequence": setting.sequence,
        "framework": setting.software.name,
        "constants": report.origin,
        "constraints": msgspec.to_builtins(constraints),
    }


def _maybe(one: Estimate | None, question: Question) -> Object | None:
    return None if one is None else layout_object(one, question)


def _larger(result: SearchResult, question: Question) -> Object:
    gpus = result.setting.cluster.gpus
    return {"gpus": gpus, "best": _maybe(result.winner, question)}


def _strategy(one: StrategyResult, question: Question) -> Object:
    return {
        "key": one.strategy.key,
        "best": _maybe(one.best, question),
        "leanest": _maybe(one.leanest, question),
        "limiting": msgspec.to_builtins(one.limiting),
    }


def _verdict(verdict: Verdict) -> Object:
    return {
        "winner": verdict.winner.layout.shorthand,
        "runner_up": verdict.runner_up.layout.shorthand,
        "difference_s": verdict.runner_up.step_s - verdict.winner.step_s,
        "time": [_difference(one) for one in verdict.time],
        "memory": [_difference(one) for one in verdict.memory],
        "turns": [msgspec.to_builtins(point) for point in verdict.break_evens],
    }


def _difference(one: Difference) -> Object:
    return {**msgspec.to_builtins(one), "difference": one.difference}
