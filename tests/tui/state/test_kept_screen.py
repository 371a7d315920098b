"""What a snapshot keeps of a moment: all that it has no other place for."""

from dataclasses import fields, replace

import msgspec
import pytest
from frames import ScriptedClient, play
from prodtop.engine.records.snapshot import Snapshot
from prodtop.tui.state.kept_screen import MOMENT_FIELDS, kept_screen, screen_of
from prodtop.tui.state.moment import Moment
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.snapshot import Seen, snapshot_of
from running_app import SLOW, Clock

OF_THE_SNAPSHOT = {"frame", "host", "window"}
IN_PARTS = {"compare", "quality", "speeds"}
AS_IT_IS_NOW = {"load_curve", "billing", "production", "fleet", "mark"}
"""Of the session, or of the config: a snapshot has none of it."""


@pytest.fixture
def monitor() -> Monitor:
    clock, client = Clock(), ScriptedClient(play(20))
    monitor = Monitor(client, SLOW, clock=clock)
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
    return monitor


def saved(monitor: Monitor, moment: Moment) -> Snapshot:
    assert moment.frame is not None
    seen = Seen("prodtop-dark", "live", {"live": {"view": "heatmap"}})
    return snapshot_of(
        moment, moment.frame, monitor.timeline(), monitor.versions, seen, monitor.tried.records
    )


def test_every_field_of_a_moment_has_its_place() -> None:
    parts = [set(MOMENT_FIELDS), OF_THE_SNAPSHOT, IN_PARTS, AS_IT_IS_NOW]
    assert set.union(*parts) == {each.name for each in fields(Moment)}
    assert sum(map(len, parts)) == len(fields(Moment)), "two places for one field"


def test_a_moment_comes_back_as_it_was(monitor: Monitor) -> None:
    monitor.say("a key was answered")
    moment = replace(
        monitor.moment(), behind_s=3.5, host_age_s=None, gpu_lost_s=2.0, dropped_share=0.25
    )
    snapshot = saved(monitor, moment)
    tree = msgspec.json.decode(msgspec.json.encode(snapshot.screen))
    shown = screen_of(msgspec.structs.replace(snapshot, screen=tree))
    for name in (*MOMENT_FIELDS, *OF_THE_SNAPSHOT):
        assert getattr(shown.moment, name) == getattr(moment, name), name
    assert shown.moment.speeds.measured == moment.speeds.measured
    assert (shown.tab, shown.views) == ("live", {"live": {"view": "heatmap"}})


def test_what_a_tree_may_not_say_is_not_taken_from_it(monitor: Monitor) -> None:
    """It may come from anywhere: fields that the snapshot has itself are the snapshot's."""
    snapshot = saved(monitor, monitor.moment())
    tree = kept_screen(monitor.moment(), monitor.timeline(), "live", {})
    foreign = tree | {"window": "session", "frame": None, "mark": {"kind": "live"}}
    shown = screen_of(msgspec.structs.replace(snapshot, screen=foreign)).moment
    assert shown.frame == snapshot.frame
    assert shown.window is snapshot.settings.window
    assert shown.mark is None
