"""Pictures of the Fleet tab at the usual sizes, grouped, and in ASCII.

After a change on purpose: run it with `--snapshot-update`, and look.
"""

import pytest
from attached_frames import attached_frame
from fleet_samples import sample
from frames import ScriptedClient
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]


def compare(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, theme: str = "prodtop-dark"
) -> bool:
    """Open the tab over half a minute of a fleet and press keys; whether it looks as it did."""
    clock = Clock()
    seconds = [float(second) for second in range(30)]
    client = ScriptedClient([[attached_frame(second), sample(second)] for second in seconds])
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        while client.polls:
            clock.now_s += 1.0
            app.monitor.poll()
        await pilot.press("F", *keys)
        app.draw()
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_fleet(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size)


def test_the_fleet_by_model(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "g", "down")
