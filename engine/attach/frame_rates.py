"""Rates, means and amounts of an attached server's frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..protocol import Averages, Figure, Throughput, Usage, Window
from .figures import Figures
from .gauges import Told, whole
from .kept_scrapes import Between
from .mapping.source import Flow, Rate
from .origins import Origins

Windows = Mapping[Window, Between | None]


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a GPU can do at most, where it is known which one the server has."""

    flops_per_s: float
    bytes_per_s: float


def throughput(
    figures: Figures, origins: Origins, rates: Between | None, s10: Between | None
) -> Throughput:
    """Rates over the last scrapes; of counters that move at a request's end over ten seconds."""
    table = figures.table

    def per_s(figure: Figure, sources: Sequence[Rate]) -> float | None:
        return origins.value(figure, figures.rate(sources, rates, s10), sources)

    rejected = per_s(Figure.REJECTED_PER_S, table.rejected)
    cached = per_s(Figure.CACHED_TOK_S, table.cached)
    answers = figures.rate(table.cached_output, rates)
    if cached is not None and answers is not None:
        cached += answers.value
    rows = figures.part(table.rows, rates)
    return Throughput(
        prefill_tok_s=per_s(Figure.PREFILL_TOK_S, table.prefill),
        decode_tok_s=per_s(Figure.DECODE_TOK_S, table.decode),
        cached_tok_s=cached,
        requests_per_s=per_s(Figure.REQUESTS_PER_S, table.finished),
        arrivals_per_s=_arrivals(figures, origins, rates, rejected),
        rejected_per_s=rejected,
        steps_per_s=per_s(Figure.STEPS_PER_S, table.steps),
        mean_batch_rows=origins.value(Figure.BATCH_ROWS, rows, table.rows),
    )


def _arrivals(
    figures: Figures, origins: Origins, rates: Between | None, rejected_per_s: float | None
) -> float | None:
    """What came, rejected requests included: counted, or what ended and became more in between."""
    table = figures.table
    told = figures.rate(table.submitted, rates)
    if told is None and rates is not None and rates.more_in_system is not None:
        ended = figures.increase(table.finished, rates)
        lost = figures.increase(table.failed, rates)
        if ended is not None:
            more = ended.value + (lost.value if lost else 0.0) + rates.more_in_system
            words = f"({ended.expression} + what runs and waits more) ÷ s"
            told = Told(max(0.0, more) / rates.span_s, words, rates.end.at_s)
    if told is None:
        origins.missing(Figure.ARRIVALS_PER_S, _no_arrivals(figures))
        return None
    origins.told(Figure.ARRIVALS_PER_S, told.expression, told.at_s)
    return told.value + (rejected_per_s or 0.0)


def _no_arrivals(figures: Figures) -> str:
    reason = figures.missing(Figure.REQUESTS_PER_S, figures.table.finished).missing
    return reason or "needs requests that end, run and wait"


def utilization(
    figures: Figures, between: Between | None, ceilings: Ceilings | None
) -> tuple[float | None, float | None]:
    """MBU and MFU over a window."""
    read = figures.rate(figures.table.read_bytes, between)
    flops = figures.rate(figures.table.flops, between)
    if ceilings is None:
        return None, None
    return (
        None if read is None else min(1.0, read.value / ceilings.bytes_per_s),
        None if flops is None else min(1.0, flops.value / ceilings.flops_per_s),
    )


def averages(
    figures: Figures, windows: Windows, ceilings: Ceilings | None
) -> dict[Window, Averages]:
    """The headlines' means over each window."""
    found = {}
    for window, between in windows.items():
        decode = figures.rate(figures.table.decode, between)
        finished = figures.rate(figures.table.finished, between)
        mbu, mfu = utilization(figures, between, ceilings)
        found[window] = Averages(
            decode_tok_s=None if decode is None else decode.value,
            requests_per_s=None if finished is None else finished.value,
            mbu=mbu,
            mfu=mfu,
        )
    return found


def usage(figures: Figures, windows: Windows, ceilings: Ceilings | None) -> dict[Window, Usage]:
    """What is to be paid for, of the windows in which tokens and requests were counted.

    Where the engine does not count the time of its steps, it is that in which requests ran, and
    prompts have the share of it that they have in the tokens computed.
    """
    table, found = figures.table, {}
    for window, between in windows.items():
        amounts = [
            amount(figures, _flows(sources), between)
            for sources in (table.finished, table.prefill, table.decode)
        ]
        if between is None or None in amounts:
            continue
        requests, prefill, decode = (each or 0.0 for each in amounts)
        cached = amount(figures, _flows(table.cached), between) or 0.0
        busy = amount(figures, table.busy_s, between)
        device_s = min(between.span_s, between.ran_s if busy is None else busy)
        prompts = amount(figures, table.prefill_busy_s, between)
        if prompts is None:
            prompts = device_s * prefill / (prefill + decode) if prefill + decode else 0.0
        mbu, mfu = utilization(figures, between, ceilings)
        found[window] = Usage(
            span_s=between.span_s,
            requests=whole(requests),
            prefill_tokens=whole(prefill),
            decode_tokens=whole(decode),
            cached_prompt_tokens=whole(cached),
            cached_output_tokens=whole(amount(figures, table.cached_output, between) or 0.0),
            device_s=device_s,
            prefill_device_s=min(device_s, prompts),
            mbu=mbu,
            mfu=mfu,
            energy_j=amount(figures, table.energy_j, between),
        )
    return found


def amount(figures: Figures, flows: Sequence[Flow], between: Between | None) -> float | None:
    """By how much a counter grew; `None` where it is not told."""
    told = figures.increase(flows, between)
    return None if told is None else told.value


def _flows(sources: Sequence[Rate]) -> list[Flow]:
    return [each for each in sources if isinstance(each, Flow)]
