"""One side of a diff: what a snapshot or a stretch of a recording has to compare."""

from collections.abc import Iterable, Mapping

import msgspec

from ...protocol import Frame
from .metrics import LATENCIES, SUCCESS

Pairs = list[tuple[float, float]]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one side.

    `settings`: by name, what was set, in order, where it changed meanwhile. `series`: by metric,
    evenly spaced samples over time. `requests`: by latency, a value in ms of each request that
    ended, in the order in which they ended; of `success`, 1 or 0. `counted`: figures that are
    counted exactly, or read once. `energy`: growth of joules and tokens, from sample to sample.
    """

    name: str
    kind: str
    span_s: float | None = None
    settings: dict[str, list[str]] = {}
    series: dict[str, list[float]] = {}
    requests: dict[str, list[float]] = {}
    counted: dict[str, float] = {}
    energy: Pairs = []


def settings_of(frame: Frame) -> dict[str, str]:
    """What a frame says was set, by name."""
    speculation = frame.speculation
    return {
        "model": frame.model.name,
        "device": frame.device_name or frame.device,
        "strategy": _told(frame.strategy),
        "precision": _told(frame.precision),
        "sequence cap": _told(frame.max_seqs),
        "KV blocks": "--" if frame.cache.blocks is None else str(frame.cache.blocks.total),
        **_leaves("load", frame.load),
        **_leaves("limit", frame.slo),
        **({} if speculation is None else _leaves("drafts", speculation.spec)),
    }


def _told(value: object) -> str:
    return "--" if value is None else str(value)


def _leaves(name: str, tree: object) -> dict[str, str]:
    """The values of a tree by their place: `load.users`."""
    if isinstance(tree, msgspec.Struct):
        tree = msgspec.structs.asdict(tree)
    if isinstance(tree, dict):
        return {
            place: text
            for key, value in tree.items()
            for place, text in _leaves(f"{name}.{key}", value).items()
        }
    return {name: "--" if tree is None else f"{tree:g}" if isinstance(tree, float) else str(tree)}


def together(settings: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """The settings of several frames: each value once, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for each in settings:
        for name, value in each.items():
            values = found.setdefault(name, [])
            if value not in values[-1:]:
                values.append(value)
    return found


def counted_of(frame: Frame) -> dict[str, float]:
    """What a frame counts exactly, by metric."""
    memory = frame.memory
    if memory is None:
        return {}
    return {
        "memory_bytes": float(memory.used_bytes),
        "weights_bytes": float(memory.weights_bytes),
        "kv_bytes": float(memory.kv_bytes),
    }


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A request that ended, as far as it is known."""

    failed: bool
    ttft: float | None = None
    ttfb: float | None = None
    tpot: float | None = None
    e2e: float | None = None
    queue: float | None = None


def request_samples(requests: Iterable[Ended]) -> dict[str, list[float]]:
    """The samples of requests that ended, in ms. Those that failed have no latency to compare."""
    samples: dict[str, list[float]] = {name: [] for name in (*LATENCIES, SUCCESS)}
    for request in requests:
        samples[SUCCESS].append(0.0 if request.failed else 1.0)
        for name in () if request.failed else LATENCIES:
            value = getattr(request, name)
            if value is not None:
                samples[name].append(value)
    return {name: values for name, values in samples.items() if values}
