"""Prometheus' HTTP API: instant and range queries, their answers checked and bounded.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/. Values are texts, `NaN` and
`+Inf` among them: samples that are no finite numbers are left out.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from ..asking.fetch import Fetcher, StatusError
from ..asking.settings import ServerSettings

TIMEOUT_S = 10.0
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

    Labels are as Prometheus has them: whoever shows one cleans it.
    """

    labels: Labels
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gave. `warnings` are Prometheus' own: of a partial answer it says so there."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class _Sampled(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] | None = None


class _Data(msgspec.Struct):
    result: list[_Sampled]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] | None = None


_DECODER = msgspec.json.Decoder(_Answer)


class PrometheusClient:
    """Asks one Prometheus. `headers` are made anew for each query: tokens are renewed in place."""

    def __init__(
        self, server: ServerSettings, headers: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._fetcher = Fetcher(server.url, server.ca_file, timeout_s=TIMEOUT_S)
        self._headers = headers

    async def query(self, expression: str) -> Result:
        """The values now. Raises `QueryError`, or `FetchError` where there is no answer."""
        return await self._ask("/api/v1/query", {"query": expression})

    async def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> Result:
        """The values at every step of a stretch of Unix time. Raises as `query` does."""
        return await self._ask(
            "/api/v1/query_range",
            {
                "query": expression,
                "start": f"{start_s:.3f}",
                "end": f"{end_s:.3f}",
                "step": f"{step_s:g}",
            },
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    async def _ask(self, path: str, parameters: dict[str, str]) -> Result:
        try:
            answer = await self._fetcher.get(f"{path}?{urlencode(parameters)}", self._headers())
        except StatusError as error:
            if error.status in (401, 403):
                raise QueryError(f"{error}: --token-file names the file of its token") from None
            raise QueryError(f"Prometheus {error}") from None
        return decoded(answer.body)


def decoded(body: bytes) -> Result:
    """What an answer says. Raises `QueryError` for one that is none of Prometheus'."""
    try:
        answer = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise QueryError("this is no answer of Prometheus' API") from None
    if answer.status != "success" or answer.data is None:
        raise QueryError(clean(answer.error)[:200] or "Prometheus gives no result")
    warnings = [clean(each)[:200] for each in answer.warnings or []]
    if len(answer.data.result) > MOST_SERIES:
        warnings.append(f"only {MOST_SERIES:,} of {len(answer.data.result):,} series are taken")
    series = [_series(each) for each in answer.data.result[:MOST_SERIES]]
    return Result(tuple(each for each in series if each.points), tuple(warnings))


def _series(sampled: _Sampled) -> Series:
    if sampled.value is not None:
        at_s, text = sampled.value
        number = _number(text)
        return Series(sampled.metric, () if number is None else ((at_s, number),))
    values = sampled.values or []
    points = ((at_s, number) for at_s, text in values if (number := _number(text)) is not None)
    return Series(sampled.metric, tuple(points))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
