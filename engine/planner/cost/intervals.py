"""How sure an estimate is: what published runs like it were off by, with their source left out.

`intervals.toml` is made by `benchmarks/planner_fit.py --intervals`; nothing in it is written by
hand. A class is a framework's profile, a GPU generation and a kind of training; where it has too
few runs, those of a wider class speak for it, and the interval says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from ...files.toml_text import parse_toml
from .layout import Layout
from .setting import Setting

Metric = Literal["time", "memory"]
SHARE = 0.8
"""Of runs that an interval is to hold."""
EVERY = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The true figure lies within a factor of `1 + spread` in four of five runs of a class.

    runs, sources: that this was found on. own: whether they are of the class asked for; else of
    `basis`, a wider one, because the class itself has too few.
    """

    spread: float
    runs: int
    sources: int
    basis: str
    own: bool

    def bounds(self, value: float) -> tuple[float, float]:
        """The least and the most that `value` stands for."""
        return value / (1 + self.spread), value * (1 + self.spread)

    @property
    def words(self) -> str:
        """What it rests on, in a few words."""
        found = f"{self.runs} runs of {self.sources} sources ({self.basis})"
        return found if self.own else f"no runs of its class; {found}"


class _Class(msgspec.Struct, frozen=True):
    spread: float
    runs: int
    sources: int


def classes(setting: Setting, layout: Layout) -> Iterator[str]:
    """The classes of an estimate, the narrowest first."""
    kind = "adapters" if setting.frozen else "dense" if setting.model.experts is None else "mixture"
    name, gpu = setting.software.name, setting.cluster.gpu
    size = "one node" if layout.world <= setting.cluster.node_gpus else "nodes"
    yield f"{name}, {gpu.generation or gpu.name}, {kind}, {size}"
    yield f"{name}, {gpu.generation or gpu.name}, {kind}"
    yield f"{name.split('-')[0]}, {kind}"
    yield kind
    yield EVERY


def interval(setting: Setting, layout: Layout, metric: Metric) -> Interval:
    """The interval of an estimate's step time (and all that follows from it) or memory."""
    known, names = _packaged()[metric], list(classes(setting, layout))
    place, name = next((place, name) for place, name in enumerate(names) if name in known)
    found = known[name]
    return Interval(
        spread=found.spread,
        runs=found.runs,
        sources=found.sources,
        basis=name,
        own=place < names.index(EVERY) - 2,
    )


@cache
def _packaged() -> Mapping[Metric, Mapping[str, _Class]]:
    text = files(__package__).joinpath("intervals.toml").read_text(encoding="utf-8")
    return msgspec.convert(parse_toml(text), type=dict[Metric, dict[str, _Class]])
