"""Pictures of the Production tab and of the lights on Live, at the usual sizes.

After a change on purpose: `pytest tests/tui/test_production_snapshots.py --snapshot-update`, and
look.
"""

import time
from collections.abc import Iterator

import pytest
from frames import ScriptedClient, frame, host, ready
from prodtop.engine.server.guards.bias_file import keep_bias
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from production_samples import kept_bias, production_reports
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Alerts tell the local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


SIZES = [(80, 24), (120, 36), (160, 48)]


def compare(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, theme: str = "prodtop-dark"
) -> bool:
    """Have targets, alerts and guards told, press some keys; whether it looks as it did."""
    clock, model = Clock(), frame().model.name
    keep_bias(kept_bias(model, 0.0).report, time.time() - 3.5 * 86_400)
    client = ScriptedClient([[ready(), frame(), host()], [frame(239.0), *production_reports()]])
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        while client.polls:
            clock.now_s += 1.0
            app.monitor.poll()
        # The lights of new alerts have flashed.
        clock.now_s += 60.0
        client.polls.append([frame(299.0), host(299.0)])
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
def test_targets(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size, "O")


def test_guards_on_the_second_page(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), "O", "o")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_lights_on_live(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size)


def test_targets_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (80, 24), "O", theme="ascii")


def test_targets_without_colour(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "O", theme="mono")
