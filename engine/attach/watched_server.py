"""One server, asked again and again: what it answers becomes frames, its silence an event."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from ..protocol import Frame, Message, ServerBack, ServerDown, ServerProcess
from ..protocol.errors import ProdtopError
from .asking.addresses import host_and_port
from .asking.fetch import Answer, Fetcher, FetchError, StatusError
from .asking.local_process import is_local, pid_at
from .asking.secrets import secret_headers
from .asking.settings import NamedServer
from .reading.server_reading import Endpoint, ServerReading

BACK_OFF = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Seconds until a server that is down is asked again, after each failure; the last goes on."""
SLOW_SHARE = 0.25
"""A server that takes long to answer is asked less often: answering takes it this share at most."""
MISSING = frozenset({404, 405, 501})
"""Answers that mean: there is no such path."""
ABSENT = MISSING | {401, 403}
"""Answers that mean: not this path, or not for everyone."""
FURTHER_WAIT_S = 0.25
"""For what a server with metrics tells beside them."""


class Getter(Protocol):
    """How a server is asked: over HTTP, or in tests by a script."""

    async def get(self, path: str, headers: dict[str, str]) -> Answer: ...

    async def close(self) -> None: ...


class WatchedServer:
    """Asks one server for what it tells, and passes on frames and events through `tell`.

    Every answer is taken in by `ServerReading`, which is pure. `run` goes on until it is cancelled.
    """

    def __init__(
        self,
        server: NamedServer,
        tell: Callable[[Message], object],
        *,
        connect: Callable[[NamedServer], Getter] = lambda each: Fetcher(each.url, each.ca_file),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.server = server
        self.reading = ServerReading(server.url, server.name, server.metrics_path)
        self._tell = tell
        self._connect = connect
        self._clock, self._wall = clock, wall
        self._getter: Getter | None = None
        self._failures = 0
        self._was_up = False
        self._has_metrics = True
        self._had_metrics = False
        self._refusal: FetchError | None = None
        self._asked_at_s: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._telling: set[str] = set()
        self._took_s = 0.0
        self._sequence = 0
        self._woken = asyncio.Event()

    async def run(self, gate: asyncio.Semaphore | None = None, after_s: float = 0.0) -> None:
        """Ask, wait, and ask again; the first time `after_s` from now. Within `gate` no more than
        so many servers are asked at once."""
        gate = asyncio.Semaphore() if gate is None else gate
        try:
            await self._rest(after_s)
            while True:
                began_s = self._clock()
                async with gate:
                    wait_s = await self.round()
                # A round that took too long is not made up for.
                await self._rest(max(0.05, began_s + wait_s - self._clock()))
        finally:
            await self._drop()

    def read(self, *, of_a_row: bool) -> None:
        """Read all that it tells from now on, or only what a row of a fleet shows. What was read
        until now is dropped where that is another."""
        if of_a_row != self.reading.of_a_row:
            server = self.server
            self.reading = ServerReading(
                server.url, server.name, server.metrics_path, of_a_row=of_a_row
            )
            self._asked_at_s.clear()

    def ask_now(self) -> None:
        """End the wait for the next round."""
        self._woken.set()

    async def _rest(self, seconds: float) -> None:
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    @property
    def is_down(self) -> bool:
        """Whether the last round failed."""
        return self._failures > 0

    async def close(self) -> None:
        """Let go of the connections; a further round opens new ones."""
        await self._drop()

    async def round(self) -> float:
        """Ask once for all that is due; returns when to ask again, in seconds from its start."""
        try:
            headers = secret_headers(self.server)
            if self._getter is None:
                self._getter = self._connect(self.server)
            await self._ask_metrics(self._getter, headers)
            await self._ask_further(self._getter, headers)
            frame = self._frame()
        except ProdtopError as error:
            return await self._failed(str(error))
        if frame is None:
            refused = "" if self._refusal is None else f": {self._refusal}"
            return await self._failed(f"tells nothing that prodtop knows{refused}")
        if self._failures or not self._was_up:
            await self._came_back()
        self._tell(frame)
        return self.interval_s

    @property
    def interval_s(self) -> float:
        """Between the starts of two rounds, while the server answers."""
        return max(self.server.interval_s, self._took_s / SLOW_SHARE)

    async def _ask_metrics(self, getter: Getter, headers: dict[str, str]) -> None:
        if not self._has_metrics:
            return
        path = self.reading.metrics_path
        at_s, wall_s = self._clock(), self._wall()
        try:
            answer = await getter.get(path, headers)
        except StatusError as error:
            # What told its metrics before has not lost them: its token ran out, or what is behind
            # the address has gone. The last figures would be shown as if they were new.
            if error.status not in ABSENT or self._had_metrics:
                raise
            self._refusal = error
            self.reading.absent(path, error.status)
            # Another kind of server may have them elsewhere; else there are none to ask for.
            self._has_metrics = self.reading.metrics_path != path
            if self._has_metrics:
                await self._ask_metrics(getter, headers)
            return
        self._took_s = answer.took_s
        self.reading.take(answer.body, answer.content_type, at_s, wall_s, answer.took_s)
        self._had_metrics = True

    async def _ask_further(self, getter: Getter, headers: dict[str, str]) -> None:
        """Ask for what is told beside metrics, all at once.

        A server with metrics is not waited for longer than `FURTHER_WAIT_S`: what hangs beside
        them, as `/slots` of a busy llama.cpp may, would make its figures old. An answer that comes
        later is in a later frame. Raises `FetchError` where a server without metrics tells nothing.
        """
        wanted = self.reading.wanted()
        self._telling &= {endpoint.path for endpoint in wanted}
        due = [endpoint.path for endpoint in wanted if self._is_due(endpoint)]
        if not self._has_metrics and self._telling.isdisjoint(due):
            # Nothing else would say within seconds that the server has gone.
            often = sorted(wanted, key=lambda endpoint: endpoint.every_s)
            due += [each.path for each in often if each.path in self._telling][:1]
        for path in due:
            self._asked_at_s[path] = self._clock()
            self._asking[path] = asyncio.create_task(self._ask_for(path, getter, headers))
        if self._asking:
            wait_s = FURTHER_WAIT_S if self._has_metrics else None
            done, _ = await asyncio.wait(self._asking.values(), timeout=wait_s)
            self._asking = {path: task for path, task in self._asking.items() if task not in done}
            for task in done:
                task.result()
        if self._has_metrics or not self._telling.isdisjoint(due):
            return
        if isinstance(self._refusal, StatusError):
            raise FetchError(f"tells nothing that prodtop knows: {self._refusal}")
        if self._refusal is not None:
            raise self._refusal

    async def _ask_for(self, path: str, getter: Getter, headers: dict[str, str]) -> None:
        """Ask for one path beside metrics: that may fail, and is asked for again when it is due."""
        try:
            answer = await getter.get(path, headers)
        except FetchError as error:
            self._telling.discard(path)
            if isinstance(error, StatusError) and error.status in ABSENT:
                self.reading.absent(path, error.status)
            if not isinstance(error, StatusError) or error.status not in MISSING:
                self._refusal = error
            return
        self._telling.add(path)
        self.reading.take_json(path, answer.body, self._clock())

    def _is_due(self, endpoint: Endpoint) -> bool:
        if endpoint.path in self._asking:
            return False
        asked_at_s = self._asked_at_s.get(endpoint.path)
        return asked_at_s is None or self._clock() - asked_at_s >= endpoint.every_s

    def _frame(self) -> Frame | None:
        frame = self.reading.frame(self._clock(), self._wall())
        if frame is None or frame.attached is None:
            return None
        self._sequence += 1
        attached = msgspec.structs.replace(
            frame.attached, scraped_per_s=1 / self.interval_s, scrape_ms=self._took_s * 1e3
        )
        return msgspec.structs.replace(frame, sequence=self._sequence, attached=attached)

    async def _failed(self, reason: str) -> float:
        retry_s = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
        self._failures += 1
        self._has_metrics = True
        self._refusal = None
        self._telling.clear()
        self._asked_at_s.clear()
        self._tell(ServerDown(name=self.server.name, reason=reason, retry_in_s=retry_s))
        # A connection that was good before may be what does not answer.
        await self._drop()
        return retry_s

    async def _came_back(self) -> None:
        if self._failures:
            self._tell(ServerBack(name=self.server.name))
        self._failures, self._was_up = 0, True
        self._asked_at_s.clear()
        if is_local(self.server.url):
            pid = await asyncio.to_thread(pid_at, *host_and_port(self.server.url))
            if pid is not None:
                self._tell(ServerProcess(name=self.server.name, pid=pid))

    async def _drop(self) -> None:
        asking, self._asking = self._asking.values(), {}
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        getter, self._getter = self._getter, None
        if getter is not None:
            await getter.close()
