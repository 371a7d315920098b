"""What no load can be: ramps, bursts and traces beside the rest."""

import math

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prodtop.engine.load.generator import LoadGenerator
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.protocol import BurstSpec, LoadSpec, RampSpec, TraceSpec
from prodtop.engine.protocol.bounds import load_violation

RAMP = RampSpec(start=1, seconds=10)
BURST = BurstSpec(rate_per_s=50, seconds=5, every_s=30)
TRACE = TraceSpec(path="t.csv")

POSSIBLE = [
    LoadSpec(users=8, ramp=RAMP),
    LoadSpec(rate_per_s=8, ramp=RampSpec(start=0, seconds=0.5)),
    LoadSpec(rate_per_s=8, burst=BURST),
    LoadSpec(rate_per_s=0, burst=BURST),
    LoadSpec(trace=TRACE),
    LoadSpec(trace=TRACE, rate_per_s=4),
    LoadSpec(trace=TraceSpec(path="t.csv", speed=0.001, loop=True, start_s=9, most_requests=1)),
]

IMPOSSIBLE = [
    (LoadSpec(ramp=RampSpec(start=-1, seconds=1)), "ramp.start"),
    (LoadSpec(ramp=RampSpec(start=1, seconds=0)), "ramp.seconds"),
    (LoadSpec(ramp=RampSpec(start=math.nan, seconds=1)), "ramp.start"),
    (LoadSpec(rate_per_s=0), "rate_per_s"),
    (LoadSpec(rate_per_s=0, ramp=RAMP), "rate_per_s"),
    (LoadSpec(burst=BURST), "burst"),
    (LoadSpec(rate_per_s=1, burst=BURST, ramp=RAMP), "burst"),
    (
        LoadSpec(rate_per_s=1, burst=BurstSpec(rate_per_s=0, seconds=1, every_s=2)),
        "burst.rate_per_s",
    ),
    (LoadSpec(rate_per_s=1, burst=BurstSpec(rate_per_s=9, seconds=0, every_s=2)), "burst.seconds"),
    (
        LoadSpec(rate_per_s=1, burst=BurstSpec(rate_per_s=9, seconds=1, every_s=1e9)),
        "burst.every_s",
    ),
    (LoadSpec(rate_per_s=1, burst=BurstSpec(rate_per_s=9, seconds=3, every_s=3)), "burst"),
    (LoadSpec(rate_per_s=1, burst=BurstSpec(rate_per_s=9, seconds=0.1, every_s=3)), "burst"),
    (LoadSpec(trace=TRACE, ramp=RAMP), "trace"),
    (LoadSpec(trace=TRACE, burst=BURST), "trace"),
    (LoadSpec(trace=TraceSpec(path="")), "trace"),
    (LoadSpec(trace=TraceSpec(path="a\0b")), "trace"),
    (LoadSpec(trace=TraceSpec(path="t", speed=0)), "trace.speed"),
    (LoadSpec(trace=TraceSpec(path="t", speed=math.inf)), "trace.speed"),
    (LoadSpec(trace=TraceSpec(path="t", start_s=-1)), "trace.start_s"),
    (LoadSpec(trace=TraceSpec(path="t", most_requests=0)), "trace.most_requests"),
]


@pytest.mark.parametrize("load", POSSIBLE)
def test_a_possible_load_has_no_violation(load: LoadSpec) -> None:
    assert load_violation(load) is None


@pytest.mark.parametrize(("load", "field"), IMPOSSIBLE)
def test_an_impossible_one_names_its_field(load: LoadSpec, field: str) -> None:
    violation = load_violation(load)
    assert violation is not None
    assert violation.field == field


NUMBERS = st.floats(0, 1e6) | st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e-300])
LOADS = st.builds(
    LoadSpec,
    users=st.integers(0, 300),
    rate_per_s=st.none() | NUMBERS,
    burstiness=NUMBERS,
    ramp=st.none() | st.builds(RampSpec, start=NUMBERS, seconds=NUMBERS),
    burst=st.none() | st.builds(BurstSpec, rate_per_s=NUMBERS, seconds=NUMBERS, every_s=NUMBERS),
)


@settings(deadline=None)
@example(LoadSpec(rate_per_s=1e-300, burstiness=1e-300), [1.0])
@example(LoadSpec(rate_per_s=1e-300, ramp=RampSpec(start=1e-300, seconds=1e-3)), [1.0])
@example(LoadSpec(users=3, ramp=RampSpec(start=0.0, seconds=1e-3)), [0.0, 1e-4, 1.0])
@given(LOADS, st.lists(st.floats(0.0, 50.0), max_size=4))
def test_whatever_is_possible_can_be_generated(load: LoadSpec, looks: list[float]) -> None:
    """No division by zero, no time without an order, no endless look."""
    if load_violation(load) is not None:
        return
    generator = LoadGenerator(load, bundled_prompts(), 0.0)
    now_s = last_s = 0.0
    for later_s in looks:
        now_s += later_s
        generator.arrive(now_s, room=5)
        while (arrival := generator.take(now_s)) is not None:
            assert 0.0 <= arrival.arrival_at_s <= now_s
            if load.is_open:
                assert arrival.arrival_at_s >= last_s
                last_s = arrival.arrival_at_s
            generator.on_done(math.inf)
        due_s = generator.next_due_s()
        assert due_s is None or math.isfinite(due_s) or not load.is_open


@pytest.mark.parametrize("load", POSSIBLE)
def test_more_of_a_load_is_another_amount_of_the_same_kind(load: LoadSpec) -> None:
    more = msgspec.structs.replace(load, paused=True).with_amount(3)
    assert more.amount == 3
    assert (more.is_open, more.paused) == (load.is_open, False)
    assert more.with_amount(load.amount) == load
