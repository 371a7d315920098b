"""The scheduler under random traffic: what must hold for every mix of requests and switches."""

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.errors import RequestTooLargeError
from prodtop.engine.serving.strategy import STRATEGIES
from simulation import Simulation


@pytest.mark.parametrize(("ahead", "drafts"), [(0, 0), (1, 0), (0, 5)])
@pytest.mark.parametrize("name", StrategyName)
def test_every_strategy_serves_a_crowd_from_few_blocks(
    name: StrategyName, ahead: int, drafts: int
) -> None:
    """Long enough for many preemptions and evictions; `drain` compares every output."""
    rng = random.Random(7)
    sim = Simulation(
        name,
        num_blocks=14,
        block_tokens=4,
        max_seqs=6,
        token_budget=12,
        ahead=ahead,
        drafts=drafts,
    )
    system_prompts = [[rng.randrange(99) for _ in range(9)] for _ in range(3)]
    for _ in range(80):
        tail = [rng.randrange(99) for _ in range(rng.randrange(1, 12))]
        sim.add(rng.choice(system_prompts) + tail, rng.randrange(1, 24))
        sim.step()
    sim.drain()
    assert all(len(request.output_tokens) == request.max_tokens for request in sim.accepted)
    strategy = STRATEGIES[name]
    assert (sim.blocks.prefix_stats.hit_tokens > 0) == strategy.prefix_cache
    assert (sim.ghost_rows > 0) == (name is StrategyName.BATCHED)
    assert (sim.preemptions > 0) == (name is not StrategyName.SINGLE)
    assert (0 < sim.right_drafts < sim.drafted) == (drafts > 0)


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
        prefill_beside_streams=st.sampled_from([None, 1, 3]),
        ahead=st.integers(0, 1),
        drafts=st.integers(0, 6),
    )
    def start(
        self,
        name: StrategyName,
        num_blocks: int,
        block_tokens: int,
        max_seqs: int,
        spare_budget: int,
        prefill_beside_streams: int | None,
        ahead: int,
        drafts: int,
    ) -> None:
        self.sim = Simulation(
            name,
            num_blocks=num_blocks,
            block_tokens=block_tokens,
            max_seqs=max_seqs,
            token_budget=max_seqs + spare_budget,
            prefill_beside_streams=prefill_beside_streams,
            ahead=ahead,
            drafts=drafts,
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

    @rule(within_step=st.booleans(), max_seqs=st.integers(1, 8))
    def switch_max_seqs(self, within_step: bool, max_seqs: int) -> None:
        self.change(within_step, lambda: self.sim.switch_max_seqs(max_seqs))

    @rule(within_step=st.booleans())
    def switch_precision(self, within_step: bool) -> None:
        self.change(within_step, self.sim.switch_precision)

    def change(self, within_step: bool, action: Callable[[], None]) -> None:
        """Do something between two steps, or between a plan and its outcome."""
        if within_step:
            self.sim.begin_step()
        action()
        self.sim.collect()

    def teardown(self) -> None:
        if hasattr(self, "sim"):
            self.sim.drain()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
