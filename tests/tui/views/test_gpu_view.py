"""The GPU panel says of cards that are not there any more, whatever room it has."""

import msgspec
import pytest
from frames import frame, host, ready
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.gpu import device_view
from prodtop.tui.views.panel import PanelView, Room
from running_app import open_app

NOTE = "GPU 1: it has fallen off the bus; NVIDIA H200 is gone"


def view_of(note: str | None, room: Room, gpus: int = 3) -> PanelView:
    sample = msgspec.structs.replace(host(gpus=gpus), gpu_note=note)
    moment = Moment(
        0.0, 0.0, frame=frame(), host=sample, worker=WorkerState(Phase.SERVING), host_age_s=0.1
    )
    return device_view(moment, room)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("height", [2, 3, 7, 20])
@pytest.mark.parametrize("gpus", [1, 3, 8])
def test_lost_gpus_are_named_beside_those_that_are_there(
    gpus: int, height: int, glyphs: Glyphs
) -> None:
    view = view_of(NOTE, Room(76, height, glyphs), gpus)
    assert view.lines[0].plain == f"lost   {NOTE}"
    assert Ink.BAD in {piece.ink for piece in view.lines[0].pieces}
    assert len(view.lines) <= height
    assert any(row.plain.startswith("mem") for row in view.lines)


def test_nothing_is_said_while_none_is_lost() -> None:
    assert not any(
        row.plain.startswith("lost") for row in view_of(None, Room(76, 20, UNICODE)).lines
    )


def test_a_long_note_is_cut_with_an_ellipsis() -> None:
    shown = view_of("; ".join([NOTE] * 9), Room(40, 7, UNICODE)).lines[0]
    assert shown.width == 40
    assert shown.plain.endswith("…")


async def test_the_panel_makes_room_for_what_is_lost() -> None:
    """The line stands beside all others, and goes when the card is back."""
    whole = host(gpus=2)
    async with open_app([[ready(), frame(), whole]], size=(120, 50)) as running:
        before = running.text()
        lost = msgspec.structs.replace(host(61, gpus=2), gpu_note="GPU 2: it is lost")
        await running.advance([frame(61), lost])
        await running.advance([frame(61.5), lost])
        text = running.text()
        assert "lost   GPU 2: it is lost" in text
        for label in ("mem", "busy", "power", "clock", "GPU 1", "host"):
            assert label in text
        await running.advance([frame(62), host(62, gpus=2)])
        assert "it is lost" not in running.text()
        assert before.count("\n") == text.count("\n")
