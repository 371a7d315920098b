"""The PromQL of a fleet's columns, made of the tables that single servers are read by.

A counter's rate is over `window_s`: at least four scrapes, since a shorter one may hold no two.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from ..mapping.engine_map import EngineMap
from ..mapping.llama_cpp import LLAMA_CPP
from ..mapping.sglang import SGLANG
from ..mapping.source import Flow, Level, Share, Spread
from ..mapping.tensorrt_llm import TENSORRT_LLM
from ..mapping.tgi import TGI
from ..mapping.vllm import VLLM

BY = "instance"
COLUMN = "prodtop_column"
UP = "up"
"""The column that is 1 for each server that was scraped, 0 for one that was not."""
ENGINES: tuple[EngineMap, ...] = (VLLM, SGLANG, TENSORRT_LLM, TGI, LLAMA_CPP)
"""`prodtop serve` has vLLM's names as well."""
PREFIXES = ("vllm", "sglang", "trtllm", "tgi", "llamacpp", "prodtop")
SCRAPES_PER_WINDOW = 4

_MATCHER = re.compile(r'\s*[a-zA-Z_]\w*\s*(=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*(,|$)')


def checked_selector(text: str) -> str:
    """Label matchers as they stand between braces, these taken off: `job="vllm",zone=~"eu.*"`.

    Empty for none. Raises `ValueError` for what is none.
    """
    selector = text.strip()
    if selector.startswith("{") and selector.endswith("}"):
        selector = selector[1:-1].strip()
    place = 0
    while place < len(selector):
        found = _MATCHER.match(selector, place)
        if found is None:
            raise ValueError(f"'{selector[place:]}' is no label matcher: give job=\"vllm\"")
        place = found.end()
    return selector.rstrip(", ")


class FleetQueries:
    """The expressions for the servers that a selector picks out."""

    def __init__(self, selector: str, window_s: float) -> None:
        self._selector = selector
        self._window = f"{max(1, round(window_s))}s"

    @cached_property
    def figures(self) -> str:
        """All columns at once: each value has the name of its column as its label `COLUMN`. Asking
        for one after the other costs more than reading what they give."""
        named = {UP: f"up{self._braces()}", **self.columns}
        return " or ".join(
            f'label_replace({expression}, "{COLUMN}", "{name}", "", "")'
            for name, expression in named.items()
        )

    @cached_property
    def names(self) -> str:
        """A series of each server with the labels that name its model."""
        labels = f"{BY}, job, model_name, model, node, pod"
        return f"group by ({labels}, __name__) ({self._named(_gauges('running'))})"

    @cached_property
    def columns(self) -> dict[str, str]:
        """By the field of a row, an expression with a value for each server."""
        return {
            "running": f"sum by ({BY}) ({self._named(_gauges('running'))})",
            "waiting": f"sum by ({BY}) ({self._named(_gauges('waiting'))})",
            "kv_used": f"avg by ({BY}) ({self._named(_gauges('kv_usage'))})",
            "decode_tok_s": self._rate(_counters("decode")),
            "requests_per_s": self._rate(_counters("finished")),
            "prefix_hits": self._hits(),
            "ttft_p95_s": self._quantile(_histograms("ttft"), 0.95),
        }

    def everything_of(self, instance: str) -> str:
        """All series of one server that its engine is read by."""
        names = "|".join(f"(ray_)?{prefix}[:_].+" for prefix in PREFIXES)
        escaped = instance.replace("\\", "\\\\").replace('"', '\\"')
        return "{" + ",".join([*self._matchers(names), f'{BY}="{escaped}"']) + "}"

    def _matchers(self, names: str) -> list[str]:
        return [*([self._selector] if self._selector else []), f'__name__=~"{names}"']

    def _named(self, names: Iterable[str]) -> str:
        return "{" + ",".join(self._matchers("|".join(map(_pattern, names)))) + "}"

    def _braces(self) -> str:
        return "{" + self._selector + "}" if self._selector else ""

    def _rate(self, names: Iterable[str]) -> str:
        return f"sum by ({BY}) (rate({self._named(names)}[{self._window}]))"

    def _quantile(self, names: Iterable[str], quantile: float) -> str:
        buckets = self._named(f"{name}_bucket" for name in names)
        rates = f"sum by ({BY}, le) (rate({buckets}[{self._window}]))"
        return f"histogram_quantile({quantile}, {rates})"

    def _hits(self) -> str:
        shares = _shares("prefix_hits")
        parts = [f"({self._rate([part])} / {self._rate([whole])})" for part, whole in shares]
        return " or ".join(parts)


def _pattern(name: str) -> str:
    """A metric however it is written: with `:` or `_`, under Ray, with or without `_total`."""
    plain = re.escape(name.removesuffix("_total")).replace("\\:", ":").replace("\\_", "_")
    plain = plain.replace(":", "[:_]", 1)
    return f"(ray_)?{plain}(_total)?"


def _sources(field: str) -> Iterator[object]:
    for engine in ENGINES:
        sources: Sequence[object] = getattr(engine, field)
        yield from sources


def _gauges(field: str) -> list[str]:
    """Gauges that are the figure by themselves."""
    levels = [each for each in _sources(field) if isinstance(each, Level)]
    return [
        each.plus[0].name
        for each in levels
        if len(each.plus) == 1 and not each.minus and not each.plus[0].name.startswith("/")
    ]


def _counters(field: str) -> list[str]:
    """Counters that are it by themselves; of an engine the preferred one alone."""
    names = []
    for engine in ENGINES:
        flows = [each for each in getattr(engine, field) if isinstance(each, Flow) and each.plus]
        if flows and not flows[0].minus:
            names.append(flows[0].plus[0].name)
    return names


def _histograms(field: str) -> list[str]:
    return [each.base for each in _sources(field) if isinstance(each, Spread)]


def _shares(field: str) -> list[tuple[str, str]]:
    shares = (each for each in _sources(field) if isinstance(each, Share))
    return [
        (each.part.plus[0].name, each.whole.plus[0].name)
        for each in shares
        if len(each.part.plus) == len(each.whole.plus) == 1
    ]
