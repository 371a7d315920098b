"""One exported metric: its name, type and meaning, and where its values are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..cost.rates import Rates
from ..metrics.export_buckets import Family
from ..metrics.histogram import LogHistogram
from ..protocol.served import EngineMetrics
from .guarding import Guarding
from .http_counters import HttpCounters

Kind = Literal["counter", "gauge", "histogram", "info"]

Values = Mapping[tuple[str, ...], float]
"""By the values of a metric's own labels."""


class Scraped(NamedTuple):
    """What there is to tell: of the engine nothing before its first worker has started, of guards
    nothing where there are none, and of costs nothing without a price."""

    engine: EngineMetrics | None
    http: HttpCounters
    guarding: Guarding | None = None
    rates: Rates | None = None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A metric. `labels` are its own, beside those that its family has.

    A histogram is that of `histogram` in the engine's metrics, or those that `distributions` gives
    by the values of its labels, in seconds, with the buckets `bounds_s`; of the others `read` gives
    the values, none where they are not known. `meaning` is one sentence, without a full stop.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    read: Callable[[Scraped], Values] = lambda _: {}
    histogram: str | None = None
    distributions: Callable[[Scraped], Mapping[tuple[str, ...], LogHistogram]] | None = None
    bounds_s: tuple[float, ...] = ()

    @property
    def family(self) -> Family | None:
        """The family that its name is of."""
        for family, prefix in PREFIXES.items():
            if self.name.startswith(prefix):
                return family
        return None

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The names of the family's labels and of its own; a histogram's `le` is not among them."""
        family = self.family
        return ((*FAMILY_LABELS[family],) if family is not None else ()) + self.labels


PREFIXES: dict[Family, str] = {"vllm": "vllm:", "prodtop": "prodtop_", "gen_ai": "gen_ai_"}

FAMILY_LABELS: dict[Family, tuple[str, ...]] = {
    "vllm": ("model_name", "engine"),
    "prodtop": (),
    "gen_ai": ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"),
}


def family_values(family: Family | None, engine: EngineMetrics | None) -> tuple[str, ...]:
    """The values of a family's labels, in the order of `FAMILY_LABELS`.

    The engine does not tell a chat from a completion: for it all is `text_completion`.
    """
    model = "" if engine is None else engine.model
    if family == "vllm":
        return (model, "0")
    if family == "gen_ai":
        return ("text_completion", "prodtop", model)
    return ()


def counter(key: str) -> Callable[[Scraped], Values]:
    """Reads one of the engine's counters."""
    return counters({(): key})


def counters(keys: Mapping[tuple[str, ...], str]) -> Callable[[Scraped], Values]:
    """Reads several of the engine's counters, each under its own values of the labels."""

    def read(scraped: Scraped) -> Values:
        held = {} if scraped.engine is None else scraped.engine.counters
        return {labels: held[key] for labels, key in keys.items() if key in held}

    return read


def gauge(key: str) -> Callable[[Scraped], Values]:
    """Reads one of the engine's gauges."""
    return gauges({(): key})


def gauges(keys: Mapping[tuple[str, ...], str]) -> Callable[[Scraped], Values]:
    """Reads several of the engine's gauges, each under its own values of the labels."""

    def read(scraped: Scraped) -> Values:
        held = {} if scraped.engine is None else scraped.engine.gauges
        return {labels: held[key] for labels, key in keys.items() if key in held}

    return read
