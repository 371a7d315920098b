"""Pictures of the Quality tab: a small model at every level, at the usual sizes.

After a change on purpose: `pytest tests/tui/test_quality_snapshots.py --snapshot-update`, and look.
"""

import pytest
from frames import ScriptedClient, frame, ready
from prodtop.engine.protocol import Report
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from quality_samples import BF16, INT8, measured, served
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]


def compare(
    snap_compare: SnapCompare,
    size: tuple[int, int],
    *keys: str,
    theme: str = "prodtop-dark",
    reports: int | None = None,
) -> bool:
    """Open the tab, have so many reports come (`None`: all, and two speeds), press some keys;
    whether it looks as it did."""
    clock, client = Clock(), ScriptedClient([[ready(), frame()]])
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    def play(*polls: list[Report]) -> None:
        client.polls.extend(polls)
        while client.polls:
            clock.now_s += 1.0
            app.monitor.poll()

    async def before(pilot: Pilot[None]) -> None:
        play()
        await pilot.press("Q", "b")
        play(measured()[:reports])
        if reports is None:
            play(*served(70, BF16, 17_000), *served(100, INT8, 26_000))
        app.draw()
        await pilot.press(*keys)
        app.draw()
        # A focus that moved is drawn by messages of its own: wait for a picture that stays.
        last = ""
        while last != (last := app.export_screenshot()):
            await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_levels(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size, "right_square_bracket", "right_square_bracket")


@pytest.mark.parametrize("key", ["c", "l", "g"])
def test_other_views(snap_compare: SnapCompare, key: str) -> None:
    assert compare(snap_compare, (120, 36), *["right_square_bracket"] * 3, key)


def test_while_it_measures(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), reports=19)


def test_layers_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), "l", *["right_square_bracket"] * 3, theme="ascii")


def test_without_colour(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), theme="mono")


def test_in_light_colours(snap_compare: SnapCompare) -> None:
    keys = ["right_square_bracket"] * 3
    assert compare(snap_compare, (160, 48), *keys, theme="prodtop-light")
