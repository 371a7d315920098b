"""Sweeps of cells between screen and recording: what is told of them, and how they come back."""

from collections.abc import Iterator

from ...engine.records.recording.sweep_state import SweepOf, SweepState
from .compare import Compare
from .compare_run import CompareRun
from .report_cleaning import cleaned
from .stage import Stage


def begun(of: SweepOf, now: Compare, now_s: float) -> SweepState | None:
    """What a recording is told of the sweep that runs; `None` where none does."""
    if not now.running or now.comparison is None:
        return None
    return SweepState(of=of, asked="begin", clock_s=now_s, comparison=now.comparison)


def stopped(of: SweepOf, now_s: float) -> SweepState:
    """What it is told where the user has a sweep stop."""
    return SweepState(of=of, asked="stop", clock_s=now_s)


def so_far(of: SweepOf, now: Compare, now_s: float) -> Iterator[SweepState]:
    """What a recording that begins now is told of a sweep that ended, or that runs."""
    if now.comparison is None:
        return
    running = begun(of, now, now_s)
    if running is None:
        yield SweepState(
            of=of,
            asked="keep",
            clock_s=now_s,
            comparison=now.comparison,
            stage=now.stage.value,
            ended=now.ended,
        )
        return
    yield running
    if now.stage is Stage.CANCELLING:
        yield stopped(of, now_s)


def take_sweep(run: CompareRun, state: SweepState, now_s: float) -> None:
    """Have `run` do what was asked for then."""
    state = cleaned(state)
    match state.asked:
        case "stop":
            run.cancel(now_s)
        case "begin" if state.comparison is not None:
            run.begin_with(state.comparison, now_s)
        case "keep" if state.comparison is not None:
            stage = next((each for each in Stage if each.value == state.stage), Stage.DONE)
            run.keep(Compare(stage, state.comparison, ended=state.ended))
        case _:
            pass
