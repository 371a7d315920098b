"""The scheduler's rules, one by one. Gangs have their own file, and so has random traffic."""

import pytest
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.errors import BadInputError, RequestTooLargeError
from prodtop.engine.serving.blocks import BlockManager
from prodtop.engine.serving.request import Status
from prodtop.engine.serving.scheduler import Scheduler
from prodtop.engine.serving.strategy import STRATEGIES
from simulation import CONTEXT_TOKENS, Simulation, prompt, rows

CONTINUOUS, SINGLE, CACHED = StrategyName.CONTINUOUS, StrategyName.SINGLE, StrategyName.CACHED


# Budget and chunked prefill


def test_a_prompt_longer_than_the_budget_is_computed_in_chunks() -> None:
    sim = Simulation(CONTINUOUS, token_budget=8)
    sim.add(prompt(20), 2)
    assert [rows(sim.step()) for _ in range(4)] == [
        [(0, 0, 8)],
        [(0, 8, 8)],
        [(0, 16, 4)],
        [(0, 20, 1)],
    ]


def test_decodes_go_on_while_a_long_prompt_is_computed() -> None:
    sim = Simulation(CONTINUOUS, token_budget=8)
    sim.add(prompt(3), 5)
    sim.step()
    sim.add(prompt(12), 1)
    assert rows(sim.step()) == [(0, 3, 1), (1, 0, 7)]
    assert rows(sim.step()) == [(0, 4, 1), (1, 7, 5)]


@pytest.mark.parametrize(
    ("name", "chunks"),
    [(StrategyName.STREAMING, [2, 2, 2, 8, 6]), (CONTINUOUS, [7, 7, 6, 0, 0])],
)
def test_a_prompt_beside_streams_comes_in_smaller_chunks(
    name: StrategyName, chunks: list[int]
) -> None:
    """A short text ends after three more tokens; from then on nobody waits for the steps."""
    sim = Simulation(name, token_budget=8, prefill_beside_streams=2)
    sim.add(prompt(3), 4)
    assert rows(sim.step()) == [(0, 0, 3)]
    sim.add(prompt(20), 1)
    plans = [rows(sim.step()) for _ in range(5)]
    assert [sum(row[2] for row in plan if row[0] == 1) for plan in plans] == chunks
    assert [row[0] for plan in plans[:3] for row in plan] == [0, 1, 0, 1, 0, 1]


def test_a_new_request_joins_with_what_is_left_of_the_budget() -> None:
    sim = Simulation(CONTINUOUS, token_budget=8)
    sim.add(prompt(5), 3)
    sim.add(prompt(6), 3)
    sim.add(prompt(7), 3)
    assert rows(sim.step()) == [(0, 0, 5), (1, 0, 3)]
    assert rows(sim.step()) == [(0, 5, 1), (1, 3, 3), (2, 0, 4)]


def test_only_a_chunk_that_catches_up_brings_a_token() -> None:
    sim = Simulation(CONTINUOUS, token_budget=8)
    request = sim.add(prompt(12), 2)
    plan = sim.scheduler.schedule(0.0)
    assert not plan.chunks[0].samples
    assert sim.scheduler.advance(plan, [None], 1.0) == []
    plan = sim.scheduler.schedule(1.0)
    assert plan.chunks[0].samples
    assert sim.scheduler.advance(plan, [77], 2.0) == [request]
    assert request.output_tokens == [77]


def test_a_caught_up_request_without_its_token_is_an_error() -> None:
    sim = Simulation(CONTINUOUS)
    sim.add(prompt(2), 2)
    with pytest.raises(ValueError, match="request 0 is caught up"):
        sim.scheduler.advance(sim.scheduler.schedule(0.0), [None], 1.0)


def test_the_budget_must_cover_every_sequence() -> None:
    blocks = BlockManager(8, 4, prefix_caching=False)
    with pytest.raises(ValueError, match="at least one token for each sequence"):
        Scheduler(STRATEGIES[CONTINUOUS], blocks, max_seqs=9, token_budget=8)


# Order and limits


def test_single_runs_one_request_after_the_other() -> None:
    sim = Simulation(SINGLE)
    first, second = sim.add(prompt(3), 2), sim.add(prompt(3), 2)
    sim.step()
    assert sim.scheduler.running == (first,)
    sim.step()
    assert first.done
    sim.step()
    assert sim.scheduler.running == (second,)


def test_no_more_run_than_the_limit() -> None:
    sim = Simulation(CONTINUOUS, max_seqs=3)
    for _ in range(5):
        sim.add(prompt(1), 4)
    sim.step()
    assert (sim.scheduler.num_running, sim.scheduler.num_waiting) == (3, 2)


def test_a_large_request_at_the_head_is_not_overtaken() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=6, block_tokens=4)
    sim.add(prompt(12), 4)
    large, small = sim.add(prompt(16), 2), sim.add(prompt(1), 2)
    sim.step()
    assert sim.scheduler.waiting == (large, small)
    sim.drain()


def test_timestamps_tell_the_way_of_a_request() -> None:
    sim = Simulation(SINGLE)
    sim.add(prompt(2), 1)
    request = sim.add(prompt(2), 3)
    sim.now_s = 5.0
    sim.step()
    for _ in range(3):
        sim.now_s += 1.0
        sim.step()
    assert request.queued_at_s == 0.0
    assert request.scheduled_at_s == pytest.approx(6.01)
    assert request.token_times_s == pytest.approx([6.02, 7.03, 8.04])
    assert request.first_token_at_s == request.token_times_s[0]
    assert request.last_token_at_s == request.token_times_s[-1]


# What is refused


def test_a_request_that_can_never_fit_is_refused() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=4, block_tokens=4)
    sim.add(prompt(10), 7)
    with pytest.raises(RequestTooLargeError, match="18 tokens, but the KV cache holds 16"):
        sim.add(prompt(10), 8)
    sim.drain()


def test_the_context_bounds_what_a_request_may_take() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=CONTEXT_TOKENS // 4, block_tokens=4)
    request = sim.add(prompt(10), 10_000)
    sim.drain()
    assert request.num_tokens == CONTEXT_TOKENS


@pytest.mark.parametrize(("tokens", "max_tokens"), [([], 3), ([1], 0)])
def test_a_request_without_anything_to_do_is_refused(tokens: list[int], max_tokens: int) -> None:
    sim = Simulation(CONTINUOUS)
    with pytest.raises(BadInputError):
        sim.add(tokens, max_tokens)


def test_an_id_is_taken_once() -> None:
    sim = Simulation(CONTINUOUS)
    request = sim.add(prompt(2), 2)
    with pytest.raises(ValueError, match="request 0 is here already"):
        sim.scheduler.add(request, 0.0)


# Preemption


def test_the_newest_is_preempted_when_blocks_run_out_and_resumed_later() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=4, block_tokens=4)
    oldest, newest = sim.add(prompt(7), 8), sim.add(prompt(7), 8)
    sim.step()
    scheduled_at_s = newest.scheduled_at_s
    sim.step()
    sim.now_s += 1.0
    plan = sim.step()
    assert plan.preempted == (newest,)
    assert sim.scheduler.running == (oldest,)
    assert sim.scheduler.waiting == (newest,)
    assert newest.preemptions == 1
    assert newest.num_output_tokens == 2, "its generated tokens are kept"
    sim.drain()
    assert newest.scheduled_at_s == scheduled_at_s
    assert newest.num_output_tokens == 8


def test_a_resumed_request_waits_at_the_head() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=4, block_tokens=4)
    sim.add(prompt(7), 8)
    preempted, later = sim.add(prompt(7), 8), sim.add(prompt(1), 1)
    for _ in range(3):
        sim.step()
    assert sim.scheduler.waiting == (preempted, later)


def test_the_newest_gives_way_to_itself_when_it_is_the_one_that_grows() -> None:
    sim = Simulation(CONTINUOUS, num_blocks=3, block_tokens=4)
    oldest, newest = sim.add(prompt(5), 4), sim.add(prompt(4), 4)
    sim.step()
    plan = sim.step()
    assert plan.preempted == (newest,)
    assert rows(plan) == [(oldest.request_id, 5, 1)]
    sim.drain()


def test_preempting_all_keeps_order_and_tokens() -> None:
    sim = Simulation(CONTINUOUS, max_seqs=2)
    requests = [sim.add(prompt(3), 5) for _ in range(3)]
    sim.step()
    sim.step()
    sim.switch_precision()
    assert sim.scheduler.waiting == tuple(requests)
    assert [request.num_output_tokens for request in requests] == [2, 2, 0]
    assert sim.blocks.counts().free == sim.blocks.num_blocks
    sim.drain()


def test_a_preempted_request_comes_back_at_once_on_the_blocks_of_another() -> None:
    """Both computed the same prompt at once; one copy of it is enough from then on."""
    sim = Simulation(CACHED, num_blocks=4, block_tokens=4)
    first, second = sim.add(prompt(8), 4), sim.add(prompt(8), 4)
    sim.step()
    assert not set(first.block_ids) & set(second.block_ids)
    assert sim.step().preempted == (second,)
    assert sim.scheduler.waiting == (second,), "not in the step that preempted it"
    assert rows(sim.step()) == [(0, 9, 1), (1, 8, 1)]
    assert second.block_ids[:2] == first.block_ids[:2]
    assert sim.blocks.prefix_stats.hit_tokens == 0, "its own tokens again are no hit"
    sim.drain()


# Aborts


def test_an_abort_reaches_a_request_wherever_it_is() -> None:
    sim = Simulation(SINGLE)
    running, waiting = sim.add(prompt(6), 9), sim.add(prompt(6), 9)
    sim.step()
    sim.abort(waiting)
    sim.abort(running)
    assert {running.status, waiting.status} == {Status.ABORTED}
    assert running.finish_reason == "aborted"
    assert sim.blocks.counts().free == sim.blocks.num_blocks
    assert sim.scheduler.abort(running.request_id) is None


def test_a_step_passes_over_what_was_aborted_meanwhile() -> None:
    sim = Simulation(CONTINUOUS)
    aborted, other = sim.add(prompt(2), 9), sim.add(prompt(2), 9)
    plan = sim.scheduler.schedule(0.0)
    sim.abort(aborted)
    assert sim.scheduler.advance(plan, [5, 6], 1.0) == [other]
    assert aborted.output_tokens == []


# Live switches


def test_a_lower_limit_sends_the_newest_back_to_the_head() -> None:
    sim = Simulation(CONTINUOUS, max_seqs=3)
    first, second, third, fourth = (sim.add(prompt(3), 9) for _ in range(4))
    sim.step()
    assert sim.scheduler.set_strategy(STRATEGIES[SINGLE], sim.now_s) == [third, second]
    assert sim.scheduler.running == (first,)
    assert sim.scheduler.waiting == (second, third, fourth)
    sim.drain()


def test_fewer_sequences_at_once_are_had_at_once_and_more_when_asked_for() -> None:
    sim = Simulation(CONTINUOUS, max_seqs=3)
    first, second, third = (sim.add(prompt(3), 9) for _ in range(3))
    sim.step()
    assert sim.scheduler.set_max_seqs(2, sim.now_s) == [third]
    two = sim.scheduler.running
    sim.step()
    assert sim.scheduler.waiting == (third,)
    assert sim.scheduler.set_max_seqs(3, sim.now_s) == []
    sim.step()
    assert [two, sim.scheduler.running] == [(first, second), (first, second, third)]
    sim.drain()


def test_what_was_computed_before_prefix_caching_was_switched_on_is_found() -> None:
    sim = Simulation(CONTINUOUS)
    sim.add(prompt(8), 9)
    sim.step()
    sim.switch_strategy(CACHED)
    follower = sim.add([*prompt(8), 500], 2)
    sim.step()
    assert follower.cached_prompt_tokens == 8
    sim.drain()


def test_a_strategy_without_prefix_cache_finds_nothing() -> None:
    sim = Simulation(CACHED)
    sim.add(prompt(9), 2)
    sim.drain()
    sim.switch_strategy(CONTINUOUS)
    again = sim.add(prompt(9), 2)
    sim.drain()
    assert again.cached_prompt_tokens == 0
    assert sim.blocks.counts().evictable == 0
