"""What real engines exported before and after a load, and what its client measured meanwhile.

With a reader of the expressions that figures are said to come from: prometheus-client reads the
texts, not we.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from prodtop.engine.attach.reading.server_reading import ServerReading
from prodtop.engine.protocol import Frame
from prometheus_client.parser import text_string_to_metric_families

RECORDED = Path(__file__).parent / "recorded"
SPAN_S = 6.0
WALL_S = 1.79e9
WARM_UP_TOKENS = 4
"""Of the one request that came before the load and after the first text."""
_TERM = re.compile(r"([+−]?)\s*([A-Za-z_][\w:]*)(\{[^}]*\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def _samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(text)
    return [(each.name, each.labels, each.value) for family in families for each in family.samples]


@dataclass(frozen=True)
class RecordedEngine:
    """One engine with its version: `NAME_before.txt`, `NAME_after.txt`, `NAME.json`."""

    name: str

    def text(self, when: str) -> str:
        path = RECORDED / f"{self.name}_{when}.txt"
        return path.read_text() if path.exists() else ""

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`client`: the result of `prodtop bench`; `answers`: JSON by its path."""
        path = RECORDED / f"{self.name}.json"
        empty: dict[str, Any] = {"client": None, "answers": {}}
        return json.loads(path.read_text()) if path.exists() else empty

    @cached_property
    def frame(self) -> Frame:
        """As it is read, `SPAN_S` seconds after the first text."""
        reading = ServerReading("http://127.0.0.1:8000", "recorded")
        for at_s, when in ((0.0, "before"), (SPAN_S, "after")):
            if text := self.text(when):
                kind = "text/plain; version=0.0.4"
                reading.take(text.encode(), kind, at_s, WALL_S + at_s, 0.01)
            for path, answer in self.facts["answers"].items():
                reading.take_json(path, json.dumps(answer).encode(), at_s)
        frame = reading.frame(SPAN_S, WALL_S + SPAN_S)
        assert frame is not None
        return frame

    @cached_property
    def _parsed(self) -> dict[str, list[tuple[str, dict[str, str], float]]]:
        return {when: _samples(self.text(when)) for when in ("before", "after")}

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {name for name, _, _ in self._parsed["after"]}

    def total(self, name: str, where: dict[str, str], when: str) -> float:
        """Over all series of a metric that have these labels."""
        return sum(
            value
            for found, labels, value in self._parsed[when]
            if found == name and where.items() <= labels.items()
        )

    def terms(self, words: str, when: str) -> float:
        """Of `a{x="1"} + b − c`."""
        found = 0.0
        for sign, name, labels in _TERM.findall(words):
            value = self.total(name, dict(_LABEL.findall(labels)), when)
            found += -value if sign == "−" else value
        return found

    def growth(self, words: str) -> float:
        """Of the same, from the first text to the second."""
        return self.terms(words, "after") - self.terms(words, "before")

    def evaluated(self, expression: str) -> float | None:
        """What an expression comes to; of a histogram its mean. `None`: it is not of metrics."""
        if match := re.fullmatch(r"rate\((.*)\[\d+s\]\)", expression):
            return self.growth(match[1]) / SPAN_S
        if match := re.fullmatch(r"histogram_quantile\(increase\((.*)_bucket(.*)\)\)", expression):
            base, where = match.groups()
            return self.growth(f"{base}_sum{where}") / self.growth(f"{base}_count{where}")
        if match := re.fullmatch(r"increase\((.*)\) ÷ increase\((.*)\)", expression):
            return self.growth(match[1]) / self.growth(match[2])
        if match := re.fullmatch(r"increase\(([^÷]*)\)", expression):
            return self.growth(match[1])
        if " {" in expression or "÷" in expression or not self.is_of_metrics(expression):
            return None
        return self.terms(expression, "after")

    @staticmethod
    def is_of_metrics(expression: str) -> bool:
        """Not of a JSON answer, nor of a label."""
        return not expression.startswith(("/", "its ", "model "))

    def named(self, expression: str) -> set[str]:
        """The metrics in an expression."""
        words = re.sub(r"\{.*?\}", "", expression)
        return set(re.findall(r"[A-Za-z_]\w*[:_][\w:]+", words)) - {"histogram_quantile"}
