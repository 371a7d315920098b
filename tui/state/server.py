"""The server beside the screen, as its events tell of it."""

from dataclasses import dataclass, replace
from enum import Enum

from ...engine.protocol import ChildDied, ChildStarted, Event, ServerListening, ServerSample
from ...engine.protocol.wording import counted

_DIGITS = 3
_CELLS = _DIGITS + len(" requests")


class ServerPhase(Enum):
    """What the server's process is doing."""

    STARTING = "starting"
    LISTENING = "listening"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Server:
    """Times are on the screen's monotonic clock."""

    phase: ServerPhase = ServerPhase.STARTING
    port: int | None = None
    """`None` before it listened first."""
    sample: ServerSample | None = None
    """`None` before something went through it."""
    reason: str = ""
    restart_at_s: float | None = None
    """`None` while down: it stays down."""

    @property
    def traffic(self) -> str:
        """What goes through it now, in words, always of one width."""
        if self.phase is not ServerPhase.LISTENING:
            return f"{self.phase.value:>{_CELLS}}"
        sample = self.sample or ServerSample(at_s=0.0)
        # Of the requests that are no streams nothing is sent before their end.
        others = sample.open_requests > sample.streams
        number = sample.open_requests if others else sample.streams
        _, _, words = counted(number, "request" if others else "stream").partition(" ")
        return f"{number:>{_DIGITS}} {words.ljust(len('requests'))}"


def is_down(server: Server | None) -> bool:
    """Whether there is a server that ought to run and does not."""
    return server is not None and server.phase is ServerPhase.DOWN


def after_event(server: Server | None, event: Event, now_s: float) -> Server | None:
    """The server once `event` has come in; `None` where there never was one."""
    match event:
        case ChildStarted(child="server"):
            return Server(port=None if server is None else server.port)
        case ServerListening(port=port):
            return Server(ServerPhase.LISTENING, port)
        case ServerSample() if server is not None:
            return replace(server, sample=event)
        case ChildDied(child="server"):
            restart_at_s = None if event.restart_in_s is None else now_s + event.restart_in_s
            return Server(
                ServerPhase.DOWN,
                None if server is None else server.port,
                reason=event.reason,
                restart_at_s=restart_at_s,
            )
        case _:
            return server
