"""An engine under a clock that only its own looks move, checked after everything that is done."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypedDict, Unpack

import torch
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.logit_edits import LogitEdits
from prodtop.engine.serving.request import Completion, Request, Sampling
from prodtop.engine.serving.runner import RunnerFactory, runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.token_delivery import TokenOutbox
from timeline_checks import check_timeline

CPU = torch.device("cpu")
CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]

ROOMY = EngineSettings(max_seqs=8, token_budget=64, kv_blocks=128, context_tokens=256)
CHUNKED = EngineSettings(max_seqs=3, token_budget=7, kv_blocks=128, context_tokens=256)
SCARCE = EngineSettings(max_seqs=6, token_budget=32, kv_blocks=11, context_tokens=256)
"""Blocks for one long sequence and little more: the others are preempted again and again."""


class Wishes(TypedDict, total=False):
    """What `Engine.submit` takes of requests from outside."""

    stop_token_ids: tuple[int, ...]
    edits: LogitEdits
    logprobs: int | None
    prompt_logprobs: int | None
    grammar: str | None
    outbox: TokenOutbox | None


class LookClock:
    """Every look at it finds it a millisecond later: time passes the same way in every run."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


class CheckedEngine:
    """An engine that accounts for every request after every step."""

    def __init__(
        self,
        model: LoadedModel,
        strategy: StrategyName,
        precision: PrecisionName = PrecisionName.FP32,
        settings: EngineSettings = ROOMY,
        runner_for: RunnerFactory = runner_for,
        device: torch.device = CPU,
    ) -> None:
        self.clock = LookClock()
        self.engine = Engine(
            model,
            settings,
            strategy=strategy,
            precision=precision,
            device=device,
            clock=self.clock,
            runner_for=runner_for,
        )
        self.completions: dict[int, Completion] = {}
        self.texts: dict[int, str] = {}
        """What each client had received when it last looked, by request id."""

    def ask(
        self,
        prompt: tuple[int, ...],
        max_tokens: int,
        *,
        sampling: Sampling | None = None,
        ignore_eos: bool = False,
        stop_strings: tuple[str, ...] = (),
        **wishes: Unpack[Wishes],
    ) -> Request:
        request = self.engine.submit(
            list(prompt),
            sampling or Sampling(),
            max_tokens,
            ignore_eos=ignore_eos,
            stop_strings=stop_strings,
            **wishes,
        )
        self.check()
        return request

    def step(self) -> None:
        """One step; its completions are kept, and none may come twice."""
        for completion in self.engine.step():
            request = completion.request
            assert request.done
            assert request.request_id not in self.completions
            self.completions[request.request_id] = completion
            if completion.latency is not None:
                assert request.last_token_at_s is not None or not request.num_output_tokens
                check_timeline(request, request.last_token_at_s or self.clock.now_s)
        self.check()

    def drain(self, most_steps: int = 20_000) -> None:
        """Step until nothing is left to do, and see that nothing was left behind."""
        for _ in range(most_steps):
            if not self.engine.has_work:
                break
            self.step()
        assert not self.engine.has_work, "requests are stuck"
        assert self.engine.metrics.accounting().in_system == 0
        assert self.engine.blocks.counts().running == 0
        assert not self.engine.deliveries

    def check(self) -> None:
        """Every request is where the counters say; clients keep what they once received."""
        engine = self.engine
        accounting = engine.metrics.accounting()
        in_system = engine.scheduler.num_running + engine.scheduler.num_waiting
        assert accounting.in_system == in_system == len(engine.deliveries)
        assert accounting.submitted == accounting.finished + accounting.failed + in_system
        counts = engine.blocks.counts()
        assert counts.running + counts.evictable + counts.free == counts.total
        ended = {number: done.text for number, done in self.completions.items()}
        now = {number: delivery.text for number, delivery in engine.deliveries.items()} | ended
        for number, text in now.items():
            assert text.startswith(self.texts.get(number, ""))
        self.texts = now


@cache
def model_of(folder: Path) -> LoadedModel:
    """The folder's model, loaded once."""
    return load_model(str(folder))


def with_eos(model: LoadedModel, *token_ids: int) -> LoadedModel:
    """The same model, ending its texts with other tokens."""
    config = replace(model.config, eos_token_ids=frozenset(token_ids))
    return replace(model, master=replace(model.master, config=config))
