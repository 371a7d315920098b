"""How often something is told, and over which time it was measured."""

from enum import StrEnum

RATE_SPAN_S = 1.0
FRAME_INTERVAL_S = 0.1
PROBE_INTERVAL_S = 0.25


class Window(StrEnum):
    """The spans over which percentiles and windowed rates are taken."""

    S10 = "10s"
    M1 = "1m"
    M5 = "5m"
    SESSION = "session"


WINDOW_SECONDS: dict[Window, float] = {
    Window.S10: 10.0,
    Window.M1: 60.0,
    Window.M5: 300.0,
    Window.SESSION: float("inf"),
}
