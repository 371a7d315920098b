"""What is measured beside the servers' own metrics: joined to their frames, and sent."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..protocol import Command, Frame, InspectRequest, Message, SetSlo
from .asking.settings import NamedServer
from .fleet import Fleet

if TYPE_CHECKING:
    from .measuring import Measuring

REPORT_EVERY_S = 0.25


class Beside:
    """The proxies and probers of all servers, in front of the fleet that takes their frames.

    They run while it is entered: `__enter__` raises `ProdtopError` where one cannot.
    """

    def __init__(
        self, servers: list[NamedServer], fleet: Fleet, tell: Callable[[Message], object]
    ) -> None:
        self._fleet = fleet
        self._tell = tell
        self._measuring = _measuring(servers)

    @property
    def measures(self) -> bool:
        """Whether anything is measured at all."""
        return bool(self._measuring)

    def __enter__(self) -> Self:
        try:
            for each in self._measuring.values():
                each.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._close()

    def take(self, name: str, message: Message) -> None:
        """A message of a server: its frames get what was measured of it."""
        measuring = self._measuring.get(name)
        if isinstance(message, Frame) and measuring is not None:
            message = measuring.overlay(message)
        self._fleet.take(name, message)

    def choose(self, name: str) -> None:
        """Send the frames of this server, and the requests that passed to it."""
        self._fleet.choose(name)

    def on_command(self, command: Command) -> None:
        """Limits are for all, a request's timeline is one of the server that is looked at."""
        if isinstance(command, SetSlo):
            for each in self._measuring.values():
                each.set_slo(command.slo)
        elif isinstance(command, InspectRequest):
            chosen = self._measuring.get(self._fleet.chosen)
            if chosen is not None:
                chosen.inspect(command.request_id)

    async def report(self) -> None:
        """Send what was measured of single requests, until cancelled: of the server that is
        looked at. The others' is dropped: their figures are in their rows."""
        while True:
            for name, each in self._measuring.items():
                reports = each.reports()
                if name == self._fleet.chosen:
                    for report in reports:
                        self._tell(report)
            await asyncio.sleep(REPORT_EVERY_S)

    def _close(self) -> None:
        for each in self._measuring.values():
            each.close()


def _measuring(servers: list[NamedServer]) -> dict[str, "Measuring"]:
    measured = [each for each in servers if (each.proxy, each.probe_s) != (None, None)]
    if not measured:
        return {}
    # Only now: what measures requests takes 15 MiB that watching alone does not need.
    from .measuring import Measuring

    return {each.name: Measuring(each) for each in measured}
