"""A diff in words: the cells of its table, and the lines that a command prints."""

from collections.abc import Sequence

from ...compare.wording import change, figure
from ...protocol import LATENCY_EDGES_MS
from .bootstrap import CONFIDENCE
from .diff import Change, Diff, Histogram, Method, Verdict
from .metrics import DIFF_METRICS

MISSING = "--"
HEADINGS = ("metric", "before", "after", "change", f"{CONFIDENCE:.0%} of the difference", "verdict")
BARS = " ▁▂▃▄▅▆▇█"
ASCII_BARS = " .:-=+*#@"

HOW = (
    f"Between what the difference lies: a {Method.BLOCKS} over the requests that ended and over"
    f" one reading a second, at {CONFIDENCE:.0%}. Memory is counted, and any difference is one."
)


def row(found: Change) -> tuple[str, ...]:
    """The cells of a metric under `HEADINGS`."""
    unit = DIFF_METRICS[found.metric].unit
    by = between = MISSING
    if found.old is not None and found.new is not None:
        by = change(found.old, found.new)
    if found.low is not None and found.high is not None:
        between = f"{signed(found.low, found.metric)} … {signed(found.high, found.metric)}"
    elif found.method is Method.EXACT:
        between = "counted"
    before, after = figure(found.old, unit), figure(found.new, unit)
    return found.label, before, after, by, between, str(found.verdict)


def signed(value: float, metric: str) -> str:
    """A difference with its sign."""
    sign = "−" if value < 0 else "+"
    return f"{sign}{figure(abs(value), DIFF_METRICS[metric].unit)}"


def ordered(changes: Sequence[Change]) -> list[Change]:
    """What differs first, then what does not, and what is not known at last."""
    places = {
        Verdict.WORSE: 0,
        Verdict.BETTER: 1,
        Verdict.HIGHER: 2,
        Verdict.LOWER: 2,
        Verdict.NO_DIFFERENCE: 3,
    }
    return sorted(changes, key=lambda each: places.get(each.verdict, 4))


def summary(diff: Diff) -> str:
    """The diff in a line: how many metrics are worse, better, and as they were."""
    counts = dict.fromkeys(Verdict, 0)
    for each in diff.changes:
        counts[each.verdict] += 1
    said = (
        (counts[Verdict.WORSE], "worse"),
        (counts[Verdict.BETTER], "better"),
        (counts[Verdict.HIGHER] + counts[Verdict.LOWER], "other"),
        (counts[Verdict.NO_DIFFERENCE], "without a measured difference"),
        (counts[Verdict.UNDECIDED] + counts[Verdict.ONE_SIDE], "not known"),
    )
    return ", ".join(f"{number} {word}" for number, word in said if number)


def setting_rows(diff: Diff) -> list[tuple[str, str, str]]:
    """The settings that differ: name, before, after."""
    return [(each.name, each.old or MISSING, each.new or MISSING) for each in diff.settings]


def occupied(found: Histogram) -> range:
    """The steps from the first to the last that holds a request of either side."""
    held = [place for place, both in enumerate(zip(found.old, found.new, strict=True)) if any(both)]
    return range(held[0], held[-1] + 1)


def shares(counts: Sequence[int]) -> list[float]:
    """Each count as a share of all."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def histogram_lines(found: Histogram, *, ascii_only: bool = False) -> list[str]:
    """The two histograms, one over the other on the same scale, with the ends of the axis."""
    steps, bars = occupied(found), ASCII_BARS if ascii_only else BARS
    sides = [[shares(side)[place] for place in steps] for side in (found.old, found.new)]
    most = max(max(side) for side in sides)
    drawn = ["".join(bars[_height(share, most, len(bars) - 1)] for share in side) for side in sides]
    low, high = _edge(steps[0] - 1), _edge(steps[-1])
    return [
        f"{found.latency.upper()} {low} … {high}, share of the requests",
        f"  before |{drawn[0]}|  {sum(found.old):,} requests",
        f"  after  |{drawn[1]}|  {sum(found.new):,} requests",
    ]


def _height(share: float, most: float, levels: int) -> int:
    """The bar of a share; the least there is to be seen of what is not 0."""
    return max(1, round(share / most * levels)) if share else 0


def _edge(place: int) -> str:
    edges = (0.0, *LATENCY_EDGES_MS)
    place += 1
    return f"{edges[place]:,.3g} ms" if place < len(edges) else "more"
