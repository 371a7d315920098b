"""Lines of the CSV traces: Azure LLM inference (2023, 2024) and BurstGPT.

Columns are found by the names in the first line, so that their order is free. Sources: Azure Public
Dataset, `AzureLLMInferenceDataset2023.md`; HPMLL/BurstGPT, README.
"""

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

from .rows import LineError, Row, checked
from .trace import TraceFormat

COLUMNS: Mapping[TraceFormat, tuple[str, str, str]] = {
    TraceFormat.AZURE: ("timestamp", "contexttokens", "generatedtokens"),
    TraceFormat.BURSTGPT: ("timestamp", "request tokens", "response tokens"),
}
"""Time, prompt and output of each format, in lower case."""

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,12})?(?:(Z)|([+-])(\d\d):(\d\d))?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,3})?", re.ASCII)


def split_line(line: str) -> list[str]:
    """The fields of one line. Raises `LineError` for a quote that is not closed."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise LineError(f"is no line of a CSV file: {error}") from None


def csv_format(header: Sequence[str]) -> TraceFormat | None:
    """The format whose columns `header` names; `None` for another file."""
    names = _names(header)
    for kind, columns in COLUMNS.items():
        if all(column in names for column in columns):
            return kind
    return None


class CsvRows:
    """Reads lines below a header of `kind`."""

    def __init__(self, kind: TraceFormat, header: Sequence[str]) -> None:
        names = _names(header)
        self._at, self._prompt, self._output = (names.index(each) for each in COLUMNS[kind])
        self._fields = len(names)
        self._time: Callable[[str], float] = _date if kind is TraceFormat.AZURE else _number

    def read(self, line: bytes) -> Row:
        """One line. Raises `LineError`."""
        try:
            fields = split_line(line.decode())
        except UnicodeDecodeError:
            raise LineError("is not UTF-8 text") from None
        if len(fields) != self._fields:
            raise LineError(f"has {len(fields)} fields, the first line {self._fields}")
        at_s = self._time(fields[self._at].strip())
        return checked(Row(at_s, _count(fields[self._prompt]), _count(fields[self._output])))


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise LineError(f"{_short(text)} is no number")
    return float(text)


def _count(text: str) -> int:
    """A number of tokens, also where a table was saved with decimals (`374.0`)."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    value = _number(text.strip())
    if not math.isfinite(value) or value != math.floor(value):
        raise LineError(f"{_short(text)} is no number of tokens")
    return int(value)


def _date(text: str) -> float:
    """`2023-11-16 18:17:03.9799600` as Unix time, UTC unless it says otherwise."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise LineError(f"{_short(text)} is no time such as 2023-11-16 18:17:03.98")
    day, clock, fraction, _, sign, hours, minutes = found.groups()
    zone = UTC
    try:
        if sign is not None:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(-offset if sign == "-" else offset)
        at = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone)
    except ValueError as error:
        raise LineError(f"{_short(text)} is no time: {error}") from None
    return at.timestamp() + float(fraction or 0)


def _short(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")
