"""One GET, within bounds of time and size: whatever a foreign server answers, this one goes on.

Nothing is followed (a redirect may lead a token elsewhere) and nothing is unpacked: an answer that
is compressed though nobody asked for that is refused, so that a few bytes cannot become gigabytes.
"""

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path

import httpx2

from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from ..reading.exposition import MOST_BYTES

TIMEOUT_S = 2.0
"""For the whole of an answer: a server that is slower counts as down."""
MOST_CONNECTIONS = 12
"""More than the paths that a server is asked for at once: none waits for another's answer."""
KEPT_CONNECTIONS = 2
MOST_PARSED = 32
"""Addresses that are kept parsed."""
_SHOWN_CHARACTERS = 120


class FetchError(ProdtopError):
    """A server did not answer as it should; the message says how, in a few words."""


class StatusError(FetchError):
    """It answered with a status that is no success."""

    def __init__(self, status: int) -> None:
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"
        super().__init__(f"answers {status} {phrase}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the body whole, and how long it took from the first byte sent (s)."""

    body: bytes
    content_type: str
    took_s: float


def trust_of(ca_file: str | None) -> ssl.SSLContext:
    """The certificates to trust: the system's, or those of a bundle. Raises `FetchError`.

    All that trust the same share one: reading the system's takes 20 ms and some 0.5 MB each.
    """
    try:
        return _trust(ca_file, 0 if ca_file is None else Path(ca_file).stat().st_mtime_ns)
    except (OSError, ssl.SSLError) as error:
        raise FetchError(f"{ca_file} holds no certificates: {clean(str(error))}") from None


@lru_cache(8)
def _trust(ca_file: str | None, _changed_ns: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@cache
def _no_trust() -> ssl.SSLContext:
    """One that trusts nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Fetcher:
    """GETs of one server, over connections that are kept open. Made within the event loop."""

    def __init__(
        self,
        url: str,
        ca_file: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        kept_connections: int = KEPT_CONNECTIONS,
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._urls: dict[str, httpx2.URL] = {}
        # Without TLS none is used, but a client of `verify=False` makes one of its own.
        verify = trust_of(ca_file) if url.startswith("https:") else _no_trust()
        self._client = httpx2.AsyncClient(
            verify=verify,
            # A proxy of the environment would be asked for addresses of this machine as well.
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(timeout_s),
            limits=httpx2.Limits(
                max_connections=MOST_CONNECTIONS, max_keepalive_connections=kept_connections
            ),
        )

    async def get(self, path: str, headers: dict[str, str]) -> Answer:
        """The answer to `GET url/path`. Raises `FetchError`, `StatusError` above 299."""
        sent = {"accept-encoding": "identity", "user-agent": "prodtop", **headers}
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s):
                url = self._parsed(path)
                async with self._client.stream("GET", url, headers=sent) as response:
                    body = await _body(response)
        except TimeoutError:
            raise FetchError(f"no answer within {self._timeout_s:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
            raise FetchError(_said(error)) from None
        took_s = loop.time() - began_s
        return Answer(body, response.headers.get("content-type", ""), took_s)

    def _parsed(self, path: str) -> httpx2.URL:
        """The same few paths are asked for again and again: parsing a long query takes 0.5 ms."""
        parsed = self._urls.get(path)
        if parsed is None:
            if len(self._urls) >= MOST_PARSED:
                self._urls.clear()
            parsed = self._urls[path] = httpx2.URL(self._url + path)
        return parsed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _body(response: httpx2.Response) -> bytes:
    if response.status_code > 299:
        raise StatusError(response.status_code)
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise FetchError("answers compressed though it was not asked to")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise FetchError(f"answers with more than {MOST_BYTES >> 20} MiB")
    return bytes(body)


def _said(error: Exception) -> str:
    """What went wrong, in the words of who noticed it."""
    text = clean(str(error)).strip()
    if isinstance(error, httpx2.ConnectError) and ("refused" in text or not text):
        return "refuses connections"
    if isinstance(error, httpx2.ConnectError) and "attempts failed" in text:
        return "refuses connections"
    if isinstance(error, httpx2.RemoteProtocolError):
        return f"does not speak HTTP: {text[:_SHOWN_CHARACTERS]}"
    return (text or type(error).__name__)[:_SHOWN_CHARACTERS]
