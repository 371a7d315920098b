"""What the user set, over the deaths of the worker and its starts anew."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from child_scripts import Clock
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    EngineChanges,
    Fault,
    Frame,
    LoadSpec,
    Note,
    PrecisionName,
    Report,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    SpeculationSpec,
    StartAgain,
    StartAnew,
    StrategyName,
)
from prodtop.engine.protocol.options import WorkerOptions, from_argument
from scripted_children import (
    WORKER,
    EngineMaker,
    engines_in,
    has,
    kill_worker,
    notes,
    options_of,
    poll_until,
    restart,
    said,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_engine(tmp_path: Path, clock: Clock) -> Iterator[EngineMaker]:
    with engines_in(tmp_path, clock) as make:
        yield make


def test_a_restarted_worker_begins_where_the_user_left_the_settings(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine(options=WorkerOptions(max_seqs=7))
    poll_until(engine, has(Frame))
    engine.send(SetStrategy(name=StrategyName.SINGLE))
    engine.send(SetLoad(load=LoadSpec(users=3)))
    kill_worker(engine)
    engine.send(SetLoad(load=LoadSpec(users=5)))
    assert options_of(restart(engine, clock)) == WorkerOptions(
        max_seqs=7,
        strategy=StrategyName.SINGLE,
        load=LoadSpec(users=5),
        precision=PrecisionName.BF16,
    )


def test_a_precision_not_reached_is_dropped_and_that_is_said(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine()
    poll_until(engine, has(Frame))
    wanted = SetPrecision(name=PrecisionName.INT8)
    engine.send(wanted)
    poll_until(engine, said(repr(wanted)))
    assert engine.worker_pid is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    reports = poll_until(engine, has(ChildDied))
    assert "asked for last, and not again by itself: precision int8" in notes(reports)
    reports = restart(engine, clock)
    assert options_of(reports).precision == PrecisionName.BF16
    assert repr(wanted) not in notes(reports)


def test_a_precision_that_kills_is_asked_for_once(make_engine: EngineMaker, clock: Clock) -> None:
    """The worker dies of it, comes back without it, and later choices are obeyed."""
    dies = WORKER.replace(
        "        channel.send(Note(message=repr(command)))",
        "        if isinstance(command, SetPrecision): os.abort()\n"
        "        channel.send(Note(message=repr(command)))",
    )
    engine = make_engine(dies)
    poll_until(engine, has(Frame))
    engine.send(SetPrecision(name=PrecisionName.INT4))
    reports = poll_until(engine, has(ChildDied))
    assert any(
        each.reason == "killed by SIGABRT" for each in reports if isinstance(each, ChildDied)
    )
    assert not has(ChildDied)(restart(engine, clock))
    later = SetStrategy(name=StrategyName.CACHED)
    engine.send(later)
    poll_until(engine, said(repr(later)))


def test_what_was_given_up_is_started_again_when_the_user_says_so(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine("sys.exit(3)")
    deaths: list[ChildDied] = []
    while not deaths or not deaths[-1].given_up:
        reports = poll_until(engine, has(ChildDied))
        deaths += [each for each in reports if isinstance(each, ChildDied)]
        clock.now_s += 60
    assert [death.repeats for death in deaths] == [1, 2, 3]
    assert not has(ChildStarted)(engine.poll())
    engine.send(StartAgain())
    assert has(ChildStarted)(engine.poll())
    (death,) = [each for each in poll_until(engine, has(ChildDied)) if isinstance(each, ChildDied)]
    assert (death.repeats, death.given_up) == (1, False)


def test_drafts_that_were_switched_off_stay_off_and_can_be_had_again(
    make_engine: EngineMaker, clock: Clock
) -> None:
    """The draft model is loaded again: it is named by what the engine was started with."""
    started = SpeculationSpec(drafts=4, draft_model="small")
    engine = make_engine(options=WorkerOptions(speculation=started))
    poll_until(engine, has(Frame))
    off = SetSpeculation(spec=None)
    engine.send(off)
    poll_until(engine, said(repr(off)))
    kill_worker(engine)
    clock.now_s += 60
    reports = poll_until(engine, said(repr(off)))
    assert options_of(reports).speculation == started


REFUSES_X = """
if '"model":"x"' in arguments.options:
    channel.send(Fault(message="unknown model 'x'", fatal=True, exit_code=2))
    sys.exit(2)
"""


def options_told(reports: list[Report]) -> list[WorkerOptions]:
    """The options of every worker that said with which it was started."""
    return [
        from_argument(report.message)
        for report in reports
        if isinstance(report, Note) and report.message.startswith("{")
    ]


def test_the_engine_is_started_anew_with_other_options(make_engine: EngineMaker) -> None:
    engine = make_engine()
    poll_until(engine, has(Frame))
    engine.send(StartAnew(changes=EngineChanges(kv_gib=2.0)))
    reports = poll_until(engine, has(Frame))
    (death,) = [report for report in reports if isinstance(report, ChildDied)]
    assert (death.reason, death.failed_requests) == ("ended to start anew", 4)
    assert [options.kv_gib for options in options_told(reports)] == [2.0]


def test_options_that_no_engine_can_serve_with_lead_back_to_the_last_that_did(
    make_engine: EngineMaker,
) -> None:
    engine = make_engine(REFUSES_X + WORKER)
    poll_until(engine, has(Frame))
    engine.send(StartAnew(changes=EngineChanges(model="x")))
    reports = poll_until(engine, has(Frame))
    assert Fault(message="unknown model 'x'", fatal=False, exit_code=2) in reports
    assert Note(message="asked for last, and not again by itself: model x") in reports
    assert [options.model for options in options_told(reports)] == ["bundled"]
    deaths = [report for report in reports if isinstance(report, ChildDied)]
    assert [death.restart_in_s for death in deaths] == [0.0, 0.0]
