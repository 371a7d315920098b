"""Live moments over a frame, and the text of a panel."""

from frames import frame, host
from prodtop.engine.protocol import (
    Frame,
)
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.panel import PanelView, Room

SERVING = WorkerState(Phase.SERVING)
ROOM = Room(76, 12, UNICODE)


def at(shown: Frame | None = None, **changes: object) -> Moment:
    """A live moment over a frame."""
    values: dict[str, object] = {
        "wall_s": 0.0,
        "now_s": 0.0,
        "frame": shown or frame(),
        "host": host(),
        "worker": SERVING,
        "frame_age_s": 0.1,
        "host_age_s": 0.1,
    }
    return Moment(**{**values, **changes})  # type: ignore[arg-type]  # names checked by the class


def text_of(view: PanelView) -> str:
    return "\n".join([view.title.plain, view.figures.plain, *(row.plain for row in view.lines)])
