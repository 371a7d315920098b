"""A load on a server that is watched at the same time: what the client measured, what was seen."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import msgspec
from peer_servers import PeerServer
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.watched_server import WatchedServer
from prodtop.engine.http_load.connections import Connections
from prodtop.engine.http_load.main import load_of
from prodtop.engine.http_load.messages import ServerResult
from prodtop.engine.http_load.result import result_of
from prodtop.engine.http_load.run import run_load
from prodtop.engine.http_load.target import Asked, Target
from prodtop.engine.http_load.texts import TextMaker
from prodtop.engine.protocol import Frame, LoadSpec, Message

DEADLINE_S = 60.0
INTERVAL_S = 0.25
CONTEXT_TOKENS = 2048
GREEDY = LoadSpec(users=2, temperature=0.0)
"""Without `ignore_eos`, which not every server knows: these models never end by themselves."""


@dataclass
class Watched:
    """Frames of a server as it was watched."""

    told: list[Message] = field(default_factory=list)

    @property
    def frames(self) -> list[Frame]:
        return [each for each in self.told if isinstance(each, Frame)]

    @property
    def newest(self) -> Frame:
        return self.frames[-1]

    async def frames_more(self, number: int) -> None:
        """Wait for so many frames from now on."""
        wanted = len(self.frames) + number
        async with asyncio.timeout(DEADLINE_S):
            while len(self.frames) < wanted:
                await asyncio.sleep(0.02)


def model_of(server: PeerServer) -> str:
    """As the server calls its first model."""
    name: str = msgspec.json.decode(server.get("/v1/models")[1])["data"][0]["id"]
    return name


def load_watched(
    server: PeerServer, spec: LoadSpec, requests: int, *, through: PeerServer | None = None
) -> tuple[ServerResult, Watched]:
    """Put a load on a server, or on one in front of it; all of the load lies between the first
    frame and the newest."""
    asked = through or server
    target = Target(asked.url, model_of(asked))

    async def run() -> tuple[ServerResult, Watched]:
        watched = Watched()
        settings = NamedServer(url=server.url, name="peer", interval_s=INTERVAL_S)
        connections = Connections(target, timeout_s=DEADLINE_S)
        texts = TextMaker(salt=f"{time.monotonic_ns()}")
        # Engines make what they need at the first request: it is not one of the load.
        warmed = await connections.ask(Asked("warm up", max_tokens=4))
        assert warmed.error is None, warmed.error
        watching = asyncio.create_task(WatchedServer(settings, watched.told.append).run())
        try:
            await watched.frames_more(2)
            load = load_of(spec, texts, requests, CONTEXT_TOKENS)
            served = await run_load(load, connections, texts)
            await watched.frames_more(2)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await connections.close()
        result = result_of(served, model=target.model, url=target.url, api=target.api, versions={})
        assert (result.failed, result.rejected) == (0, 0), result.errors
        return result, watched

    return asyncio.run(run())
