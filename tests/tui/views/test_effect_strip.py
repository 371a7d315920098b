"""The strip with a switch's effect, and Little's law beside it, in the inks of better and worse."""

import msgspec
import pytest
from frames import effect, frame, steady
from prodtop.engine.protocol import Percentile, SwitchEffect
from prodtop.tui.drawing.line import Line
from prodtop.tui.state.moment import Moment
from prodtop.tui.style.glyphs import ASCII, UNICODE
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.events import effect_line
from prodtop.tui.views.panel import Room
from prodtop.tui.views.queue import queue_view

WIDE = Room(160, 1, UNICODE)


def strip(switch: SwitchEffect, room: Room = WIDE) -> Line:
    shown = msgspec.structs.replace(frame(), last_switch=switch)
    return effect_line(Moment(wall_s=0.0, now_s=0.0, frame=shown), room)


def inks(shown: Line) -> dict[str, str]:
    return {piece.text.strip(): str(piece.ink) for piece in shown.pieces}


def test_what_is_better_and_what_is_worse_have_colours_of_their_own() -> None:
    found = inks(strip(effect()))
    assert found["tok/s ×7.9"] == Ink.OK
    assert found["TTFT p95 −41 %"] == Ink.OK
    assert found["TPOT p95 ×4.7"] == Ink.BAD
    assert found["queue ±0/s"] == Ink.STRONG
    assert found[UNICODE.mark] == Ink.MARK, "some of it better, some worse"


@pytest.mark.parametrize(("growing", "ink"), [(True, Ink.BAD), (False, Ink.OK)])
def test_the_mark_is_of_the_whole(growing: bool, ink: Ink) -> None:
    before = steady(17_900.0, growing=not growing)
    switch = msgspec.structs.replace(effect(), before=before, after=steady(growing=growing))
    assert inks(strip(switch))[UNICODE.mark] == ink


@pytest.mark.parametrize("width", range(40, 200, 8))
def test_the_strip_fits_with_figures_that_are_known_from_below(width: int) -> None:
    late = msgspec.structs.replace(
        steady(growing=True), ttft_p95=Percentile(value_ms=19_800.0, at_least=True), failed=3
    )
    for glyphs in (UNICODE, ASCII):
        shown = strip(msgspec.structs.replace(effect(), after=late), Room(width, 1, glyphs))
        assert shown.width <= width
        assert glyphs.unicode or shown.plain.isascii()
    assert (
        "TTFT p95 149 ms → ≥ 19.8 s" in strip(msgspec.structs.replace(effect(), after=late)).plain
    )


@pytest.mark.parametrize("unsteady", [False, True])
def test_two_sides_of_the_law_that_differ_are_called_unsteady(unsteady: bool) -> None:
    queue = msgspec.structs.replace(
        frame().queue,
        mean_in_system=64.0,
        arrival_rate_times_residence=207.0 if unsteady else 63.0,
        unsteady=unsteady,
    )
    moment = Moment(wall_s=0.0, now_s=0.0, frame=msgspec.structs.replace(frame(), queue=queue))
    for width in (30, 44, 60, 90):
        figures = queue_view(moment, Room(width, 8, UNICODE)).figures
        assert figures.width <= width
        assert ("unsteady" in figures.plain) is unsteady
