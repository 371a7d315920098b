"""A planner's comparison as tables: each figure as a value and as text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...engine.planner.compare.comparison import SCENARIO_GPUS, Comparison, Scenario, Selected
from ...engine.planner.compare.score import WEIGHTS, Rated
from ...engine.planner.search.strategies import STRATEGIES
from ...engine.planner.serving_capacity.prices import Price
from ..style.formatting import MISSING, energy, percent, si
from .units import gib, long_time, parameters, seconds

Value = str | float | int | bool | None
Prices = Mapping[str, Price]


@dataclass(frozen=True)
class Column:
    """A figure or words of each row. `key`: in JSON and CSV, with its unit; `title`: for people."""

    key: str
    title: str
    text: Callable[[float], str] | None = None

    def shown(self, value: Value) -> str:
        """`--` for what is not known."""
        if value is None:
            return MISSING
        if isinstance(value, bool):
            return "yes" if value else "NO"
        if isinstance(value, str) or self.text is None:
            return str(value)
        return self.text(value)


@dataclass(frozen=True)
class Table:
    """Rows of values below columns, and what is said of them. `key`: in JSON and CSV."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()


def _score(value: float) -> str:
    return f"{value:.3f}"


def _times(value: float) -> str:
    return f"{value:.3g}"


def _dollars(value: float) -> str:
    return f"${si(value)}"


_FITS = Column("fits", "fits")
_MEMORY = Column("memory_bytes", "GiB", gib)
_STEP = Column("step_s", "step", seconds)
_SPEED = Column("tokens_s", "tok/s", si)
_QUIET = Column("communication_share", "comm", percent)
_EFFICIENCY = Column("scaling_efficiency", "efficiency", percent)
_LEAN = Column("memory_efficiency", "memory eff", percent)
_SCORE = Column("score", "score", _score)
_WORDS = Column("layout", "layout, or why not")


def tables(found: Comparison, prices: Prices) -> tuple[Table, ...]:
    """All tables of a comparison. prices: by GPU key; a type without one has no cost."""
    return (
        _strategies(found),
        _characteristics(),
        *(_scenario(each) for each in found.scenarios),
        _gpu_types(found, prices),
    )


def _strategies(found: Comparison) -> Table:
    model, batch = found.setting.model, found.constraints.batch
    where = f"{found.setting.cluster.gpu.name}, {batch:,} × {found.setting.sequence:,} tokens"
    return Table(
        key="strategies",
        title=f"{model.name}, {parameters(model.parameters)} on {where}",
        columns=(
            Column("strategy", "strategy"),
            Column("gpus", "GPUs"),
            *(_FITS, _MEMORY, _STEP, _SPEED, _QUIET),
            Column("speedup", "speed-up", _times),
            _EFFICIENCY,
            Column("serial_share", "serial", percent),
            Column("amdahl_bound", "Amdahl", _times),
            *(_LEAN, _WORDS),
        ),
        rows=tuple(
            (one.strategy.name, one.gpus, *_figures(one), *_against_one(one), _words(one))
            for one in found.rated
        ),
        notes=(
            "The batch is the same on every cluster. Speed-up and efficiency are against one GPU;"
            " where the model does not fit one, against one with memory enough.",
            "serial: the share of that GPU's work that did not get faster (Karp and Flatt 1990);"
            " Amdahl: the speed-up that no number of GPUs would pass with it.",
            "fits NO: figures of the leanest layout, which needs more than there is.",
        ),
    )


def _figures(one: Rated | Selected) -> tuple[Value, ...]:
    """Whether it fits, memory, step, throughput, communication."""
    layout = one.estimate
    if layout is None:
        return (one.fits, None, None, None, None)
    memory, talk = layout.memory.total, layout.communication_share
    return (one.fits, memory, layout.step_s, layout.tokens_s, talk)


def _against_one(one: Rated) -> tuple[Value, ...]:
    shares = (one.efficiency, one.serial_share, one.amdahl_bound, one.memory_efficiency)
    return (one.speedup, *shares)


def _words(one: Rated | Selected) -> str:
    if one.estimate is None:
        return one.reason or MISSING
    return one.estimate.layout.shorthand


def _characteristics() -> Table:
    titles = {
        "name": "strategy",
        "splits": "splits",
        "memory_efficiency": "memory",
        "communication": "communication",
        "complexity": "complexity",
        "good_for": "good for",
    }
    return Table(
        key="characteristics",
        title="What the strategies are",
        columns=tuple(Column(key, title) for key, title in titles.items()),
        rows=tuple(tuple(getattr(one, key) for key in titles) for one in STRATEGIES.values()),
    )


def _scenario(found: Scenario) -> Table:
    score, time = found.by_score, found.by_time
    formula = " + ".join(
        f"{weight:g} × {name}" for weight, name in zip(WEIGHTS, _PARTS, strict=True)
    )
    return Table(
        key=f"scenario-{found.model}",
        title=f"{found.model} on {SCENARIO_GPUS} GPUs",
        columns=(
            Column("strategy", "strategy"),
            *(_FITS, _MEMORY, _STEP, _SPEED, _QUIET, _EFFICIENCY, _LEAN, _SCORE),
            Column("rank_by_score", "by score"),
            Column("rank_by_time", "by time"),
            _WORDS,
        ),
        rows=tuple(
            (
                *(one.strategy.name, *_figures(one), one.efficiency, one.memory_efficiency),
                *(one.score, _place(one, score), _place(one, time), _words(one)),
            )
            for one in found.rated
        ),
        notes=(f"score = {formula}.", _first_two("score", score), _first_two("time", time)),
    )


_PARTS = ("scaling efficiency", "(1 − communication)", "memory efficiency")


def _place(one: Rated, ranking: Sequence[Rated]) -> int | None:
    return ranking.index(one) + 1 if one in ranking else None


def _first_two(by: str, ranking: Sequence[Rated]) -> str:
    names = [one.strategy.name for one in ranking[:2]]
    match names:
        case [best, other]:
            return f"By {by}: {best}, then {other}."
        case [best]:
            return f"By {by}: {best}; nothing else fits."
        case _:
            return f"By {by}: nothing fits."


def _gpu_types(found: Comparison, prices: Prices) -> Table:
    gpus = found.setting.cluster.gpus
    return Table(
        key="gpu_types",
        title=(
            f"GPU types: {found.setting.model.name} on {gpus:,}, {si(found.tokens)} training tokens"
        ),
        columns=(
            Column("gpu", "GPU"),
            *(_FITS, _MEMORY, _STEP, _SPEED, _QUIET),
            Column("training_s", "time", long_time),
            Column("cost_usd", "cost", _dollars),
            Column("energy_j", "energy", energy),
            _WORDS,
        ),
        rows=tuple(
            (one.gpu.name, *_figures(one), *_training(one, found.tokens, prices), _words(one))
            for one in found.selected
        ),
        notes=(
            "In each type's usual nodes, without restarts. Costs are list prices on demand; energy"
            " is that of the GPUs alone, where their power limit is stated.",
            *(f"{one.gpu.name}: {one.gpu.note}" for one in found.selected if one.gpu.note),
        ),
    )


def _training(one: Selected, tokens: float, prices: Prices) -> tuple[Value, ...]:
    """Time, cost and energy; nothing for what does not fit."""
    layout, price = one.estimate, prices.get(one.gpu.key)
    if layout is None or not one.fits:
        return (None, None, None)
    cost = None if price is None else layout.training_cost(tokens, price.usd_per_hour)
    return (layout.training_s(tokens), cost, layout.training_energy_j(tokens))
