"""The scheduler's rules, one by one, and all of them under random traffic."""

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from prodtop.engine.errors import BadInputError, RequestTooLargeError
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.blocks import BlockManager
from prodtop.engine.serving.request import Status
from prodtop.engine.serving.scheduler import Scheduler, StepPlan
from prodtop.engine.serving.strategy import STRATEGIES
from simulation import CONTEXT_TOKENS, Simulation, direct_output

BATCHED, CONTINUOUS, SINGLE = StrategyName.BATCHED, StrategyName.CONTINUOUS, StrategyName.SINGLE
CACHED = StrategyName.CACHED
GANG_WAIT_S = STRATEGIES[BATCHED].gang_wait_s


def rows(plan: StepPlan) -> list[tuple[int, int, int]]:
    """A plan as (request id, start, number of tokens) of each row."""
    return [(chunk.request.request_id, chunk.start, chunk.num_tokens) for chunk in plan.chunks]


def prompt(length: int, first: int = 1) -> list[int]:
    return list(range(first, first + length))


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


# Gangs


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


# Everything at once


@pytest.mark.parametrize("name", StrategyName)
def test_every_strategy_serves_a_crowd_from_few_blocks(name: StrategyName) -> None:
    """Long enough for many preemptions and evictions; `drain` compares every output."""
    rng = random.Random(7)
    sim = Simulation(name, num_blocks=14, block_tokens=4, max_seqs=6, token_budget=12)
    system_prompts = [[rng.randrange(99) for _ in range(9)] for _ in range(3)]
    for _ in range(80):
        tail = [rng.randrange(99) for _ in range(rng.randrange(1, 12))]
        sim.add(rng.choice(system_prompts) + tail, rng.randrange(1, 24))
        sim.step()
    sim.drain()
    assert all(len(request.output_tokens) == request.max_tokens for request in sim.accepted)
    strategy = STRATEGIES[name]
    assert (sim.blocks.prefix_stats.hit_tokens > 0) == strategy.prefix_cache
    assert (sim.ghost_rows > 0) == (name is BATCHED)
    assert (sim.preemptions > 0) == (name is not SINGLE)


# Prompt, max_tokens, ignore_eos. With few different tokens, common prefixes are common.
ARRIVAL = st.tuples(
    st.lists(st.integers(1, 2), min_size=1, max_size=14), st.integers(1, 10), st.booleans()
)


class Traffic(RuleBasedStateMachine):
    """Any order of arrivals, steps, aborts and switches; the simulation checks each change."""

    sim: Simulation

    @initialize(
        name=st.sampled_from(StrategyName),
        num_blocks=st.integers(2, 16),
        block_tokens=st.integers(1, 4),
        max_seqs=st.integers(1, 5),
        spare_budget=st.integers(0, 12),
    )
    def start(
        self,
        name: StrategyName,
        num_blocks: int,
        block_tokens: int,
        max_seqs: int,
        spare_budget: int,
    ) -> None:
        self.sim = Simulation(
            name,
            num_blocks=num_blocks,
            block_tokens=block_tokens,
            max_seqs=max_seqs,
            token_budget=max_seqs + spare_budget,
        )

    @rule(arrivals=st.lists(ARRIVAL, min_size=1, max_size=5))
    def arrive(self, arrivals: list[tuple[list[int], int, bool]]) -> None:
        room = self.sim.blocks.num_blocks * self.sim.blocks.block_tokens
        for tokens, max_tokens, ignore_eos in arrivals:
            if len(tokens) + max_tokens - 1 > room:
                with pytest.raises(RequestTooLargeError):
                    self.sim.add(tokens, max_tokens)
            else:
                self.sim.add(tokens, max_tokens, ignore_eos=ignore_eos)

    @rule(steps=st.integers(1, 8))
    def serve(self, steps: int) -> None:
        for _ in range(steps):
            self.sim.step()

    @rule(seconds=st.sampled_from([0.1, 0.3]))
    def pass_time(self, seconds: float) -> None:
        self.sim.now_s += seconds

    @precondition(lambda self: self.sim.accepted)
    @rule(within_step=st.booleans(), data=st.data())
    def abort(self, within_step: bool, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.sim.accepted[-8:]))
        self.change(within_step, lambda: self.sim.abort(request))

    @rule(within_step=st.booleans(), name=st.sampled_from(StrategyName))
    def switch_strategy(self, within_step: bool, name: StrategyName) -> None:
        self.change(within_step, lambda: self.sim.switch_strategy(name))

    @rule(within_step=st.booleans())
    def switch_precision(self, within_step: bool) -> None:
        self.change(within_step, self.sim.switch_precision)

    def change(self, within_step: bool, action: Callable[[], None]) -> None:
        """Do something between two steps, or between a plan and its outcome."""
        if within_step:
            plan, tokens = self.sim.begin_step()
            action()
            self.sim.end_step(plan, tokens)
        else:
            action()

    def teardown(self) -> None:
        if hasattr(self, "sim"):
            self.sim.drain()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
