"""A DCGM exporter, asked once a second for the GPUs of a server."""

import asyncio
import time
from collections.abc import Callable

from ..protocol import Message
from ..protocol.errors import ProdtopError
from .asking.fetch import Fetcher
from .asking.secrets import secret_headers
from .asking.settings import SCRAPE_INTERVAL_S, NamedServer
from .reading.dcgm import dcgm_sample
from .reading.exposition import ExpositionError

RETRY_S = 5.0
PATH = "/metrics"


async def watch_gpus(
    server: NamedServer, tell: Callable[[Message], object], *, interval_s: float = SCRAPE_INTERVAL_S
) -> None:
    """Ask `server.dcgm` until cancelled. While it does not answer no GPUs are told: the figures
    on the screen grow old, and are marked so."""
    if server.dcgm is None:
        return
    while True:
        fetcher = Fetcher(server.dcgm, server.ca_file)
        try:
            while True:
                answer = await fetcher.get(PATH, secret_headers(server))
                sample = dcgm_sample(answer.body, time.monotonic())
                if sample is not None:
                    tell(sample)
                await asyncio.sleep(interval_s)
        except (ProdtopError, ExpositionError):
            await asyncio.sleep(RETRY_S)
        finally:
            await fetcher.close()
