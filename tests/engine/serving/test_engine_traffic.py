"""The engine under random traffic: any order of requests, aborts and switches of both kinds."""

import re
from pathlib import Path

import pytest
from engine_harness import CPU_PRECISIONS, CheckedEngine, Wishes, model_of
from export_recount import check_exported
from greedy_oracle import Case, GreedyOracle
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from known_outputs import ALWAYS
from llguidance import LLMatcher
from prodtop.engine.model.loading import LoadedModel
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.serving.logit_edits import LogitEdits
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.token_delivery import RequestOutput, TokenOutbox

LENGTHS = [(1, 12), (4, 5), (16, 20), (33, 9), (45, 14), (60, 25)]
LONGEST_BLOCKS = 6
DIGITS = LLMatcher.grammar_from_regex("[0-9]{1,30}")


class EngineTraffic(RuleBasedStateMachine):
    """`CheckedEngine` accounts for every request after each change; `teardown` sees to the end of
    all, and compares what only fp32 wrote with what transformers says."""

    model: LoadedModel
    cases: list[Case]

    @initialize(
        name=st.sampled_from(StrategyName),
        max_seqs=st.integers(1, 5),
        spare_budget=st.integers(0, 40),
        spare_blocks=st.integers(0, 20),
        speculation=st.sampled_from([None, ALWAYS, SpeculationSpec(drafts=2)]),
    )
    def start(
        self,
        name: StrategyName,
        max_seqs: int,
        spare_budget: int,
        spare_blocks: int,
        speculation: SpeculationSpec | None,
    ) -> None:
        limits = EngineSettings(
            max_seqs=max_seqs,
            token_budget=max_seqs + spare_budget,
            kv_blocks=LONGEST_BLOCKS + spare_blocks,
            context_tokens=256,
            speculation=speculation,
        )
        self.served = CheckedEngine(self.model, name, settings=limits)
        self.greedy: list[tuple[Request, Case]] = []
        self.all: list[Request] = []
        self.mixed: set[int] = set()
        """Requests that another precision than fp32 had, or may have had, a hand in."""
        self.outbox = TokenOutbox()
        self.outside: list[Request] = []
        self.early: set[int] = set()
        self.dropped = False
        """Whether a request that ended early has lost tokens."""
        self.read_outputs: dict[int, list[RequestOutput]] = {}

    @rule(picks=st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, max_size=4))
    def ask(self, picks: list[int]) -> None:
        for pick in picks:
            case = self.cases[pick]
            request = self.served.ask(case.prompt, case.max_tokens, ignore_eos=True)
            self.greedy.append((request, case))
            self.all.append(request)
            if self.served.engine.precision is not PrecisionName.FP32:
                self.mixed.add(request.request_id)

    @rule(pick=st.integers(0, len(LENGTHS) - 1), seed=st.sampled_from([None, 1, 2]))
    def ask_for_a_sample(self, pick: int, seed: int | None) -> None:
        case = self.cases[pick]
        sampling = Sampling(temperature=1.0, top_p=0.9, seed=seed)
        self.all.append(self.served.ask(case.prompt, case.max_tokens, sampling=sampling))

    @rule(
        pick=st.integers(0, len(LENGTHS) - 1),
        seed=st.sampled_from([None, 1]),
        wish=st.sampled_from(
            [
                {},
                {"edits": LogitEdits.of(presence_penalty=0.5, min_tokens=2)},
                {"logprobs": 2, "prompt_logprobs": 0},
                {"grammar": DIGITS, "logprobs": 0},
            ]
        ),
    )
    def ask_for_tokens(self, pick: int, seed: int | None, wish: Wishes) -> None:
        case = self.cases[pick]
        sampling = Sampling(temperature=0.0 if seed is None else 1.0, seed=seed)
        wishes: Wishes = {**wish, "outbox": self.outbox}
        request = self.served.ask(case.prompt, case.max_tokens, sampling=sampling, **wishes)
        self.all.append(request)
        self.outside.append(request)

    @precondition(lambda self: self.outside)
    @rule(data=st.data())
    def finish_early(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.outside[-6:]))
        tokens = data.draw(st.integers(0, request.num_output_tokens))
        if not (request.done or request.token_times_s):
            # Nobody finds a stop string before there is a token.
            return
        if not request.done:
            self.early.add(request.request_id)
            self.dropped |= tokens < request.num_output_tokens
        self.served.engine.finish_early(request.request_id, tokens)
        self.served.check()
        assert request.done

    @rule()
    def read(self) -> None:
        """Take what came, in pieces of any size: nothing follows an end."""
        for output in self.outbox.drain():
            read = self.read_outputs.setdefault(output.request.request_id, [])
            assert not read or read[-1].finish_reason is None
            read.append(output)

    def check_exported(self) -> None:
        """Tokens that were dropped were counted as they came, and no request tells of them now."""
        if not self.dropped:
            check_exported(self.served.engine.exported.counted(), self.all)

    @rule(steps=st.integers(1, 10))
    def serve(self, steps: int) -> None:
        for _ in range(steps):
            self.served.step()
        self.check_exported()

    @rule(seconds=st.sampled_from([0.1, 0.3]))
    def pass_time(self, seconds: float) -> None:
        self.served.clock.now_s += seconds

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.all[-6:]))
        was_done = request.done
        self.served.engine.abort(request.request_id)
        self.served.check()
        assert was_done or request.status is Status.ABORTED

    @rule(name=st.sampled_from(StrategyName))
    def switch_strategy(self, name: StrategyName) -> None:
        self.served.engine.set_strategy(name)
        self.served.check()

    @rule(spec=st.sampled_from([None, ALWAYS]))
    def switch_speculation(self, spec: SpeculationSpec | None) -> None:
        self.served.engine.set_speculation(spec)
        self.served.check()

    @rule(name=st.sampled_from([PrecisionName.FP32, *CPU_PRECISIONS]))
    def switch_precision(self, name: PrecisionName) -> None:
        self.served.engine.set_precision(name)
        self.served.check()
        assert self.served.engine.blocks.counts().running == 0
        if name is not PrecisionName.FP32:
            self.mixed |= set(self.served.engine.deliveries)

    def teardown(self) -> None:
        if not hasattr(self, "served"):
            return
        self.served.drain()
        self.check_exported()
        assert set(self.served.completions) == {request.request_id for request in self.all}
        accounting = self.served.engine.metrics.accounting()
        assert accounting.submitted == len(self.all)
        assert accounting.failed == sum(r.status is Status.ABORTED for r in self.all)
        self.read()
        for request in self.outside:
            self.check_outputs(request)
        for request, case in self.greedy:
            if request.status is Status.FINISHED:
                assert request.num_output_tokens == case.max_tokens
                if request.request_id not in self.mixed:
                    assert tuple(request.output_tokens) == case.output

    def check_outputs(self, request: Request) -> None:
        """The reader of a request got its tokens, one logprob each where it asked, and its end; of
        one finished early it may have read more."""
        outputs = self.read_outputs[request.request_id]
        tokens = [token for output in outputs for token in output.token_ids]
        logprobs = [entry for output in outputs for entry in output.logprobs or []]
        kept = request.num_output_tokens
        assert tokens[:kept] == request.output_tokens
        assert len(tokens) == kept or request.request_id in self.early
        assert outputs[-1].finish_reason in (
            ("abort",) if request.status is Status.ABORTED else ("stop", "length")
        )
        if request.logprobs is not None:
            assert [entry.token_id for entry in logprobs] == tokens
        prompts = [o.prompt_logprobs for o in outputs if o.prompt_logprobs is not None]
        if request.prompt_logprobs is not None and request.first_token_at_s is not None:
            (entries,) = prompts
            assert [entry.token_id for entry in entries] == request.prompt_tokens[1:]
        if request.grammar is not None:
            text = self.model.tokenizer.decode(request.output_tokens)
            assert re.fullmatch("[0-9]*", text)


@pytest.fixture(scope="module")
def cases(tiny_folder: Path) -> list[Case]:
    return GreedyOracle(tiny_folder).cases(LENGTHS, shared_prefix=20, seed=9)


def test_no_order_of_events_loses_a_request_or_changes_an_output(
    tiny_folder: Path, cases: list[Case]
) -> None:
    machine = type("Traffic", (EngineTraffic,), {"model": model_of(tiny_folder), "cases": cases})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
