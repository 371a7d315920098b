"""The manual's tables of what is read of each engine: `python -m tools.attach_table`.

They stand in `docs/attach.md` between two marks; a test asks for them where they are older ones.
"""

from pathlib import Path

from prodtop.engine.attach.mapping.engine_map import EngineMap
from prodtop.engine.attach.mapping.engines import TABLES
from prodtop.engine.attach.mapping.source import Flow, Label, Level, Mean, Metric, Share, Spread
from prodtop.engine.protocol import EngineKind

from .attach_not_shown import NOT_SHOWN

MANUAL = Path(__file__).parents[1] / "docs" / "attach.md"
BEGIN = "<!-- made by python -m tools.attach_table -->\n"
END = "<!-- to here -->\n"
KINDS = (
    EngineKind.VLLM,
    EngineKind.SGLANG,
    EngineKind.TENSORRT_LLM,
    EngineKind.TGI,
    EngineKind.LLAMA_CPP,
    EngineKind.DYNAMO,
    EngineKind.PRODTOP,
)
ROWS = {
    "running": "running",
    "waiting": "waiting",
    "KV usage": "kv_usage",
    "prefix hit rate": "prefix_hits",
    "prompt tok/s, computed": "prefill",
    "prompt tok/s, cached": "cached",
    "output tok/s": "decode",
    "TTFT": "ttft",
    "ITL": "itl",
    "TPOT": "tpot",
    "E2E": "e2e",
    "queue time": "queue",
    "finished": "finished",
    "failed": "failed",
    "rejected": "rejected",
    "preemptions": "preemptions",
    "draft acceptance": "acceptance",
}
MOST_SOURCES = 2
"""Of a figure the preferred one, and the next where an older release lacks it."""


def tables() -> str:
    """A table for each engine, as Markdown."""
    return "\n".join(_table(TABLES[kind]) for kind in KINDS)


def renewed(page: str) -> str:
    """The manual's text with the tables as they are now. Raises ValueError where a mark is
    missing."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the marks of the tables are missing")
    return f"{head}{begin}\n{tables()}\n{end}{tail}"


def _table(engine: EngineMap) -> str:
    lines = [f"### {engine.kind}", "", "| figure | from |", "|---|---|"]
    for name, field in ROWS.items():
        sources = getattr(engine, field)[:MOST_SOURCES]
        if sources:
            lines.append(f"| {name} | {', or '.join(f'`{_source(each)}`' for each in sources)} |")
    lines += [f"| {figure} | `--`: {why} |" for figure, why in engine.absent.items()]
    return "\n".join([*lines, "", *_lists(engine)])


def _lists(engine: EngineMap) -> list[str]:
    """What stands in the *Server* panel alone, and what is not shown."""
    lines = []
    if engine.further:
        further = "; ".join(f"{each.name} (`{_source(each.source)}`)" for each in engine.further)
        lines += [f"Further, in the *Server* panel: {further}.", ""]
    reasons = NOT_SHOWN.get(engine.kind, ())
    if reasons:
        named = "; ".join(
            f"{', '.join(f'`{name}`' for name in names.split())}: {why}" for why, names in reasons
        )
        lines += [f"Not shown, because: {named}.", ""]
    return lines


def _source(source: object) -> str:
    match source:
        case Flow():
            return _flow(source)
        case Level():
            return " − ".join(filter(None, (_sum(source.plus), _sum(source.minus))))
        case Share():
            return f"Δ {_growing(source.part)} ÷ Δ {_growing(source.whole)}"
        case Spread():
            return f"histogram {source.base}"
        case Mean():
            return f"mean: Δ {_growing(source.total)} ÷ Δ {_growing(source.count)}"
        case Label():
            return f"{source.metric.name} {source.label}"
        case _:
            raise TypeError(f"no source: {source}")


def _growing(flow: Flow) -> str:
    """In brackets where it has several terms."""
    words = _flow(flow)
    return f"({words})" if " + " in words or " − " in words else words


def _flow(flow: Flow) -> str:
    taken = [_sum((each,)) for each in (*flow.minus, *flow.less)]
    return " − ".join([_sum(flow.plus) or _sum(flow.also), *taken])


def _sum(metrics: tuple[Metric, ...]) -> str:
    return " + ".join(each.written(each.name) for each in metrics)


if __name__ == "__main__":
    MANUAL.write_text(renewed(MANUAL.read_text()))
