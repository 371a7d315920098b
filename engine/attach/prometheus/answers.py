"""What Prometheus' HTTP API answers: checked and bounded, and of it only what is asked for.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/. Values are texts, `NaN` and
`+Inf` among them: samples that are no finite numbers are left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Generic, Protocol, TypeVar

import msgspec

from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from .queries import COLUMN

MOST_SERIES = 50_000
"""Of one answer: more are left out, and that is said."""

Labels = Mapping[str, str]
Point = tuple[float, float]
"""Unix time (s), and the value."""


class QueryError(ProdtopError):
    """Prometheus does not answer a query; the message says why, in its words."""


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one set of labels, oldest first; an instant query gives one of each.

    `metric` is the labels as JSON: they stay the same from one query to the next, so that whoever
    needs them reads them once.
    """

    metric: bytes
    points: tuple[Point, ...]

    @property
    def labels(self) -> Labels:
        """As Prometheus has them: whoever shows one cleans it. Raises `QueryError`."""
        return _answered(self.metric, _LABELS)


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gave. `warnings` are Prometheus' own: of a partial answer it says so there."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Values:
    """What an instant query gave: by the name of a column, a value for each server, by its
    `instance`."""

    columns: dict[str, dict[str, float]]
    warnings: tuple[str, ...] = ()


class Naming(msgspec.Struct, frozen=True, gc=False):
    """The labels that say what a server is; other labels of an answer are passed over."""

    instance: str = ""
    metric: str = msgspec.field(default="", name="__name__")
    model_name: str = ""
    model: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """What an instant query gave with the names of each server, by its `instance`."""

    by_server: dict[str, Naming]
    warnings: tuple[str, ...] = ()


_TextPoint = tuple[float, str]


class _Sampled(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    value: _TextPoint | None = None
    values: list[_TextPoint] | None = None


class _Place(msgspec.Struct, gc=False):
    instance: str = ""
    column: str = msgspec.field(default="", name=COLUMN)


class _Valued(msgspec.Struct, gc=False):
    metric: _Place
    value: Point


class _ValuedByText(msgspec.Struct, gc=False):
    metric: _Place
    value: _TextPoint


class _NamedOne(msgspec.Struct, gc=False):
    metric: Naming


_Item = TypeVar("_Item")


class _Data(msgspec.Struct, Generic[_Item]):
    result: list[_Item]


class _Answer(msgspec.Struct, Generic[_Item]):
    status: str
    data: _Data[_Item] | None = None
    error: str = ""
    warnings: list[str] | None = None


_Decoded = TypeVar("_Decoded", covariant=True)


class _Decoder(Protocol[_Decoded]):
    def decode(self, body: bytes, /) -> _Decoded: ...


# Only the labels and values that are asked for become objects: of 500 servers with ten labels each
# that is most of what decoding costs.
_SERIES = msgspec.json.Decoder(_Answer[_Sampled])
_LABELS = msgspec.json.Decoder(dict[str, str])
# Texts become numbers as they are decoded; but `+Inf` and `-Inf` are no numbers to msgspec.
_VALUES = msgspec.json.Decoder(_Answer[_Valued], strict=False)
_TEXT_VALUES = msgspec.json.Decoder(_Answer[_ValuedByText])
_NAMES = msgspec.json.Decoder(_Answer[_NamedOne])


def decoded(body: bytes) -> Result:
    """What an answer says. Raises `QueryError` for one that is none of Prometheus'."""
    sampled, warnings = _result(body, _SERIES)
    series = map(_series, sampled)
    return Result(tuple(each for each in series if each.points), warnings)


def decoded_values(body: bytes) -> Values:
    """A value for each column of each server. Raises as `decoded` does."""
    try:
        valued, warnings = _result(body, _VALUES)
    except QueryError:
        told, warnings = _result(body, _TEXT_VALUES)
        numbers = ((each.metric, _number(each.value[1])) for each in told)
        return Values(_columns((at, value) for at, value in numbers if value is not None), warnings)
    points = ((each.metric, each.value[1]) for each in valued)
    return Values(_columns((at, value) for at, value in points if isfinite(value)), warnings)


def _columns(values: Iterable[tuple[_Place, float]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for at, value in values:
        found[at.column][at.instance] = value
    return found


def decoded_names(body: bytes) -> Named:
    """The names of each server. Raises as `decoded` does."""
    named, warnings = _result(body, _NAMES)
    return Named({each.metric.instance: each.metric for each in named}, warnings)


def _result(body: bytes, decoder: _Decoder[_Answer[_Item]]) -> tuple[list[_Item], tuple[str, ...]]:
    """What an answer holds within bounds, and what Prometheus warns of."""
    answer = _answered(body, decoder)
    if answer.status != "success" or answer.data is None:
        raise QueryError(clean(answer.error)[:200] or "Prometheus gives no result")
    warnings = [clean(each)[:200] for each in answer.warnings or []]
    items = answer.data.result
    if len(items) > MOST_SERIES:
        warnings.append(f"only {MOST_SERIES:,} of {len(items):,} series are taken")
    return items[:MOST_SERIES], tuple(warnings)


def _answered(body: bytes, decoder: _Decoder[_Decoded]) -> _Decoded:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise QueryError("this is no answer of Prometheus' API") from None


def _series(sampled: _Sampled) -> Series:
    metric = bytes(sampled.metric)
    if sampled.value is not None:
        at_s, text = sampled.value
        number = _number(text)
        return Series(metric, () if number is None else ((at_s, number),))
    values = sampled.values or []
    points = ((at_s, number) for at_s, text in values if (number := _number(text)) is not None)
    return Series(metric, tuple(points))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
