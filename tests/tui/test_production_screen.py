"""The Production tab and the lights on Live, as they follow what is told."""

import time
from pathlib import Path

import pytest
from frames import ScriptedClient, frame, host, ready
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.protocol import Report
from prodtop.engine.records.recording.reader import Recording
from prodtop.engine.server.guards.bias_file import keep_bias
from prodtop.engine.targets.settings import TargetSettings
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.settings.config import Config
from prodtop.tui.state.monitor import Monitor
from production_samples import ENDED, kept_bias, production_reports, targets_of_minutes
from running_app import SLOW, Clock, open_app

SIZES = [(80, 24), (120, 36), (160, 48)]
SAMPLE, ALERTS = targets_of_minutes()


def polls() -> list[list[Report]]:
    return [[ready(), frame(238.0), host(238.0)], [frame(239.0), *production_reports()]]


@pytest.mark.parametrize("size", SIZES)
async def test_the_tab_shows_targets_alerts_and_guards(size: tuple[int, int]) -> None:
    async with open_app(polls(), size=size) as running:
        await running.press("O")
        text = running.text()
        for words in ("availability", "> 99.9 %", "PAGE", "in force"):
            assert words in text
        await running.press("o")
        assert "injection" in (text if size[0] > 80 else running.text())
        await running.press("o")
        assert "availability" in running.text()


@pytest.mark.parametrize("size", SIZES)
async def test_the_bias_that_is_kept_for_the_model_comes_into_sight(size: tuple[int, int]) -> None:
    """Also where it is measured by another process while the tab is open."""
    report = kept_bias(frame().model.name, 0.0).report
    async with open_app(polls(), size=size) as running:
        await running.press(*("Oo" if size[0] == 80 else "O"))
        assert "bias excess --" in running.text()
        assert "1 of 348" in running.text()
        keep_bias(report, time.time() - 3.5 * 86_400)
        running.app.draw()
        await running.pilot.pause()
        for words in ("+0.127 [+0.047, +0.211]", "n 48", "age 3 d"):
            assert words in running.text()


async def test_the_lights_are_on_live_and_a_click_opens_the_tab() -> None:
    async with open_app(polls(), size=(80, 24)) as running:
        lights = running.line("effect").strip()
        assert len(lights) == len(SAMPLE.targets)
        assert await running.pilot.click("#effect", offset=(77, 0))
        await running.pilot.pause()
        assert running.app.current_mode == "production"


async def test_without_targets_live_is_as_it_was() -> None:
    async with open_app(polls()[:1], size=(80, 24)) as running:
        assert running.line("effect").strip() == ""


async def test_an_alert_is_an_event_and_rings_once() -> None:
    rung: list[int] = []
    async with open_app(polls()[:1], size=(120, 36)) as running:
        running.app.monitor.ring = lambda: rung.append(1)
        await running.advance([SAMPLE, ALERTS[0]])
        assert len(rung) == 1
        assert ALERTS[0].text in running.line("event").replace("…", "") + ALERTS[0].text
        log = running.app.monitor.moment().log
        assert (log[-1].text, log[-1].kind) == (ALERTS[0].text, "fault")
        await running.advance([ENDED])
        assert len(rung) == 1
        assert running.app.monitor.moment().log[-1].kind == "info"


def test_the_bell_may_be_off() -> None:
    config = Config(targets=TargetSettings(bell=False))
    monitor = Monitor(ScriptedClient(polls()), config, clock=Clock())
    rung: list[int] = []
    monitor.ring = lambda: rung.append(1)
    while monitor.poll():
        pass
    assert monitor.moment().production.begun > 0
    assert not rung


async def test_a_replay_shows_the_recorded_targets_and_alerts(tmp_path: Path) -> None:
    clock = Clock()
    engine = RecordedEngine(
        ScriptedClient(polls()), facts=dict, clock=clock, wall=lambda: 1_790_000_000.0 + clock()
    )
    path = engine.start_recording(tmp_path / "session.ptop")
    for _ in polls():
        clock.now_s += 1.0
        engine.poll()
    engine.close()
    replayed, clock = Recording(path), Clock()
    app = ReplayApp(ReplayEngine(replayed, clock=clock), AppSetup(config=SLOW, clock=clock))
    async with app.run_test(size=(120, 36)) as pilot:
        clock.now_s += 5.0
        app.tick()
        await pilot.pause()
        shown = app.monitor.moment().production
    assert shown.sample == SAMPLE
    assert {alert.text for alert in shown.alerts} >= {ENDED.text, ALERTS[-1].text}
