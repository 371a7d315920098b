"""What a server's gauges say now: of its last exposition, and of its last JSON answers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..mapping.names import Labels
from ..mapping.source import AnyLevel, Label, Level, Metric
from .exposition import Exposition

MOST_COUNT: Final = 2**53
"""Beyond this a float is no count any more, and 64 bits are near."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """The series of one gauge, how the server writes its name, and when it was asked."""

    raw_name: str
    samples: Mapping[Labels, float]
    at_s: float


@dataclass(frozen=True, slots=True)
class Told:
    """A figure, in the words of its source, and when the server was asked for it."""

    value: float
    expression: str
    at_s: float


class Gauges:
    """The last values of the gauges of a table, by canonical names."""

    def __init__(self) -> None:
        self._scraped: dict[str, Gauge] = {}
        self._fields: dict[str, dict[str, Gauge]] = {}

    def take(self, scrape: Exposition, names: Iterable[str], at_s: float) -> None:
        """Take in a scrape. A gauge that it does not have is forgotten."""
        self._scraped = {
            name: Gauge(scrape.raw_name(name), samples, at_s)
            for name in names
            if name in scrape and (samples := scrape.samples(name))
        }

    def take_fields(self, endpoint: str, fields: Mapping[str, float], at_s: float) -> None:
        """Take in the numbers of a JSON answer: `/slots used_tokens`, without the path."""
        self._fields[endpoint] = {
            f"{endpoint} {name}": Gauge(f"{endpoint} {name}", {(): value}, at_s)
            for name, value in fields.items()
            if math.isfinite(value)
        }

    def forget_fields(self, endpoint: str) -> None:
        """The endpoint does not answer any more."""
        self._fields.pop(endpoint, None)

    def gauge(self, name: str) -> Gauge | None:
        """The series of one gauge or JSON field; `None` where it is not told."""
        if name.startswith("/"):
            return self._fields.get(name.partition(" ")[0], {}).get(name)
        return self._scraped.get(name)

    def read(self, sources: Iterable[AnyLevel]) -> Told | None:
        """The value of the first source that the server has."""
        for source in sources:
            told = self._label(source) if isinstance(source, Label) else self._level(source)
            if told is not None:
                return told
        return None

    def label(self, metric: str, label: str) -> str | None:
        """What a label of an info metric says."""
        found = self._scraped.get(metric)
        if found is not None:
            for labels in sorted(found.samples):
                for name, value in labels:
                    if name == label and value:
                        return value
        return None

    def values_of(self, labels: Iterable[str]) -> list[str]:
        """What the first of these labels that any series has says, without doubles, sorted."""
        for label in labels:
            found = {
                value
                for gauge in self._scraped.values()
                for series in gauge.samples
                for name, value in series
                if name == label and value
            }
            if found:
                return sorted(found)
        return []

    def _values(self, metric: Metric) -> tuple[Gauge, list[float]] | None:
        held = self.gauge(metric.key)
        if held is None:
            return None
        values = [value for labels, value in held.samples.items() if metric.holds(labels)]
        return (held, values) if values else None

    def _level(self, source: Level) -> Told | None:
        total, at_s, words = 0.0, math.inf, ""
        for sign, metrics, must in (
            (1.0, source.plus, True),
            (1.0, source.also, False),
            (-1.0, source.minus, True),
        ):
            for metric in metrics:
                found = self._values(metric)
                if found is None:
                    if must:
                        return None
                    continue
                held, values = found
                several = len(values) > 1
                whole = max(values) if source.by == "max" else math.fsum(values)
                total += sign * (whole / len(values) if source.by == "mean" else whole)
                at_s = min(at_s, held.at_s)
                name = metric.written(held.raw_name)
                how = "avg" if source.by == "mean" else source.by
                joint = "" if not words else (" − " if sign < 0 else " + ")
                words += joint + (f"{how}({name})" if several else name)
        if source.scale != 1.0:
            words = f"{words} × {source.scale:g}"
        return Told(max(0.0, total * source.scale), words, at_s)

    def _label(self, source: Label) -> Told | None:
        held = self.gauge(source.metric.key)
        if held is None:
            return None
        words = f"{held.raw_name} {{{source.label}}}"
        if source.by == "names":
            names = _newest_names(held, source)
            return None if names is None else Told(float(names), words, held.at_s)
        numbers = [
            number
            for labels in held.samples
            if source.metric.holds(labels)
            for name, value in labels
            if name == source.label and (number := _number(value)) is not None
        ]
        if not numbers:
            return None
        value = math.fsum(numbers) if source.by == "sum" else max(numbers)
        return Told(value, words, held.at_s)


def _newest_names(held: Gauge, source: Label) -> int | None:
    """How many names the label lists; `None` where no series has it."""
    told = [
        (at, text)
        for labels, at in held.samples.items()
        if source.metric.holds(labels)
        for name, text in labels
        if name == source.label
    ]
    if not told:
        return None
    return len({name.strip() for name in max(told)[1].split(",")} - {""})


def whole(value: float) -> int:
    """The nearest whole number, from 0 to `MOST_COUNT`: what a message holds, whatever is told."""
    return round(min(max(value, 0.0), MOST_COUNT))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
