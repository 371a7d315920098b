"""Static batching: when a gang starts, what its finished rows do, and how it ends."""

from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.request import Status
from prodtop.engine.serving.strategy import STRATEGIES
from simulation import Simulation, direct_output, prompt, rows

BATCHED, CONTINUOUS, SINGLE = StrategyName.BATCHED, StrategyName.CONTINUOUS, StrategyName.SINGLE
GANG_WAIT_S = STRATEGIES[BATCHED].gang_wait_s


def test_a_gang_starts_when_it_is_full() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    sim.add(prompt(2), 2)
    assert not sim.step().chunks
    sim.add(prompt(2), 2)
    assert len(sim.step().chunks) == 2


def test_a_gang_starts_short_when_the_oldest_has_waited_long_enough() -> None:
    sim = Simulation(BATCHED, max_seqs=4)
    sim.add(prompt(2), 2)
    sim.now_s = 0.1
    assert sim.scheduler.next_deadline_s(sim.now_s) == GANG_WAIT_S
    assert not sim.scheduler.schedule(GANG_WAIT_S - 0.001).chunks
    assert sim.scheduler.schedule(GANG_WAIT_S).chunks


def test_nothing_waits_on_time_but_an_unfilled_gang() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    assert sim.scheduler.next_deadline_s(0.0) is None
    sim.add(prompt(2), 2)
    sim.add(prompt(2), 2)
    assert sim.scheduler.next_deadline_s(0.0) is None, "it is full: it starts at once"
    sim.step()
    sim.add(prompt(2), 2)
    assert sim.scheduler.next_deadline_s(0.0) is None, "it waits for the running gang"
    sim.switch_strategy(CONTINUOUS)
    assert sim.scheduler.next_deadline_s(0.0) is None


def test_a_deadline_that_has_passed_is_due_now() -> None:
    sim = Simulation(BATCHED)
    sim.add(prompt(2), 2)
    assert sim.scheduler.next_deadline_s(9.0) == 9.0


def test_finished_rows_stay_as_ghosts_and_nobody_takes_their_place() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    short, long = sim.add(prompt(3), 1), sim.add(prompt(3), 3)
    sim.add(prompt(3), 1)
    sim.step()
    assert short.status is Status.FINISHED
    plan = sim.step()
    assert [(chunk.request, chunk.ghost) for chunk in plan.chunks] == [(long, False), (short, True)]
    assert rows(plan)[1] == (short.request_id, 2, 1), "its newest computed token, once more"
    assert short.output_tokens == direct_output(short)
    assert sim.scheduler.num_waiting == 1


def test_the_next_gang_starts_after_the_last_of_this_one() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    for max_tokens in (1, 3, 1, 1):
        sim.add(prompt(3), max_tokens)
    for _ in range(3):
        sim.step()
    assert sim.scheduler.num_running == sim.scheduler.num_ghosts == 0
    assert sim.blocks.counts().running == 0
    assert len(sim.step().chunks) == 2
    assert sim.ghost_rows == 2


def test_a_gang_comes_in_as_a_whole_though_the_budget_is_smaller() -> None:
    sim = Simulation(BATCHED, max_seqs=3, token_budget=8)
    for _ in range(3):
        sim.add(prompt(6), 4)
    assert rows(sim.step()) == [(0, 0, 6), (1, 0, 2)]
    assert sim.scheduler.num_running == 3
    assert rows(sim.step()) == [(0, 6, 1), (1, 2, 4), (2, 0, 3)]


def test_ghosts_give_up_their_blocks_before_anyone_is_preempted() -> None:
    sim = Simulation(BATCHED, num_blocks=3, block_tokens=4, max_seqs=2)
    sim.add(prompt(4), 1)
    grows = sim.add(prompt(4), 6)
    for _ in range(6):
        sim.step()
    assert grows.done
    assert grows.preemptions == 0
    assert 0 < sim.ghost_rows < 5


def test_an_abort_of_the_last_of_a_gang_ends_its_ghosts() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    sim.add(prompt(3), 1)
    last = sim.add(prompt(3), 9)
    sim.step()
    assert sim.scheduler.num_ghosts == 1
    sim.abort(last)
    assert sim.scheduler.num_ghosts == 0
    assert not sim.scheduler.has_work


def test_preempting_a_gang_drops_its_ghosts() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    sim.add(prompt(3), 1)
    sim.add(prompt(3), 5)
    sim.step()
    assert sim.scheduler.num_ghosts == 1
    sim.switch_precision()
    assert sim.scheduler.num_ghosts == 0
    assert sim.blocks.counts().running == 0
    sim.drain()


def test_leaving_a_gang_drops_its_ghosts_and_fills_up() -> None:
    sim = Simulation(BATCHED, max_seqs=2)
    sim.add(prompt(3), 1)
    sim.add(prompt(3), 9)
    third = sim.add(prompt(3), 9)
    sim.step()
    sim.switch_strategy(CONTINUOUS)
    assert sim.scheduler.num_ghosts == 0
    assert not any(chunk.ghost for chunk in sim.step().chunks)
    assert third in sim.scheduler.running


def test_a_gang_has_its_time_to_fill_after_a_switch() -> None:
    sim = Simulation(SINGLE, max_seqs=3)
    sim.add(prompt(3), 4)
    sim.step()
    sim.add(prompt(3), 4)
    sim.now_s = 5.0
    sim.switch_strategy(BATCHED)
    sim.step()
    sim.step()
    sim.step()
    assert sim.scheduler.num_running == 0
    assert sim.scheduler.next_deadline_s(sim.now_s) == 5.0 + GANG_WAIT_S
