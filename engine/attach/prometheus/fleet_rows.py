"""The rows of a fleet, of what Prometheus answered to a refresh's queries."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from ...protocol import EngineKind, Replica
from ...text.cleaning import clean
from .answers import Naming
from .queries import UP

cleaned = lru_cache(8192)(clean)
"""The same labels come again and again."""
_KINDS: Final = {
    "vllm": EngineKind.VLLM,
    "sglang": EngineKind.SGLANG,
    "trtllm": EngineKind.TENSORRT_LLM,
    "tgi": EngineKind.TGI,
    "llamacpp": EngineKind.LLAMA_CPP,
}
_UNNAMED: Final = Naming()
_NOT_SCRAPED: Final = "Prometheus cannot scrape it"

Column = Mapping[str, float]
"""A value for each server, by its `instance`."""
_EMPTY: Final[Column] = {}
_FIELDS: Final = (
    UP,
    "running",
    "waiting",
    "kv_used",
    "ttft_p95_s",
    "decode_tok_s",
    "requests_per_s",
    "prefix_hits",
)


def fleet_rows(names: Mapping[str, Naming], columns: Mapping[str, Column]) -> list[Replica]:
    """A row for each server that has the figures of an engine, and for each that is down.

    `columns` are those of `FleetQueries.figures`; one that nobody has may be missing.
    """
    up, running, waiting, kv_used, ttft_s, decode, requests, hits = (
        columns.get(field, _EMPTY) for field in _FIELDS
    )
    told = (running, waiting, kv_used, ttft_s, decode, requests, hits)
    known = {name for name, value in up.items() if value == 0}.union(names, *told)
    known.discard("")
    rows = []
    for name in sorted(known):
        naming = names.get(name, _UNNAMED)
        runs, waits, first_s = running.get(name), waiting.get(name), ttft_s.get(name)
        down = up.get(name) == 0
        rows.append(
            Replica(
                name=cleaned(name),
                kind=_kind(naming.metric),
                model=cleaned(naming.model_name or naming.model),
                node=cleaned(naming.node or name.rpartition(":")[0]),
                running=None if runs is None else round(runs),
                waiting=None if waits is None else round(waits),
                kv_used=kv_used.get(name),
                ttft_p95_ms=None if first_s is None else first_s * 1e3,
                decode_tok_s=decode.get(name),
                requests_per_s=requests.get(name),
                prefix_hits=hits.get(name),
                age_s=None if down else 0.0,
                down=_NOT_SCRAPED if down else None,
            )
        )
    return rows


@lru_cache(64)
def _kind(metric: str) -> EngineKind:
    """The engine whose metric this is, by the name's beginning."""
    prefix = metric.removeprefix("ray_").replace(":", "_").partition("_")[0]
    return _KINDS.get(prefix, EngineKind.UNKNOWN)
