"""Prometheus' HTTP API: instant and range queries, within bounds of time."""

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlencode

from ..asking.fetch import Fetcher, StatusError
from ..asking.settings import ServerSettings
from .answers import Named, QueryError, Result, Values, decoded, decoded_names, decoded_values

TIMEOUT_S = 10.0
KEPT_CONNECTIONS = 2
"""As many as queries of one refresh are asked at once: opening one anew costs more than asking."""


class PrometheusClient:
    """Asks one Prometheus. `headers` are made anew for each query: tokens are renewed in place."""

    def __init__(
        self, server: ServerSettings, headers: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._fetcher = Fetcher(
            server.url, server.ca_file, timeout_s=TIMEOUT_S, kept_connections=KEPT_CONNECTIONS
        )
        self._headers = headers

    async def query(self, expression: str) -> Result:
        """The series now. Raises `QueryError`, or `FetchError` where there is no answer."""
        return decoded(await self._ask("/api/v1/query", {"query": expression}))

    async def values(self, expression: str) -> Values:
        """A value for each column of each server now; of several the last. Raises as `query`."""
        return decoded_values(await self._ask("/api/v1/query", {"query": expression}))

    async def names(self, expression: str) -> Named:
        """The names of each server now. Raises as `query` does."""
        return decoded_names(await self._ask("/api/v1/query", {"query": expression}))

    async def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> Result:
        """The values at every step of a stretch of Unix time. Raises as `query` does."""
        stretch = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        return decoded(await self._ask("/api/v1/query_range", {"query": expression, **stretch}))

    async def close(self) -> None:
        """Close the connections."""
        await self._fetcher.close()

    async def _ask(self, path: str, parameters: dict[str, str]) -> bytes:
        try:
            answer = await self._fetcher.get(f"{path}?{_written(**parameters)}", self._headers())
        except StatusError as error:
            if error.status in (401, 403):
                raise QueryError(f"{error}: --token-file names the file of its token") from None
            raise QueryError(f"Prometheus {error}") from None
        return answer.body


@lru_cache(64)
def _written(**parameters: str) -> str:
    """The same long query is asked again and again."""
    return urlencode(parameters)
