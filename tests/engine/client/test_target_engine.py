"""An engine whose targets are watched: what passes, what is added, what a recording has of it."""

import json
import sys
from pathlib import Path

from child_scripts import Clock
from frame_samples import frame
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.client.target_engine import SAMPLE_INTERVAL_S, TargetEngine
from prodtop.engine.protocol import (
    Accounting,
    Command,
    Frame,
    Note,
    Report,
    SetStrategy,
    StrategyName,
    TargetAlert,
    TargetName,
    TargetsSample,
)
from prodtop.engine.records.recording.reader import Recording
from prodtop.engine.targets.settings import TargetSettings

ALERTING = TargetSettings(alerts=(TargetName.AVAILABILITY,))


class Scripted:
    """An engine that reports what it is told to, and keeps what it is asked."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.sent: list[Command] = []
        self.closed = 0

    def poll(self) -> list[Report]:
        reports, self.reports = self.reports, []
        return reports

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def close(self) -> None:
        self.closed += 1


def failing(second: int) -> Frame:
    return frame(accounting=Accounting(submitted=10 * second, failed=10 * second))


def play(
    engine: TargetEngine | RecordedEngine, scripted: Scripted, clock: Clock, seconds: int
) -> list[Report]:
    """Everything fails for so many seconds."""
    reports: list[Report] = []
    for second in range(seconds):
        scripted.reports.append(failing(second))
        reports += engine.poll()
        clock.now_s += 1.0
    return reports


def test_reports_and_commands_pass_and_samples_come_every_other_second() -> None:
    scripted, clock = Scripted(), Clock()
    engine = TargetEngine(scripted, TargetSettings(alerts=()), clock=clock)
    reports = play(engine, scripted, clock, 20)
    assert [each for each in reports if isinstance(each, Frame)] == [failing(n) for n in range(20)]
    samples = [each for each in reports if isinstance(each, TargetsSample)]
    assert len(samples) == 20 // SAMPLE_INTERVAL_S
    engine.send(SetStrategy(name=StrategyName.CACHED))
    assert scripted.sent == [SetStrategy(name=StrategyName.CACHED)]
    engine.close()
    assert scripted.closed == 1


def test_an_alert_comes_with_the_sample_that_shows_it() -> None:
    scripted, clock = Scripted(), Clock()
    engine = TargetEngine(scripted, ALERTING, clock=clock, wall=lambda: 5000.0)
    reports = play(engine, scripted, clock, 60)
    (alert,) = [each for each in reports if isinstance(each, TargetAlert)]
    assert alert.active
    assert alert.wall_s == 5000.0
    before = reports[reports.index(alert) - 1]
    assert isinstance(before, TargetsSample)
    figures = {each.name: each for each in before.targets}
    assert figures[TargetName.AVAILABILITY].alert is alert.severity


def test_its_command_runs_and_what_fails_of_it_is_told(tmp_path: Path) -> None:
    script = f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.read())"
    scripted, clock = Scripted(), Clock()
    settings = TargetSettings(
        alerts=(TargetName.AVAILABILITY,),
        on_alert=(sys.executable, "-c", script),
        on_alert_timeout_s=600,
    )
    engine = TargetEngine(scripted, settings, clock=clock)
    play(engine, scripted, clock, 60)
    engine.close()
    assert json.loads((tmp_path / "told").read_text())["target"] == "availability"

    missing = TargetSettings(alerts=(TargetName.AVAILABILITY,), on_alert=("/no/such",))
    engine = TargetEngine(scripted, missing, clock=clock)
    notes = [each for each in play(engine, scripted, clock, 60) if isinstance(each, Note)]
    assert len(notes) == 1
    assert "on_alert /no/such" in notes[0].message


def test_a_recording_has_the_alerts_of_its_time(tmp_path: Path) -> None:
    scripted, clock = Scripted(), Clock()
    watched = TargetEngine(scripted, ALERTING, clock=clock, wall=lambda: 5000.0 + clock.now_s)
    engine = RecordedEngine(watched, facts=dict, clock=clock, wall=lambda: 5000.0 + clock.now_s)
    path = engine.start_recording(tmp_path / "session.ptop")
    reports = play(engine, scripted, clock, 60)
    engine.close()
    recording = Recording(path)
    ticks = recording.ticks(recording.first_tick)
    recorded = [event for tick in ticks for event in tick.events]
    recording.close()
    told = [each for each in reports if isinstance(each, TargetAlert | TargetsSample)]
    assert recorded == told
    assert any(isinstance(each, TargetAlert) for each in told)
