"""Servers on this machine: its listening ports and those that containers publish, each asked."""

import asyncio
import re
import shutil
from collections.abc import Iterable

from ..protocol import EngineKind, Frame
from .asking.fetch import Fetcher
from .asking.local_process import listeners
from .asking.settings import NamedServer
from .watched_server import WatchedServer

MOST_PORTS = 200
AT_ONCE = 32
WHOLE_S = 8.0
"""For all ports: those that have not answered by then are left out."""
ASK_S = 1.0
"""For each answer: what listens here and is slower than that is no server that one would watch."""
CONTAINER_TOOLS = ("docker", "podman")
_TOOL_S = 2.0
_PUBLISHED = re.compile(rb"(?:0\.0\.0\.0|127\.0\.0\.1|\[::\]|::):(\d{1,5})(?:-(\d{1,5}))?->")


async def found_servers() -> list[Frame]:
    """What each serving engine on this machine tells, in the order of their ports."""
    ports = [port for port, _ in await asyncio.to_thread(listeners)]
    published = await asyncio.gather(*(_published(tool) for tool in CONTAINER_TOOLS))
    every = sorted({*ports, *(port for each in published for port in each)})[:MOST_PORTS]
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(port: int) -> Frame | None:
        async with gate:
            return await _asked(port)

    tasks = [asyncio.create_task(ask(port)) for port in every]
    if not tasks:
        return []
    done, late = await asyncio.wait(tasks, timeout=WHOLE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    answers = [task.result() for task in tasks if task in done]
    return [frame for frame in answers if frame is not None]


async def _asked(port: int) -> Frame | None:
    told: list[Frame] = []
    url = f"http://127.0.0.1:{port}"
    server = NamedServer(url=url, name=url.partition("://")[2])

    def take(message: object) -> None:
        if isinstance(message, Frame):
            told.append(message)

    watched = WatchedServer(server, take, connect=lambda each: Fetcher(each.url, timeout_s=ASK_S))
    try:
        await watched.round()
    finally:
        await watched.close()
    return next((frame for frame in told if _is_engine(frame)), None)


def _is_engine(frame: Frame) -> bool:
    """Whether it is one that prodtop recognises: much that listens on a machine speaks HTTP."""
    return frame.attached is not None and frame.attached.kind is not EngineKind.UNKNOWN


async def _published(tool: str) -> Iterable[int]:
    """The ports of this machine that a container tool says lead into containers."""
    path = shutil.which(tool)
    if path is None:
        return []
    process = await asyncio.create_subprocess_exec(
        path,
        *("ps", "--format", "{{.Ports}}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_TOOL_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return []
    return published_ports(printed)


def published_ports(printed: bytes) -> list[int]:
    """The ports in what `ps --format {{.Ports}}` prints, where neighbours are joined to ranges:
    `0.0.0.0:8000-8001->8000-8001/tcp`."""
    ports: set[int] = set()
    for first, last in _PUBLISHED.findall(printed):
        most = min(int(last or first), 65_535, int(first) + MOST_PORTS)
        ports.update(range(int(first), most + 1))
    return sorted(ports)
