"""Reading sums out of `/metrics`: what drills need of Prometheus' text format."""

import math
import re
from collections.abc import Mapping

_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)(?: \S+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Samples = tuple[tuple[str, Mapping[str, str], float], ...]


def parse(text: str) -> Samples:
    """Name, labels and value of every sample; lines that are none are left out."""
    samples = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        if math.isfinite(value):
            samples.append((match["name"], dict(_LABEL.findall(match["labels"] or "")), value))
    return tuple(samples)


def total(samples: Samples, name: str, **labels: str) -> float | None:
    """The sum of a metric over all samples with these labels; `None` where there is none."""
    values = [
        value
        for each, own, value in samples
        if each == name and all(own.get(key) == wanted for key, wanted in labels.items())
    ]
    return sum(values) if values else None


def increase(before: Samples, after: Samples, name: str, **labels: str) -> float | None:
    """By how much a counter grew; `None` where it is not told after."""
    now = total(after, name, **labels)
    return None if now is None else now - (total(before, name, **labels) or 0.0)


def label_values(samples: Samples, name: str, label: str) -> set[str]:
    """Every value of a label of a metric whose sample is above 0."""
    return {own[label] for each, own, value in samples if each == name and label in own and value}
