"""Pictures of the Compare tab: a sweep over two precisions, at the usual sizes.

After a change on purpose: `pytest tests/tui/test_compare_snapshots.py --snapshot-update`, and look.
"""

import pytest
from compare_samples import answer, benches, two_precisions
from frames import ScriptedClient, ready
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]


def compare(
    snap_compare: SnapCompare,
    size: tuple[int, int],
    *keys: str,
    theme: str = "prodtop-dark",
    repeats: int = 100,
) -> bool:
    """Open the tab, answer so many benches, press some keys; whether it looks as it did."""
    clock, client = Clock(), ScriptedClient([[ready(), two_precisions()]])
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        app.monitor.poll()
        await pilot.press("C", "b")
        for number in range(repeats):
            asked = benches(client.sent)
            if number >= len(asked):
                break
            client.queue(*answer(asked[number], number))
            clock.now_s += 2.0
            app.monitor.poll()
        client.queue(two_precisions(60.0 + 2.0 * repeats))
        app.monitor.poll()
        app.draw()
        await pilot.press(*keys)
        app.draw()
        # A focus that moved is drawn by messages of its own: wait for a picture that stays.
        last = ""
        while last != (last := app.export_screenshot()):
            await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_matrix(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size, "equals_sign", "up", "up", "right", "right")


def test_while_it_measures(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), repeats=7)


def test_without_colour(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "n", theme="mono")


def test_bars_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), "c", theme="ascii")
