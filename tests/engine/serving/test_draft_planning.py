"""What drafts may take: the budget and the blocks that are left, and no place beyond the end."""

from collections.abc import Sequence

import pytest
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.request import Request
from prodtop.engine.serving.speculation import Drafting
from prodtop.engine.serving.step_plan import StepPlan
from simulation import Simulation, next_token, prompt, rows


class Eager:
    """Has as many accepted guesses as it is asked for: `Drafter`."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        self.asked += [request.request_id for request in requests]
        return [self.guess(request, room) for request, room in zip(requests, most, strict=True)]

    def forget(self, request_id: int) -> None:
        self.asked.append(-request_id)

    def guess(self, request: Request, room: int) -> list[int]:
        tokens = list(request.tokens)
        for _ in range(room):
            tokens.append(next_token(tokens))
        return tokens[request.num_tokens :]


def eager(name: StrategyName, drafts: int = 5, **limits: int) -> Simulation:
    sim = Simulation(name, drafts=drafts, **limits)
    sim.scheduler.plan_drafts = Drafting(Eager(), drafts).extend
    return sim


def test_accepted_drafts_bring_as_many_tokens_and_one_more() -> None:
    sim = eager(StrategyName.CONTINUOUS)
    request = sim.add(prompt(3), 13)
    sim.step()
    assert request.num_output_tokens == 1
    plan = sim.step()
    assert rows(plan) == [(0, 3, 6)]
    assert request.num_output_tokens == 7
    sim.drain()
    assert request.num_output_tokens == 13


def test_no_draft_goes_beyond_the_last_token() -> None:
    sim = eager(StrategyName.CONTINUOUS)
    request = sim.add(prompt(3), 4)
    sim.step()
    # Two drafts and the token after them: four in all.
    assert rows(sim.step()) == [(0, 3, 3)]
    assert request.done


def test_drafts_take_what_the_budget_has_left() -> None:
    sim = eager(StrategyName.CONTINUOUS, token_budget=8, max_seqs=4)
    sim.add(prompt(2), 20)
    sim.add(prompt(2), 20)
    sim.step()
    sim.add(prompt(3), 20)
    # Two decodes, a prompt of three, and three drafts of the oldest; those rows come last.
    assert rows(sim.step()) == [(1, 2, 1), (2, 0, 3), (0, 2, 4)]


def test_drafts_leave_a_block_for_each_row_and_preempt_nobody() -> None:
    sim = eager(StrategyName.CONTINUOUS, num_blocks=5, block_tokens=4, max_seqs=2)
    sim.add(prompt(4), 8)
    sim.add(prompt(4), 8)
    plans: list[StepPlan] = [sim.step() for _ in range(2)]
    # Each takes its second block; of the one that is left, neither may have it for drafts.
    assert rows(plans[1]) == [(0, 4, 4), (1, 4, 4)]
    assert not plans[1].preempted
    assert sim.blocks.available == 1


def test_a_finished_row_of_a_gang_has_no_drafts() -> None:
    sim = eager(StrategyName.BATCHED, max_seqs=2, token_budget=20)
    short, long = sim.add(prompt(3), 2), sim.add(prompt(3), 20)
    sim.step()
    sim.step()
    assert short.done
    plan = sim.step()
    assert [chunk.ghost for chunk in plan.chunks] == [True, False]
    assert [len(chunk.drafts) for chunk in plan.chunks] == [0, 5]
    sim.drain()
    assert long.num_output_tokens == 20


def test_where_the_newest_token_is_not_known_yet_nothing_is_guessed() -> None:
    sim = Simulation(StrategyName.CONTINUOUS, ahead=1)
    sim.add(prompt(3), 9)
    sim.begin_step()
    sim.scheduler.plan_drafts = Drafting(Eager(), 5).extend
    plan = sim.begin_step()
    assert rows(plan) == [(0, 3, 1)]
    assert plan.num_drafts == 0
    sim.scheduler.plan_drafts = None
    sim.collect()
    sim.drain()


@pytest.mark.parametrize("accepted", range(4))
def test_a_wrong_draft_ends_the_run_and_its_place_is_computed_again(accepted: int) -> None:
    class Wrong(Eager):
        def guess(self, request: Request, room: int) -> list[int]:
            guess = super().guess(request, room)
            return [token + (place == accepted) for place, token in enumerate(guess)]

    sim = eager(StrategyName.HYBRID)
    sim.scheduler.plan_drafts = Drafting(Wrong(), 4).extend
    request = sim.add(prompt(3), 20)
    sim.step()
    sim.step()
    assert request.num_output_tokens == 1 + accepted + 1
    assert request.num_computed == request.num_tokens - 1
    sim.drain()
