"""The state of quality: what events and keys make of it, in every situation."""

from collections.abc import Sequence

import pytest
from frames import frame, ready
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Event,
    Fault,
    Note,
    PrecisionName,
    Progress,
    QualityDone,
    QualitySpec,
    RunQuality,
)
from prodtop.tui.state.quality import NO_QUALITY, Quality, cancelled, quality_after, record, toggled
from prodtop.tui.state.quality_run import VOID, QualityRun, told_of
from prodtop.tui.state.stage import Stage
from prodtop.tui.state.told import Told
from quality_samples import INT4, INT8, LEVELS, REFERENCE, SKIPPED, errors, level, measured

RUNNABLE: list[PrecisionName] = [name for name in PrecisionName if name is not PrecisionName.FP8]
DIED = ChildDied(child="worker", reason="killed (signal 9)", restart_in_s=1.0)
DONE = QualityDone()


def begun(quality: Quality = NO_QUALITY) -> Quality:
    return toggled(quality, frame())[0]


def after(*events: object, quality: Quality | None = None) -> Quality:
    """The state once events have come in, into a run that has just begun."""
    state = begun() if quality is None else quality
    for event in events:
        state = quality_after(state, event)  # type: ignore[arg-type]  # reports that are events
    return state


def test_beginning_asks_for_every_precision_that_the_device_can_run() -> None:
    state, command = toggled(NO_QUALITY, frame())
    assert command == RunQuality(spec=QualitySpec(precisions=RUNNABLE, layers=True))
    assert (state.run, state.running, state.asked) == (Stage.RUNNING, True, tuple(RUNNABLE))
    assert (state.model, state.device) == ("qwen3-0.6b", "NVIDIA H200")


@pytest.mark.parametrize(
    ("events", "run", "levels", "reason"),
    [
        ([], Stage.RUNNING, [], ""),
        ([Progress(what="weights at int8", fraction=0.2)], Stage.RUNNING, [], ""),
        ([REFERENCE], Stage.RUNNING, ["bf16"], ""),
        (measured(), Stage.DONE, ["bf16", "fp32", "fp16", "int8", "int4"], ""),
        ([REFERENCE, DONE], Stage.FAILED, ["bf16"], "the engine stopped measuring"),
        ([REFERENCE, DIED], Stage.FAILED, ["bf16"], "the worker died: killed (signal 9)"),
        ([REFERENCE, ready()], Stage.FAILED, ["bf16"], "the engine was started anew"),
        (
            [ChildStarted(child="worker", pid=7, attempt=2)],
            Stage.FAILED,
            [],
            "the engine was started anew",
        ),
        ([ChildStarted(child="probe", pid=7, attempt=2)], Stage.RUNNING, [], ""),
        ([ChildDied(child="probe", reason="killed (signal 9)")], Stage.RUNNING, [], ""),
        ([Fault(message="the text is too short"), DONE], Stage.FAILED, [], "the text is too short"),
        ([Fault(message="a request failed"), *measured()], Stage.DONE, None, ""),
        ([Note(message="a switch was refused"), REFERENCE], Stage.RUNNING, ["bf16"], ""),
    ],
)
def test_what_events_make_of_a_run(
    events: Sequence[Event], run: Stage, levels: list[str] | None, reason: str
) -> None:
    state = after(*events)
    assert (state.run, state.reason) == (run, reason)
    if levels is not None:
        assert [each.precision for each in state.levels] == levels
    if not state.running:
        assert (state.doing, state.fraction) == ("", None)


@pytest.mark.parametrize("quality", [NO_QUALITY, after(*measured()), after(REFERENCE, DIED)])
@pytest.mark.parametrize(
    "event",
    [Progress(what="loading bf16 weights", fraction=0.4), ready(), DIED, DONE, Fault(message="x")],
)
def test_without_a_run_nothing_changes(quality: Quality, event: Event) -> None:
    """What an engine says while it starts is no progress of quality."""
    assert quality_after(quality, event) is quality


def test_a_level_that_is_skipped_says_why_and_the_run_is_done() -> None:
    others = [LEVELS[name] for name in RUNNABLE if name is not SKIPPED.precision]
    state = after(*others, SKIPPED, DONE)
    assert state.run is Stage.DONE
    assert state.skipped == (SKIPPED,)
    assert state.level("fp16") is None


def test_cancelling_is_told_once_and_keeps_what_came() -> None:
    running = after(REFERENCE)
    stopping, command = cancelled(running)
    assert command == RunQuality(spec=None)
    assert (stopping.run, stopping.running) == (Stage.CANCELLING, True)
    assert toggled(stopping, frame()) == (stopping, None)
    late = after(LEVELS[INT8], quality=stopping)
    state = after(DONE, quality=late)
    assert state.run is Stage.CANCELLED
    assert [each.precision for each in state.levels] == ["bf16", "int8"]
    assert cancelled(state) == (state, None)


def test_cancelled_too_late_is_done() -> None:
    stopping, _ = cancelled(after(*measured()[:-1]))
    assert after(DONE, quality=stopping).run is Stage.DONE


def test_what_was_measured_is_kept_until_it_is_measured_anew() -> None:
    first = after(*measured())
    again = begun(first)
    assert (again.levels, again.came) == (first.levels, frozenset())
    better = level(INT4, ratio=LEVELS[INT8].ratio, mib=7.0)
    changed = after(better, errors("int4", layers=2), quality=again)
    assert [each.precision for each in changed.levels].count(INT4) == 1
    assert changed.level("int4") == better
    report = changed.report("int4")
    assert report is not None
    assert len(report.matrices) == 8
    assert after(DONE, quality=changed).run is Stage.FAILED, "of this run only one level came"


def test_another_model_begins_with_nothing() -> None:
    import msgspec

    other = msgspec.structs.replace(frame(), device_name="cpu")
    state, _ = toggled(after(*measured()), other)
    assert (state.levels, state.errors, state.device) == ((), (), "cpu")


def test_a_snapshot_keeps_what_was_measured() -> None:
    assert record(NO_QUALITY) is None
    assert record(begun()) is None
    kept = record(after(*measured()))
    assert kept is not None
    assert [each.precision for each in kept.levels] == ["bf16", "fp32", "fp16", "int8", "int4"]
    assert (kept.model, len(kept.errors), kept.skipped) == ("qwen3-0.6b", 8, [])


STATES = {
    Stage.NONE: NO_QUALITY,
    Stage.RUNNING: begun(),
    Stage.CANCELLING: cancelled(begun())[0],
    Stage.DONE: after(*measured()),
    Stage.CANCELLED: after(DONE, quality=cancelled(begun())[0]),
    Stage.FAILED: after(DIED),
}


@pytest.mark.parametrize("run", Stage)
def test_every_step_is_told_and_the_ends_are_marked(run: Stage) -> None:
    assert STATES[run].run is run
    before = NO_QUALITY if run in (Stage.NONE, Stage.RUNNING) else begun()
    told = told_of(before, STATES[run])
    if run is Stage.NONE:
        assert told is None
        return
    assert told is not None
    ends = before.running and not STATES[run].running
    assert told.mark == ("quality" if run is Stage.RUNNING else "quality ends" if ends else "")
    assert told.failed == (run is Stage.FAILED)
    assert (VOID in told.text) == (run is Stage.RUNNING)
    assert told_of(STATES[run], STATES[run]) is None


def test_keys_without_a_run_or_an_engine_send_nothing() -> None:
    sent: list[object] = []
    told: list[Told] = []
    quality = QualityRun(sent.append, told.append)
    quality.toggle(None)
    quality.cancel()
    assert sent == []
    assert [each.text for each in told] == ["no quality is being measured"]
