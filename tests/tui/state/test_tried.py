"""The memory of what was tried: fed with frames, whatever comes between them."""

import msgspec
from frames import ScriptedClient, frame, play, ready, steady
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    Frame,
    LoadSpec,
    PrecisionName,
    Speculation,
    SpeculationSpec,
    StrategyName,
    Summary,
)
from prodtop.engine.records.tried import Steadiness
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.tried import MOST_TRIED, TriedMemory, choice_of


def told(
    strategy: StrategyName = StrategyName.HYBRID,
    figures: Summary | None = None,
    *,
    users: int = 8,
    paused: bool = False,
    switching: str | None = None,
) -> Frame:
    shown = frame(strategy=strategy, load=LoadSpec(users=users, paused=paused))
    return msgspec.structs.replace(shown, steady=figures, switching=switching)


def test_each_choice_keeps_the_newest_figures_that_it_settled_to() -> None:
    memory = TriedMemory()
    memory.take_in(told(StrategyName.SINGLE), 1.0)
    assert [record.steadiness for record in memory.records] == [Steadiness.UNSETTLED]
    memory.take_in(told(StrategyName.SINGLE, steady(100.0)), 2.0)
    memory.take_in(told(StrategyName.HYBRID), 3.0)
    memory.take_in(told(StrategyName.HYBRID, steady(900.0, growing=True)), 4.0)
    memory.take_in(told(StrategyName.SINGLE), 5.0)
    hybrid, single = memory.records
    assert hybrid.steadiness is Steadiness.FILLING
    assert single.figures == steady(100.0), "its transient does not take the place of its figures"
    assert single.last_seen_wall_s == 5.0
    memory.take_in(told(StrategyName.SINGLE, steady(120.0)), 6.0)
    assert memory.records[-1].figures == steady(120.0)


def test_precision_load_and_drafts_are_part_of_the_choice() -> None:
    memory = TriedMemory()
    base = told(figures=steady())
    memory.take_in(base, 1.0)
    memory.take_in(msgspec.structs.replace(base, precision=PrecisionName.INT8), 2.0)
    memory.take_in(told(users=64, figures=steady()), 3.0)
    drafts = Speculation(spec=SpeculationSpec(drafts=3), drafting=True)
    memory.take_in(msgspec.structs.replace(base, speculation=drafts), 4.0)
    memory.take_in(base, 5.0)
    assert len(memory.records) == 4


def test_without_load_and_within_a_switch_there_is_nothing_to_remember() -> None:
    memory = TriedMemory()
    memory.take_in(told(paused=True), 1.0)
    memory.take_in(told(switching="bf16 → int8: packing weights"), 2.0)
    assert memory.records == ()
    assert choice_of(told(paused=True)) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(StrategyName), st.sampled_from([1, 8, 64]), st.booleans()),
        max_size=80,
    )
)
def test_no_figure_is_lost_and_none_is_made_up(
    visits: list[tuple[StrategyName, int, bool]],
) -> None:
    memory, expected = TriedMemory(), dict[tuple[StrategyName, int], Summary | None]()
    for number, (strategy, users, settled) in enumerate(visits):
        figures = steady(float(number)) if settled else None
        memory.take_in(told(strategy, figures, users=users), float(number))
        expected[strategy, users] = figures or expected.get((strategy, users))
    found = {
        (record.settings.strategy, record.settings.load.users): record.figures
        for record in memory.records
    }
    assert found == expected


def test_the_memory_is_bounded() -> None:
    memory = TriedMemory()
    for users in range(1, MOST_TRIED + 50):
        memory.take_in(told(users=users), float(users))
    assert len(memory.records) == MOST_TRIED
    assert memory.records[-1].settings.load.users == MOST_TRIED + 49


def test_the_monitor_remembers_every_strategy_of_a_session() -> None:
    client = ScriptedClient([[ready()], *play(20)])
    monitor = Monitor(client)
    while client.polls:
        monitor.poll()
    tried = [record.settings.strategy for record in monitor.tried.records]
    assert tried == [StrategyName.SINGLE, StrategyName.CONTINUOUS, StrategyName.HYBRID]
