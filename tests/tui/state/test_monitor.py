"""The state behind the screen: reports in, moments out, and the walk along the history."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from frames import EPOCH_S, ScriptedClient, frame, host, play, ready
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Fault,
    Frame,
    HostSample,
    Note,
    PrecisionName,
    Progress,
    SetPrecision,
    SetStrategy,
    StrategyName,
    Switched,
    Window,
)
from prodtop.engine.records.columns import COLUMNS
from prodtop.tui.settings.config import parse_config
from prodtop.tui.state.moment import Moment, Phase
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.observer import PENDING_FOR_S
from running_app import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def monitor(client: ScriptedClient, clock: Clock) -> Monitor:
    return Monitor(client, clock=clock)


@pytest.fixture
def played(monitor: Monitor, client: ScriptedClient, clock: Clock) -> Callable[[float], None]:
    """Play a session of so many seconds to the monitor, at 4 Hz."""

    def run(seconds: float) -> None:
        client.polls.extend(play(seconds))
        while client.polls:
            clock.now_s += 0.25
            monitor.poll()

    return run


def test_progress_is_told_until_the_first_figures(monitor: Monitor, client: ScriptedClient) -> None:
    client.queue(Progress(what="loading bf16 weights", fraction=0.4))
    monitor.poll()
    worker = monitor.moment().worker
    assert (worker.phase, worker.doing) == (Phase.STARTING, "loading bf16 weights")
    client.queue(ready(), frame())
    monitor.poll()
    assert monitor.moment().worker.phase is Phase.SERVING


def test_an_engine_that_only_sends_frames_serves(monitor: Monitor, client: ScriptedClient) -> None:
    client.queue(frame())
    monitor.poll()
    assert monitor.moment().worker.phase is Phase.SERVING


def test_of_one_poll_the_newest_frame_is_shown_and_every_event_is_told(
    monitor: Monitor, client: ScriptedClient
) -> None:
    client.queue(frame(1), Note(message="one"), frame(2), Note(message="two"), host(2))
    monitor.poll()
    moment = monitor.moment()
    assert moment.frame == frame(2)
    assert [entry.text for entry in moment.log] == ["one", "two"]
    assert len(monitor.history) == 1


def test_silence_is_nothing_new(monitor: Monitor) -> None:
    assert monitor.poll() is False
    assert len(monitor.history) == 0


def test_figures_grow_stale_without_a_frame(
    monitor: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    client.queue(ready(), frame())
    monitor.poll()
    clock.now_s += 1.9
    assert monitor.moment().stale_s is None
    clock.now_s += 3.1
    assert monitor.moment().stale_s == pytest.approx(5.0)


def test_a_silent_engine_leaves_a_gap_and_no_repeated_figures(
    monitor: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    client.queue(ready(), frame(1), host(1))
    client.queue(host(2))
    monitor.poll()
    clock.now_s += 1
    monitor.poll()
    values = monitor.history.series("decode_tok_s", 0.0, EPOCH_S + 10).values
    assert values[0] > 0
    assert values[1] != values[1], "not a number: nothing was measured"


def test_a_death_is_told_marked_and_makes_the_figures_stale(
    monitor: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    client.queue(ready(), frame(), host())
    client.queue(
        ChildDied(child="worker", reason="killed (signal 9)", failed_requests=12, restart_in_s=1.0)
    )
    client.queue(ChildStarted(child="worker", pid=4242, attempt=2))
    monitor.poll()
    monitor.poll()
    moment = monitor.moment()
    assert moment.worker.phase is Phase.DEAD
    assert moment.log[-1].text == (
        "worker killed (signal 9): 12 requests failed, restarting in 1 s"
    )
    assert moment.stale_s is not None
    assert monitor.history.marks(0, EPOCH_S * 2)[-1].kind == "fault"
    monitor.poll()
    assert monitor.moment().worker.phase is Phase.STARTING
    assert monitor.moment().worker.failed_requests == 12
    assert len(monitor.history) == 1, "the history outlives the worker"


@pytest.mark.parametrize(
    ("restart_in_s", "answer"), [(1.0, "not yet: the engine is down"), (None, "there is no engine")]
)
def test_a_dead_engine_is_not_asked_for_anything(
    monitor: Monitor, client: ScriptedClient, restart_in_s: float | None, answer: str
) -> None:
    died = ChildDied(child="worker", reason="killed (signal 9)", restart_in_s=restart_in_s)
    client.queue(ready(), frame(), died)
    monitor.poll()
    monitor.choose_strategy(StrategyName.SINGLE)
    assert client.sent == []
    assert monitor.moment().log[-1].text.startswith(answer)


def test_a_dead_probe_leaves_the_engine_serving(monitor: Monitor, client: ScriptedClient) -> None:
    client.queue(ready(), frame(), ChildDied(child="probe", reason="killed (signal 11)"))
    monitor.poll()
    assert monitor.moment().worker.phase is Phase.SERVING


def test_a_fatal_fault_is_kept_for_the_exit(monitor: Monitor, client: ScriptedClient) -> None:
    fault = Fault(message="no CUDA device", fatal=True, exit_code=2)
    client.queue(Fault(message="a hiccup"), fault)
    monitor.poll()
    assert monitor.fault == fault


def test_wishes_are_sent_and_pending_until_they_show(
    monitor: Monitor, client: ScriptedClient
) -> None:
    client.queue(ready(), frame())
    monitor.poll()
    monitor.choose_strategy(StrategyName.BATCHED)
    monitor.step_precision(1)
    assert client.sent == [
        SetStrategy(name=StrategyName.BATCHED),
        SetPrecision(name=PrecisionName.FP16),
    ]
    client.queue(frame(61, strategy=StrategyName.BATCHED))
    monitor.poll()
    pending = monitor.moment().pending
    assert (pending.strategy, pending.precision) == (None, PrecisionName.FP16)


@pytest.mark.parametrize(
    ("begin", "cancel"),
    [
        (Monitor.toggle_quality, Monitor.cancel_quality),
        (Monitor.begin_compare, Monitor.cancel_compare),
        (Monitor.begin_load_curve, Monitor.cancel_load_curve),
    ],
)
def test_while_something_is_measured_what_is_served_gives_no_speed(
    monitor: Monitor,
    client: ScriptedClient,
    clock: Clock,
    begin: Callable[[Monitor], None],
    cancel: Callable[[Monitor], None],
) -> None:
    """A sweep holds the live load, and quality takes its share of the device."""
    single = play(60)[:80]
    client.polls.extend(single[:2])
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
    begin(monitor)
    client.polls.extend(single[2:])
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
    assert not monitor.moment().speeds.measured
    cancel(monitor)


def test_a_wish_without_effect_is_forgotten_unless_it_is_being_worked_on(
    monitor: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    client.queue(ready(), frame())
    monitor.poll()
    monitor.step_precision(1)
    clock.now_s += PENDING_FOR_S + 1
    client.queue(msgspec.structs.replace(frame(90), switching="bf16 → fp16: packing"))
    monitor.poll()
    assert monitor.moment().pending.precision is PrecisionName.FP16
    client.queue(frame(91))
    monitor.poll()
    assert monitor.moment().pending.precision is None


def test_a_switch_is_marked_when_it_happened_and_not_when_it_was_told(
    monitor: Monitor, client: ScriptedClient
) -> None:
    client.queue(ready(), frame(60))
    client.queue(Switched(kind="strategy", old="single", new="cached", at_s=558.0, took_s=0.2))
    monitor.poll()
    monitor.poll()
    (mark,) = monitor.history.marks(0, EPOCH_S * 2)
    assert (mark.wall_s, mark.label) == (EPOCH_S + 58, "cached")


def test_pause_holds_a_moment_while_collection_goes_on(
    monitor: Monitor, client: ScriptedClient, clock: Clock, played: Callable[[float], None]
) -> None:
    played(10)
    monitor.playhead.toggle()
    held = monitor.moment()
    before = len(monitor.history)
    client.queue(frame(12), host(12))
    clock.now_s += 2
    monitor.poll()
    assert monitor.moment().frame == held.frame
    assert len(monitor.history) == before + 1
    assert monitor.moment().behind_s == pytest.approx(2.0)
    monitor.playhead.toggle()
    assert monitor.moment().frame == frame(12)
    assert monitor.moment().behind_s is None


def test_the_cursor_walks_back_and_everything_shows_that_moment(
    monitor: Monitor, played: Callable[[float], None]
) -> None:
    played(20)
    monitor.playhead.scrub(-15)
    moment = monitor.moment()
    assert moment.frame is not None
    assert moment.frame.uptime_s == 5.0
    assert moment.frame.strategy is StrategyName.SINGLE
    assert moment.host == host(5)
    assert moment.log == tuple(entry for entry in moment.log if entry.wall_s <= EPOCH_S + 5)
    monitor.playhead.scrub_to("end")
    moment = monitor.moment()
    assert moment.frame is not None
    assert moment.frame.uptime_s == 20.0


def test_the_cursor_stays_within_the_history(
    monitor: Monitor, played: Callable[[float], None]
) -> None:
    played(5)
    monitor.playhead.scrub(-1e9)
    assert monitor.playhead.cursor_s == EPOCH_S
    monitor.playhead.scrub(1e9)
    assert monitor.playhead.cursor_s == EPOCH_S + 5


def test_charts_follow_a_cursor_that_leaves_them(
    monitor: Monitor, played: Callable[[float], None]
) -> None:
    played(60)
    monitor.set_window(Window.S10)
    monitor.playhead.freeze()
    assert monitor.timeline().end_s == EPOCH_S + 60
    monitor.playhead.scrub(-40)
    assert monitor.timeline().end_s - 10 < EPOCH_S + 20 < monitor.timeline().end_s


def test_there_is_nothing_to_pause_before_the_first_figures(monitor: Monitor) -> None:
    monitor.playhead.toggle()
    monitor.playhead.scrub_to("start")
    assert not monitor.playhead.frozen


def test_energy_per_token_comes_from_both_counters(
    monitor: Monitor, played: Callable[[float], None]
) -> None:
    played(20)
    assert monitor.moment().joules_per_token == pytest.approx(412 / 17_900, rel=0.01)


def test_the_window_comes_from_the_config(client: ScriptedClient) -> None:
    assert Monitor(client, parse_config("window = '10s'", "")).moment().window is Window.S10


def test_closing_ends_the_engine(monitor: Monitor, client: ScriptedClient) -> None:
    monitor.close()
    assert client.closed


HOUR = 3600.0


@pytest.mark.parametrize("jumps", [[HOUR], [-HOUR], [HOUR, -2 * HOUR], [400 * 24 * HOUR]])
def test_a_wall_clock_that_jumps_changes_times_of_day_and_nothing_else(jumps: list[float]) -> None:
    """The same session twice, once with a wall clock that is set while it runs."""

    def session(jumps: list[float]) -> tuple[Monitor, Moment]:
        clock, client = Clock(), ScriptedClient()
        monitor = Monitor(client, clock=clock)
        jumped_s = 0.0
        for index, reports in enumerate(play(40.0)):
            if index and index % 50 == 0 and jumps:
                jumped_s += jumps[index // 50 % len(jumps)]
            client.queue(
                *(
                    msgspec.structs.replace(report, wall_s=report.wall_s + jumped_s)
                    if isinstance(report, Frame | HostSample)
                    else report
                    for report in reports
                )
            )
            clock.now_s += 0.25
            monitor.poll()
        return monitor, monitor.moment()

    (steady, calm), (jumpy, jumped) = session([]), session(jumps)
    for name in COLUMNS:
        before = steady.history.series(name, 0.0, math.inf)
        after = jumpy.history.series(name, 0.0, math.inf)
        assert list(before.times_s) == list(after.times_s), name
        np.testing.assert_array_equal(before.values, after.values)
    assert steady.history.marks(0.0, math.inf) == jumpy.history.marks(0.0, math.inf)
    assert [entry.wall_s for entry in calm.log] == [entry.wall_s for entry in jumped.log]
    for name in ("wall_s", "joules_per_token", "requests", "frame_age_s", "host_age_s", "stale_s"):
        assert getattr(jumped, name) == getattr(calm, name), name
    assert steady.timeline().end_s == jumpy.timeline().end_s
    # What happened an instant before the end is told with the time of day that it was then.
    jumpy.say("now")
    line, frame_then = jumpy.moment().log[-1], jumped.frame
    assert frame_then is not None
    assert line.wall_s + line.clock_shift_s == pytest.approx(frame_then.wall_s)
    for monitor in (steady, jumpy):
        monitor.playhead.scrub(-20.0)
    assert steady.moment().frame == msgspec.structs.replace(
        jumpy.moment().frame or frame(), wall_s=(steady.moment().frame or frame()).wall_s
    )
    assert steady.moment().behind_s == jumpy.moment().behind_s
    # It goes on being told so: polls that come after, and jumps, leave it as it is.
    assert isinstance(jumpy._client, ScriptedClient)
    for later_s in (0.0, 7 * HOUR):
        jumpy._client.queue(msgspec.structs.replace(frame_then, wall_s=frame_then.wall_s + later_s))
        assert jumpy.poll()
        jumpy.playhead.go_live()
        assert line in jumpy.moment().log


def test_the_first_report_tells_what_time_it_is_and_moves_what_was_said_before(
    monitor: Monitor, client: ScriptedClient, clock: Clock
) -> None:
    monitor.say("before")
    clock.now_s += 3.0
    client.queue(frame(60))
    monitor.poll()
    moment = monitor.moment()
    assert moment.wall_s == EPOCH_S + 60
    assert moment.log[0].wall_s == pytest.approx(EPOCH_S + 57)
