"""The columns of a what-if: the same figures of what was recorded, replayed and planned."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...engine.compare.metrics import METRICS, Repeat
from ...engine.compare.wording import Unit
from ...engine.metrics.recorded import RecordedFigures
from ...engine.protocol import CellResult, Distribution
from .whatif_planner import Planned

YOURS, HERE, PLANNER = "yours", "here", "planner"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `compared`: it is also given as a ratio to yours."""

    name: str
    label: str
    unit: Unit
    compared: bool = True


_LATENCIES = (
    *("ttft_mean_ms", "ttft_p50_ms", "ttft_p95_ms"),
    *("tpot_mean_ms", "tpot_p95_ms", "e2e_mean_ms", "e2e_p95_ms"),
)
LINES: tuple[Line, ...] = (
    Line("requests", "requests", Unit.COUNT, compared=False),
    Line("failed", "failed", Unit.COUNT, compared=False),
    Line("output_tok_s", "output tok/s", Unit.TOKENS_PER_S),
    *(Line(name, f"{METRICS[name].label} ms", Unit.MS) for name in _LATENCIES),
    Line("prefix_hit_rate", "prefix hit rate", Unit.FRACTION, compared=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`figures` by the name of a line; one that is missing is `None`."""

    kind: str
    heading: tuple[str, ...]
    figures: Mapping[str, float | None]

    def ratio(self, line: Line, yours: "Column") -> float | None:
        """A figure over yours; `None` where either is missing, or yours is 0."""
        own, other = self.figures.get(line.name), yours.figures.get(line.name)
        if not line.compared or own is None or not other:
            return None
        return own / other


def yours_column(requests: int, recorded: RecordedFigures | None) -> Column:
    """What the recording tells; of a trace that does not, `requests` alone."""
    figures: dict[str, float | None] = {"requests": requests}
    if recorded is not None:
        figures |= {
            "failed": recorded.failed,
            "output_tok_s": recorded.output_tok_s,
            "prefix_hit_rate": recorded.prefix_hit_rate,
            **_latency("ttft", recorded.ttft_ms),
            **_latency("tpot", recorded.tpot_ms),
            **_latency("e2e", recorded.e2e_ms),
        }
    return Column(kind=YOURS, heading=("yours",), figures=figures)


def here_column(cell: CellResult) -> Column:
    """What was measured here."""
    repeat = Repeat(result=cell)
    names = ("output_tok_s", *_LATENCIES, "prefix_hit_rate")
    figures: dict[str, float | None] = {name: METRICS[name].read(repeat) for name in names}
    figures |= {"requests": cell.requests, "failed": cell.failed + cell.rejected}
    heading = ("here", cell.strategy.value, cell.precision.value)
    return Column(kind=HERE, heading=heading, figures=figures)


def planner_column(planned: Planned) -> Column:
    """What is to be expected: means alone, of a request that finds a place at once."""
    result = planned.result
    figures: dict[str, float | None] = {}
    if result is not None:
        at = result.at
        figures = {
            "output_tok_s": result.output_tok_s,
            "ttft_mean_ms": None if at is None else at.ttft_s * 1e3,
            "tpot_mean_ms": None if at is None or at.tpot_s is None else at.tpot_s * 1e3,
            "e2e_mean_ms": None if result.e2e_s is None else result.e2e_s * 1e3,
        }
    gpus = "" if planned.gpus in (None, 1) else f"{planned.gpus}× "
    heading = ("planner", f"{gpus}{planned.gpu.key}", planned.precision.value)
    return Column(kind=PLANNER, heading=heading, figures=figures)


def _latency(name: str, of: Distribution | None) -> dict[str, float | None]:
    statistics = Distribution.__struct_fields__
    return {f"{name}_{each}_ms": None if of is None else getattr(of, each) for each in statistics}
