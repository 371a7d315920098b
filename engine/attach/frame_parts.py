"""The parts of an attached server's frame, each from the figures of its table."""

from collections.abc import Sequence
from typing import Final

from ..protocol import (
    Blocks,
    Cache,
    Figure,
    HitRates,
    Latency,
    Memory,
    Percentiles,
    Roofline,
    Speculation,
    SpeculationSpec,
    Window,
)
from .figures import Figures
from .frame_rates import Ceilings, Windows, utilization
from .gauges import Told, whole
from .kept_scrapes import Between
from .mapping.source import Part, Times
from .origins import Origins, size_sources

LONGEST_FIRST: Final = (Window.SESSION, Window.M5, Window.M1, Window.S10)


def latencies(figures: Figures, origins: Origins, windows: Windows) -> dict[Window, Latency]:
    """Percentiles per window."""
    table = figures.table
    sources: dict[str, tuple[Figure, Sequence[Times]]] = {
        "ttft": (Figure.TTFT, table.ttft),
        "ttfb": (Figure.TTFB, table.ttfb),
        "tpot": (Figure.TPOT, table.tpot),
        "itl": (Figure.ITL, table.itl),
        "e2e": (Figure.E2E, table.e2e),
        "queue": (Figure.QUEUE_TIME, table.queue),
    }
    found: dict[str, dict[Window, Percentiles | None]] = {
        name: {window: figures.times(held, between) for window, between in windows.items()}
        for name, (_, held) in sources.items()
    }
    for name, (figure, held) in sources.items():
        source, newest = figures.first_times(held), figures.kept.newest
        if source is None or newest is None or not any(found[name].values()):
            origins.found[figure] = figures.missing(figure, held)
        else:
            origins.told(figure, figures.written_times(source), newest.at_s)
    return {
        window: Latency(**{name: each[window] for name, each in found.items()})
        for window in windows
    }


def cache(figures: Figures, origins: Origins, windows: Windows) -> Cache:
    """KV blocks or the share of them that is in use, and hit rates by increases."""
    table = figures.table
    usage = origins.read(Figure.KV_USAGE, table.kv_usage, figures.level)
    usage = None if usage is None else min(1.0, usage)
    blocks = _blocks(figures, origins, usage)
    rates = {
        window: HitRates(
            prefix=_share(figures, table.prefix_hits, between),
            response=_share(figures, table.response_hits, between),
        )
        for window, between in windows.items()
    }
    told = next(
        (
            told
            for window in LONGEST_FIRST
            if (told := figures.part(table.prefix_hits, windows.get(window))) is not None
        ),
        None,
    )
    origins.value(Figure.PREFIX_HITS, told, table.prefix_hits)
    return Cache(
        blocks=blocks,
        usage=usage if blocks is None else None,
        rates=rates,
        response_entries=_whole(figures.level(table.response_entries)),
        response_bytes=_whole(figures.level(table.response_bytes)),
    )


def _whole(told: Told | None) -> int | None:
    return None if told is None else whole(told.value)


def _share(figures: Figures, sources: Sequence[Part], between: Between | None) -> float | None:
    told = figures.part(sources, between)
    return None if told is None else min(1.0, told.value)


def _blocks(figures: Figures, origins: Origins, usage: float | None) -> Blocks | None:
    table = figures.table
    for size in table.kv_size:
        blocks = figures.level((size.blocks,))
        tokens = None if size.tokens is None else figures.level((size.tokens,))
        if blocks is None or blocks.value < 1 or (size.tokens is not None and tokens is None):
            continue
        if usage is None:
            origins.missing(Figure.KV_SIZE, "needs the KV usage")
            return None
        words = (
            blocks.expression if tokens is None else f"{blocks.expression} × {tokens.expression}"
        )
        origins.told(Figure.KV_SIZE, words, blocks.at_s)
        total = whole(blocks.value)
        running = figures.level(table.kv_blocks_running)
        evictable = figures.level(table.kv_blocks_evictable)
        held = min(total, whole(usage * total if running is None else running.value))
        kept = None if evictable is None else min(total - held, whole(evictable.value))
        return Blocks(
            total=total,
            running=held,
            evictable=kept,
            free=total - held - (kept or 0),
            block_tokens=1 if tokens is None else max(1, whole(tokens.value)),
        )
    origins.found[Figure.KV_SIZE] = figures.missing(Figure.KV_SIZE, size_sources(table.kv_size))
    return None


def memory(figures: Figures, origins: Origins) -> Memory | None:
    """What the server holds on its device, where it tells the parts; the whole is their sum where
    it does not tell that."""
    table = figures.table
    weights, kv = figures.level(table.memory_weights), figures.level(table.memory_kv)
    # Backends that allocate beside torch tell 0.
    if weights is None or kv is None or not weights.value or not kv.value:
        sources = (*table.memory_weights, *table.memory_kv)
        origins.found[Figure.MEMORY] = figures.missing(Figure.MEMORY, sources)
        return None
    graphs, used = figures.level(table.memory_graphs), figures.level(table.memory_used)
    parts = whole(weights.value) + whole(kv.value) + (0 if graphs is None else whole(graphs.value))
    held = parts if used is None else max(parts, whole(used.value))
    origins.told(Figure.MEMORY, f"{weights.expression} + {kv.expression} …", weights.at_s)
    return Memory(
        used_bytes=held,
        weights_bytes=whole(weights.value),
        kv_bytes=whole(kv.value),
        graphs_bytes=None if graphs is None else whole(graphs.value),
        other_bytes=held - parts,
    )


def roofline(
    figures: Figures, origins: Origins, rates: Between | None, ceilings: Ceilings | None
) -> Roofline:
    """MBU and MFU where the engine counts its work and the GPU's ceilings are known."""
    table = figures.table
    mbu, mfu = utilization(figures, rates, ceilings)
    for figure, value, sources in (
        (Figure.MBU, mbu, table.read_bytes),
        (Figure.MFU, mfu, table.flops),
    ):
        counted = figures.rate(sources, rates)
        if value is not None and counted is not None:
            origins.told(figure, f"{counted.expression} ÷ the GPU's ceiling", counted.at_s)
        elif counted is not None:
            origins.missing(figure, "the GPU's ceilings are not known")
        else:
            origins.found[figure] = figures.missing(figure, sources)
    running = figures.level(table.running)
    busy = figures.increase(table.busy_s, rates)
    span_s = None if rates is None else rates.span_s
    return Roofline(
        mbu=mbu,
        mfu=mfu,
        active=None if rates is None or running is None else min(1.0, rates.ran_s / rates.span_s),
        busy=None if busy is None or not span_s else min(1.0, busy.value / span_s),
    )


def speculation(figures: Figures, origins: Origins, s10: Between | None) -> Speculation | None:
    """Draft acceptance, of an engine that has drafted in the last ten seconds."""
    table = figures.table
    told = figures.part(table.acceptance, s10)
    accepted = origins.value(Figure.ACCEPTANCE, told, table.acceptance)
    if accepted is None:
        return None
    drafts = _drafts(figures, s10, accepted)
    if drafts is None:
        origins.missing(Figure.ACCEPTANCE, "how many tokens it drafts is not told")
        return None
    spec = SpeculationSpec(drafts=max(1, whole(drafts)), adaptive=False)
    return Speculation(spec=spec, drafting=True, acceptance=min(1.0, accepted))


def _drafts(figures: Figures, s10: Between | None, accepted: float) -> float | None:
    """Tokens of a draft: counted, or from the mean number of tokens that a step accepts, which is
    1 more than the accepted ones of the draft."""
    table = figures.table
    told = figures.quotient(table.drafts, s10)
    if told is not None:
        return told.value
    length = figures.level(table.accept_length)
    if length is None or accepted <= 0 or length.value <= 1:
        return None
    return (length.value - 1) / accepted
