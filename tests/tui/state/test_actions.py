"""What the keys mean, as pure functions."""

import msgspec
import pytest
from frames import frame
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    LoadSpec,
    PrecisionName,
    PrecisionStatus,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    Speculation,
    SpeculationSpec,
    StrategyName,
    TraceSpec,
    Window,
)
from prodtop.tui.state.actions import (
    NOT_READY,
    RATE_STEPS,
    SPEED_STEPS,
    USER_STEPS,
    choose_strategy,
    load_level,
    next_window,
    set_load_level,
    settled,
    step_load,
    step_precision,
    toggle_drafts,
)
from prodtop.tui.state.moment import Pending


def test_a_strategy_is_asked_for_and_stays_pending_until_a_frame_shows_it() -> None:
    outcome = choose_strategy(frame(), Pending(), StrategyName.SINGLE)
    assert outcome.command == SetStrategy(name=StrategyName.SINGLE)
    assert settled(outcome.pending, frame()).strategy is StrategyName.SINGLE
    assert settled(outcome.pending, frame(strategy=StrategyName.SINGLE)).strategy is None


def test_the_strategy_in_use_is_not_asked_for_again() -> None:
    assert choose_strategy(frame(), Pending(), StrategyName.HYBRID).command is None


def test_the_way_back_from_a_pending_strategy_is_open() -> None:
    pending = Pending(strategy=StrategyName.SINGLE)
    outcome = choose_strategy(frame(), pending, StrategyName.HYBRID)
    assert outcome.command == SetStrategy(name=StrategyName.HYBRID)


def test_nothing_is_asked_of_an_engine_that_is_starting() -> None:
    for outcome in (
        choose_strategy(None, Pending(), StrategyName.SINGLE),
        step_precision(None, Pending(), 1),
        step_load(None, Pending(), 1),
        toggle_drafts(None, Pending(), SpeculationSpec()),
    ):
        assert (outcome.command, outcome.say) == (None, NOT_READY)


def test_drafts_are_switched_off_and_on_again_as_they_were() -> None:
    spec = SpeculationSpec(drafts=7)
    with_drafts = msgspec.structs.replace(
        frame(), speculation=Speculation(spec=spec, drafting=True)
    )
    assert toggle_drafts(with_drafts, Pending(), spec).command == SetSpeculation(spec=None)
    assert toggle_drafts(frame(), Pending(), spec).command == SetSpeculation(spec=spec)


def test_an_unavailable_precision_is_stood_on_and_says_why() -> None:
    at_int4 = frame(precision=PrecisionName.INT4)
    outcome = step_precision(at_int4, Pending(), 1)
    assert outcome.command is None
    assert outcome.pending.tried is PrecisionName.FP8
    assert outcome.say == "fp8: fp8 needs a GPU of compute capability 8.9 or newer"


def test_the_walk_goes_over_an_unavailable_precision_and_not_around_it() -> None:
    statuses = [
        PrecisionStatus(name=name, reason="not here" if name is PrecisionName.FP16 else None)
        for name in PrecisionName
    ]
    at_bf16 = msgspec.structs.replace(frame(), precisions=statuses)
    tried = step_precision(at_bf16, Pending(), 1)
    assert tried.command is None
    beyond = step_precision(at_bf16, tried.pending, 1)
    assert beyond.command == SetPrecision(name=PrecisionName.INT8)
    assert beyond.pending.tried is None
    back = step_precision(at_bf16, tried.pending, -1)
    assert (back.command, back.pending.tried, back.say) == (None, None, None)


def test_two_quick_steps_go_two_precisions() -> None:
    first = step_precision(frame(), Pending(), 1)
    second = step_precision(frame(), first.pending, 1)
    assert second.command == SetPrecision(name=PrecisionName.INT8)


def test_the_precisions_end_at_both_ends() -> None:
    at_fp32 = frame(precision=PrecisionName.FP32)
    outcome = step_precision(at_fp32, Pending(), -1)
    assert outcome.command is None
    assert outcome.say == "fp32 is the first precision"


@given(users=st.integers(1, 5000), direction=st.sampled_from((-1, 1)))
def test_users_step_in_the_direction_asked_or_stay(users: int, direction: int) -> None:
    load = LoadSpec(users=users)
    outcome = step_load(frame(load=load), Pending(), direction)
    if direction > 0 and users >= USER_STEPS[-1]:
        assert (outcome.command, outcome.say) == (None, "this is the highest load")
    elif direction < 0 and users <= USER_STEPS[0]:
        assert outcome.command == SetLoad(load=msgspec.structs.replace(load, paused=True))
    else:
        assert isinstance(outcome.command, SetLoad)
        assert (outcome.command.load.users - users) * direction > 0
        assert not outcome.command.load.paused


@given(rate=st.floats(0.01, 1000), direction=st.sampled_from((-1, 1)))
def test_an_open_loop_steps_its_rate_and_stays_open(rate: float, direction: int) -> None:
    load = LoadSpec(rate_per_s=rate)
    outcome = step_load(frame(load=load), Pending(), direction)
    if direction > 0 and rate >= RATE_STEPS[-1]:
        assert (outcome.command, outcome.say) == (None, "this is the highest load")
    elif direction < 0 and rate <= RATE_STEPS[0]:
        assert outcome.command == SetLoad(load=msgspec.structs.replace(load, paused=True))
    else:
        assert isinstance(outcome.command, SetLoad)
        assert outcome.command.load.rate_per_s is not None
        assert (outcome.command.load.rate_per_s - rate) * direction > 0
        assert not outcome.command.load.paused


@pytest.mark.parametrize("least", [LoadSpec(users=1), LoadSpec(rate_per_s=0.1)])
def test_below_the_least_load_is_none_and_from_there_it_comes_back_as_it_was(
    least: LoadSpec,
) -> None:
    down = step_load(frame(load=least), Pending(), -1)
    paused = msgspec.structs.replace(least, paused=True)
    assert down.command == SetLoad(load=paused)
    assert load_level(paused) == 0.0
    still = step_load(frame(load=paused), Pending(), -1)
    assert (still.command, still.say) == (None, "there is no load: it cannot be less")
    assert step_load(frame(load=paused), Pending(), 1).command == SetLoad(load=least)


TRACE = LoadSpec(trace=TraceSpec(path="conv.csv", speed=1.0))


@pytest.mark.parametrize(("direction", "speed"), [(1, 2.0), (-1, 0.5)])
def test_more_load_of_a_trace_is_more_speed(direction: int, speed: float) -> None:
    outcome = step_load(frame(load=TRACE), Pending(), direction)
    assert outcome.command == SetLoad(load=TRACE.with_amount(speed))
    assert 0 < load_level(TRACE) < 1
    clicked = set_load_level(frame(load=TRACE), Pending(), load_level(TRACE))
    assert clicked.command == SetLoad(load=TRACE)


def test_less_than_the_slowest_trace_is_none_and_more_goes_on() -> None:
    slowest = TRACE.with_amount(SPEED_STEPS[0])
    down = step_load(frame(load=slowest), Pending(), -1)
    paused = msgspec.structs.replace(slowest, paused=True)
    assert down.command == SetLoad(load=paused)
    assert step_load(frame(load=paused), Pending(), 1).command == SetLoad(load=slowest)


def test_load_steps_add_up_while_the_first_is_pending() -> None:
    first = step_load(frame(load=LoadSpec(users=8)), Pending(), 1)
    second = step_load(frame(load=LoadSpec(users=8)), first.pending, 1)
    assert second.pending.load == LoadSpec(users=16)


@given(users=st.integers(0, 10_000))
def test_the_meter_is_a_fraction(users: int) -> None:
    assert 0 <= load_level(LoadSpec(users=users)) <= 1


def test_windows_go_round() -> None:
    window = Window.S10
    seen = []
    for _ in Window:
        seen.append(window)
        window = next_window(window)
    assert seen == list(Window)
    assert window is Window.S10


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_load_of_another_kind_is_left_alone(direction: int) -> None:
    load = LoadSpec(users=8, zipf_exponent=0.3, seed=7)
    outcome = step_load(frame(load=load), Pending(), direction)
    assert isinstance(outcome.command, SetLoad)
    assert msgspec.structs.replace(outcome.command.load, users=8) == load
