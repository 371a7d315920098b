"""A fleet read through Prometheus: rows by few queries, one server's frames by its series."""

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec

from ...protocol import (
    Command,
    FleetSample,
    Frame,
    Message,
    PastFrames,
    Replica,
    ServerDown,
)
from ...protocol.errors import ProdtopError
from ..asking.secrets import secret_headers
from ..asking.settings import PrometheusSettings
from ..reading.server_reading import ServerReading
from .answers import Named, Series, Values
from .client import PrometheusClient
from .exposing import Exposing
from .fleet_rows import fleet_rows
from .queries import SCRAPES_PER_WINDOW, UP, FleetQueries

PAST_S = 600.0
"""So much of the past is asked for where a server begins to be looked at."""
NAMES_EVERY_S = 30.0
"""What a server is called and serves changes rarely, unlike its figures."""
RETRY_S = 5.0


class PrometheusFleet:
    """Asks Prometheus for a fleet until it is cancelled; `choose` says whose frames are wanted.

    `tell` sends to the screen; `clock` is monotonic, `wall` Unix time.
    """

    def __init__(
        self,
        settings: PrometheusSettings,
        tell: Callable[[Message], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._clock, self._wall = clock, wall
        window_s = SCRAPES_PER_WINDOW * settings.scrape_interval_s
        self._queries = FleetQueries(settings.selector, window_s)
        self._rows: list[Replica] = []
        self._names: Named | None = None
        self._named_of: frozenset[str] = frozenset()
        self._named_until_s = 0.0
        self._reading: ServerReading | None = None
        self._exposing = Exposing()
        self._woken = asyncio.Event()
        self.chosen = ""
        self._sequence = 0

    def choose(self, name: str) -> None:
        """Send the frames of this server from now on."""
        if name != self.chosen:
            self.chosen, self._reading, self._exposing = name, None, Exposing()
            self._woken.set()

    def on_command(self, command: Command) -> None:
        """Nothing is measured here that a command could change."""

    async def run(self) -> None:
        """Ask, wait, and ask again."""
        while True:
            client = PrometheusClient(self._settings, lambda: secret_headers(self._settings))
            try:
                while True:
                    began_s = self._clock()
                    await self.round(client)
                    await self._wait(began_s + self._settings.interval_s - self._clock())
            except ProdtopError as error:
                self._tell(self._sample(str(error)))
                if not self._rows:
                    down = ServerDown(
                        name=self._settings.url, reason=str(error), retry_in_s=RETRY_S
                    )
                    self._tell(down)
                await asyncio.sleep(RETRY_S)
            finally:
                await client.close()

    async def round(self, client: PrometheusClient) -> None:
        """Ask once for all rows, and for the series of the chosen server."""
        queries = self._queries
        figures = await client.values(queries.figures)
        names = await self._named(client, figures)
        self._rows = fleet_rows(names.by_server, figures.columns)
        warnings = {*names.warnings, *figures.warnings}
        if not self.chosen and self._rows:
            self.chosen = next((row.name for row in self._rows if row.running), self._rows[0].name)
        self._tell(self._sample("; ".join(sorted(warnings))))
        await self._look_at_chosen(client)

    async def _named(self, client: PrometheusClient, figures: Values) -> Named:
        """What names each server: asked anew where there are others, and now and then."""
        columns = (column for field, column in figures.columns.items() if field != UP)
        servers = frozenset[str]().union(*columns)
        names, now_s = self._names, self._clock()
        if names is None or servers != self._named_of or now_s >= self._named_until_s:
            names = self._names = await client.names(self._queries.names)
            self._named_of, self._named_until_s = servers, now_s + NAMES_EVERY_S
        return names

    async def _look_at_chosen(self, client: PrometheusClient) -> None:
        row = next((row for row in self._rows if row.name == self.chosen), None)
        if row is None:
            return
        if row.down is not None:
            self._tell(ServerDown(name=row.name, reason=row.down, retry_in_s=RETRY_S))
            return
        expression = self._queries.everything_of(row.name)
        if self._reading is None:
            self._reading = ServerReading(f"http://{row.name}", row.name)
            await self._recall(client, self._reading, expression)
        began_s = self._clock()
        result = await client.query(expression)
        frame = self._frame_of(self._reading, result.series, began_s, self._wall())
        if frame is not None:
            self._tell(frame)

    async def _recall(
        self, client: PrometheusClient, reading: ServerReading, expression: str
    ) -> None:
        """The last minutes at once, so that one can walk back from the first moment on."""
        end_s, step_s = self._wall(), self._settings.scrape_interval_s
        result = await client.query_range(expression, end_s - PAST_S, end_s - step_s, step_s)
        moments: dict[float, list[Series]] = {}
        for series in result.series:
            for point in series.points:
                moments.setdefault(point[0], []).append(Series(series.metric, (point,)))
        ahead_s = self._clock() - end_s
        frames = [
            frame
            for wall_s, there in sorted(moments.items())
            if (frame := self._frame_of(reading, there, wall_s + ahead_s, wall_s)) is not None
        ]
        if frames:
            self._tell(PastFrames(wall_s=end_s, frames=frames))

    def _frame_of(
        self, reading: ServerReading, series: Iterable[Series], at_s: float, wall_s: float
    ) -> Frame | None:
        """What one server told at a moment, as if it had been asked itself."""
        body = self._exposing.text(series)
        if not body:
            return None
        reading.take(body, "text/plain; version=0.0.4", at_s, wall_s, self._clock() - at_s)
        frame = reading.frame(at_s, wall_s)
        if frame is None or frame.attached is None:
            return None
        self._sequence += 1
        attached = msgspec.structs.replace(
            frame.attached, scraped_per_s=1 / self._settings.interval_s
        )
        return msgspec.structs.replace(frame, attached=attached, sequence=self._sequence)

    def _sample(self, note: str) -> FleetSample:
        return FleetSample(
            at_s=self._clock(),
            wall_s=self._wall(),
            replicas=self._rows,
            chosen=self.chosen,
            note=note or None,
        )

    async def _wait(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(max(0.05, seconds)):
                await self._woken.wait()
        except TimeoutError:
            pass
