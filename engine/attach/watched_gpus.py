"""A DCGM exporter, asked once a second for the GPUs of a server."""

import asyncio
import time
from collections.abc import Callable

from ..protocol import Message
from ..protocol.errors import ProdtopError
from .asking.fetch import Fetcher
from .asking.settings import SCRAPE_INTERVAL_S, NamedServer
from .reading.dcgm import dcgm_sample, without_gpus
from .reading.exposition import ExpositionError

RETRY_S = 5.0
PATH = "/metrics"


async def watch_gpus(
    server: NamedServer, tell: Callable[[Message], object], *, interval_s: float = SCRAPE_INTERVAL_S
) -> None:
    """Ask `server.dcgm` until cancelled; while it does not answer, tell why there are no GPUs.

    The server's token and headers are not sent there: it is another server.
    """
    if server.dcgm is None:
        return
    while True:
        fetcher = Fetcher(server.dcgm, server.ca_file)
        try:
            while True:
                answer = await fetcher.get(PATH, {})
                now_s = time.monotonic()
                sample = dcgm_sample(answer.body, now_s)
                tell(sample or without_gpus("tells of no GPU", now_s))
                await asyncio.sleep(interval_s)
        except (ProdtopError, ExpositionError) as error:
            tell(without_gpus(str(error), time.monotonic()))
            await asyncio.sleep(RETRY_S)
        finally:
            await fetcher.close()
