"""The load curve that the screen asks for, and what is made of it."""

import msgspec
import pytest
from compare_samples import answer, benches
from cost_samples import curve, moment
from frames import frame
from prodtop.engine.protocol import Command, LoadSpec, PrecisionName, TraceSpec, Window
from prodtop.engine.protocol.errors import BadInputError
from prodtop.tui.state.capacity import asked_curve, capacity, loads_around, served_curve
from prodtop.tui.state.compare_run import CompareRun
from prodtop.tui.state.stage import Stage
from prodtop.tui.state.told import Told


def test_users_are_whole_and_each_load_is_measured_once() -> None:
    amounts = [load.users for load in loads_around(LoadSpec(users=8))]
    assert amounts == [2, 4, 8, 16, 32]
    assert [load.users for load in loads_around(LoadSpec(users=1))] == [1, 2, 4]
    rates = [load.rate_per_s for load in loads_around(LoadSpec(rate_per_s=2.0))]
    assert rates == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert all(load.ignore_eos for load in loads_around(LoadSpec(users=8)))


@pytest.mark.parametrize(
    "load",
    [LoadSpec(users=8, paused=True), LoadSpec(users=0), LoadSpec(trace=TraceSpec(path="a.csv"))],
)
def test_without_a_load_of_its_own_there_is_no_curve(load: LoadSpec) -> None:
    with pytest.raises(BadInputError):
        loads_around(load)


def test_the_curve_is_of_what_is_served_alone() -> None:
    asked = asked_curve(frame(load=LoadSpec(users=8)))
    assert {(each.cell.strategy, each.cell.precision) for each in asked.cells} == {
        (frame().strategy, frame().precision)
    }
    assert asked.work.requests == 64
    other = msgspec.structs.replace(frame(), precision=PrecisionName.INT8)
    assert served_curve(curve(), frame()) is not None
    assert served_curve(curve(), other) is None
    model = msgspec.structs.replace(frame().model, name="another")
    assert served_curve(curve(), msgspec.structs.replace(frame(), model=model)) is None
    assert served_curve(None, frame()) is None


def test_measuring_it_sends_every_load_and_keeps_what_came_back() -> None:
    sent: list[Command] = []
    told: list[Told] = []
    run = CompareRun(sent.append, told.append, asked_curve)
    run.begin(frame(load=LoadSpec(users=8)), 0.0)
    number = 0
    while run.now.running and number < 99:
        for report in answer(benches(sent)[-1], number):
            run.take(report, float(number))
        number += 1
    assert run.now.stage is Stage.DONE
    assert {spec.load.users for spec in benches(sent)} == {2, 4, 8, 16, 32}
    assert run.now.comparison is not None
    assert all(len(each.repeats) >= 6 for each in run.now.comparison.cells)


def test_both_estimates_are_of_what_is_served() -> None:
    found = capacity(moment(loads=curve()))
    assert found.by_curve is not None
    assert found.by_little is not None
    e2e = frame().latency[Window.M1].e2e
    assert e2e is not None
    assert e2e.mean_ms is not None
    assert found.by_little.req_s == pytest.approx(64 / (e2e.mean_ms / 1e3))
    assert found.by_curve.req_s == pytest.approx(0.9 * 32)
    assert found.gpus_by_curve == 5
    assert capacity(moment()).by_curve is None
