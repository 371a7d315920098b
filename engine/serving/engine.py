"""The engine: requests in by one door, steps, texts out; strategy and precision live.

It joins scheduler, model and measurements; whoever owns it calls `step` as long as there is work.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable

import torch

from ..device.devices import out_of_memory, release_unused
from ..metrics.collector import Metrics
from ..model.loading import LoadedModel
from ..precision.levels import require
from ..protocol import PrecisionName, SpeculationSpec, StrategyName
from ..protocol.errors import PrecisionUnavailableError
from .blocks import BlockManager
from .cached_answers import CachedAnswers
from .delivery import RequestDelivery
from .eager_runner import Piece
from .grammar import Grammars
from .kv_cache import BLOCK_TOKENS
from .logit_edits import NO_EDITS, LogitEdits
from .model_drafter import ModelDrafter
from .notes import NO_MEMORY_FOR_DRAFTS, out_of_memory_text
from .outcomes import Outcomes
from .request import Completion, Request, Sampling, Status
from .response_cache import ResponseCache
from .runner import Runner, RunnerFactory, StepInFlight, runner_for
from .runner_slot import RunnerSlot
from .scheduler import Scheduler
from .settings import EngineSettings
from .speculation import Speculation
from .step_collector import StepCollector
from .step_plan import StepPlan
from .strategy import STRATEGIES, Strategy
from .submission import check_request
from .switch_memory import check_switch
from .token_delivery import TokenOutbox, delivery_for

Clock = Callable[[], float]

_LONGEST_PREPARATION_S = 0.1
"""No further piece is begun after this: requests wait meanwhile."""


class Engine:
    """One model at one precision under one strategy, both of which can be switched at any time.

    `metrics` may be replaced between requests (a bench measures each cell on its own): `exported`
    counts with the first alone. Times come from `clock`, which is monotonic, in seconds.
    `runner_for` makes what computes the steps; `drafter` is the draft model, if there is one.

    Raises `PrecisionUnavailableError` where `device` or a layer's shape does not allow the
    precision, `BadInputError` where the settings want a draft model and there is none.
    """

    def __init__(
        self,
        model: LoadedModel,
        settings: EngineSettings,
        *,
        strategy: StrategyName,
        precision: PrecisionName,
        device: torch.device,
        clock: Clock,
        runner_for: RunnerFactory = runner_for,
        drafter: ModelDrafter | None = None,
    ) -> None:
        require(precision, device)
        self.model = model
        self.settings = settings
        self.device = device
        self.clock = clock
        self.response_cache = ResponseCache(settings.response_cache_bytes, settings.response_ttl_s)
        self._answers = CachedAnswers(self.response_cache, model.name, precision)
        self.preemptions = 0
        """Requests that lost their KV blocks to older ones; those of a switch do not count."""
        self.notes: list[str] = []
        """Messages for the user; whoever reads them takes them away."""
        self.computed = False
        """Whether the last step had anything to compute."""
        self._next_id = 0
        eos_token_ids = model.config.eos_token_ids
        self._grammars = Grammars(model.tokenizer, model.config.vocabulary, eos_token_ids)
        self._following: dict[int, Request] = {}
        """The requests in the system whose next token needs all before it known here."""
        self._in_flight: deque[StepInFlight] = deque()
        self.blocks = BlockManager(settings.kv_blocks, BLOCK_TOKENS, prefix_caching=False)
        self.scheduler = Scheduler(
            STRATEGIES[strategy],
            self.blocks,
            max_seqs=settings.max_seqs,
            token_budget=settings.token_budget,
            prefill_beside_streams=settings.prefill_beside_streams,
            context_tokens=settings.context_tokens,
        )
        metrics = Metrics(clock())
        self.exported = metrics.exported
        self._outcomes = Outcomes(self.scheduler, self._answers, metrics, clock, self._on_end)
        self.deliveries: dict[int, RequestDelivery] = self._outcomes.deliveries
        self.drafter = drafter
        self.speculation = Speculation(settings.speculation, drafter)
        self._slot = RunnerSlot(model, settings, device, runner_for, precision)
        self._collector = StepCollector(
            self.scheduler,
            self._outcomes,
            settings.context_tokens,
            clock,
            self.runner.decoder,
            self.runner.kv_cache,
        )

    @property
    def metrics(self) -> Metrics:
        return self._outcomes.metrics

    @metrics.setter
    def metrics(self, metrics: Metrics) -> None:
        self._outcomes.metrics = metrics

    @property
    def runner(self) -> Runner:
        return self._slot.runner

    @property
    def strategy(self) -> Strategy:
        return self.scheduler.strategy

    @property
    def precision(self) -> PrecisionName:
        return self.runner.decoder.precision

    @property
    def has_work(self) -> bool:
        return self.scheduler.has_work or bool(self._outcomes.completions or self._in_flight)

    def submit(
        self,
        prompt_tokens: list[int],
        sampling: Sampling,
        max_tokens: int,
        *,
        arrival_at_s: float | None = None,
        stop_strings: tuple[str, ...] = (),
        stop_token_ids: Iterable[int] = (),
        ignore_eos: bool = False,
        edits: LogitEdits = NO_EDITS,
        logprobs: int | None = None,
        prompt_logprobs: int | None = None,
        grammar: str | None = None,
        outbox: TokenOutbox | None = None,
    ) -> Request:
        """Queue a request of tokens `[prompt]`, or complete it from the response cache at once.

        `stop_token_ids` are those beside the model's own. What `logprobs`, `prompt_logprobs` and
        `grammar` ask for is said at `Request`. With an `outbox` it is delivered as tokens, and no
        text of it is known here. Raises `BadInputError` (and counts nothing) for a prompt that is
        empty, too long for the context or the KV cache, or holds an id outside the vocabulary, and
        for a wish that cannot be fulfilled.
        """
        now_s = self.clock()
        request = Request(
            request_id=self._next_id,
            prompt_tokens=prompt_tokens,
            max_tokens=max_tokens,
            sampling=sampling,
            arrival_at_s=now_s if arrival_at_s is None else arrival_at_s,
            stop_token_ids=self.model.config.eos_token_ids,
            extra_stop_token_ids=frozenset(stop_token_ids),
            stop_strings=stop_strings,
            ignore_eos=ignore_eos,
            edits=edits,
            logprobs=logprobs,
            prompt_logprobs=prompt_logprobs,
            grammar=grammar,
            undecoded=outbox is not None,
            noise_seed=secrets.randbits(62) if sampling.seed is None else sampling.seed,
        )
        check_request(request, self.settings.context_tokens, self.model.config.vocabulary)
        self.scheduler.check(request)
        if grammar is not None:
            request.match = self._grammars.match(grammar)
        stream, tokenizer = self.strategy.stream, self.model.tokenizer
        delivery = delivery_for(request, tokenizer, outbox, stream=stream)
        cached = None
        if self.strategy.response_cache:
            cached = self._answers.find(request, self.metrics, now_s)
        if cached is None:
            self.scheduler.add(request, now_s)
            self._answers.expect(request)
            if request.follows_tokens:
                self._following[request.request_id] = request
        self._next_id += 1
        self.metrics.on_submitted(now_s, request.arrival_at_s, request)
        self.deliveries[request.request_id] = delivery
        if cached is not None:
            self._outcomes.complete_from_cache(request, cached)
        return request

    def step(self) -> list[Completion]:
        """Launch a step, if there is anything to compute; returns the requests that ended, or where
        the runner works ahead, those that an earlier step has ended."""
        launched = self._launch()
        active = launched or bool(self._in_flight)
        if active is not self.computed:
            self.metrics.limits.on_active(active, self.clock())
            self.speculation.on_pause()
        self.computed = active
        drafting = self.scheduler.plan_drafts is not None
        self._collect(leave=self.runner.ahead if launched and not drafting else 0)
        return self._outcomes.take()

    @property
    def preparing(self) -> Piece | None:
        """How far the kernels are that requests are served without; `None` where they serve."""
        substitute = self._slot.substitute
        return None if substitute is None else substitute.preparing

    def prepare(self) -> None:
        """Some of what `preparing` says, between two steps. Waits for nothing.

        Where the device has no memory for it, the precision before the last switch serves again.
        """
        if self.preparing is None:
            return
        self._collect()
        began_s = self.clock()
        try:
            changed = self._slot.prepare(lambda: self.clock() - began_s < _LONGEST_PREPARATION_S)
        except PrecisionUnavailableError as error:
            self._resume_all()
            self.notes.append(str(error))
            changed = True
        if changed:
            self._on_runner()
            self.speculation.on_switch()
        self.metrics.on_preparing(began_s, self.clock())

    def next_deadline_s(self) -> float | None:
        """When waiting requests become runnable by time alone; `None` where none will."""
        return self.scheduler.next_deadline_s(self.clock())

    def abort(self, request_id: int, reason: str = "aborted") -> None:
        """End a request wherever it is; its client gets what was delivered, and it has failed."""
        self._outcomes.fail(request_id, reason)

    def finish_early(self, request_id: int, output_tokens: int) -> None:
        """Finish a request by `stop` after its first `output_tokens`: its reader found a stop
        string. What was generated beyond is dropped; one that has ended already stays as it is."""
        self._outcomes.finish_early(request_id, output_tokens)

    def set_strategy(self, name: StrategyName) -> None:
        """Serve under another strategy from the next step on. No request is lost."""
        self._collect()
        now_s = self.clock()
        preempted = self.scheduler.set_strategy(STRATEGIES[name], now_s)
        self.metrics.on_preempted_by_switch(preempted, now_s)
        if not self.strategy.response_cache:
            self.response_cache.clear()
        self.speculation.on_switch()
        for delivery in self.deliveries.values():
            delivery.set_streaming(self.strategy.stream, now_s)

    def set_precision(self, name: PrecisionName) -> None:
        """Serve at another precision, made from the master copy. Running requests are resumed.

        Their keys and values are computed again. Raises `PrecisionUnavailableError` where device,
        shapes or memory do not allow the precision: the old one goes on serving then.
        """
        require(name, self.device)
        check_switch(self.runner, self.settings, name)
        self._collect()
        self._resume_all()
        try:
            self._slot.switch(name)
        except PrecisionUnavailableError:
            self._on_runner()
            raise
        self._on_runner()
        self.speculation.on_switch()

    def set_max_seqs(self, max_seqs: int) -> None:
        """Run at most so many sequences at once from the next step on: see `check_max_seqs`."""
        self.settings.check_max_seqs(max_seqs)
        self._collect()
        self.scheduler.set_max_seqs(max_seqs, self.clock())
        self.speculation.on_switch()

    def set_speculation(self, spec: SpeculationSpec | None) -> None:
        """Draft as `spec` says from the next step on, or not at all: no output changes. Raises
        `BadInputError` for a draft model that is not there."""
        self._collect()
        self.speculation = Speculation(spec, self.drafter)

    def reset_caches(self) -> None:
        """Forget all cached responses and prefixes. Only between requests."""
        self.response_cache.clear()
        self.blocks.drop_cached()

    def _resume_all(self) -> None:
        """Keys and values are lost: running requests wait until they are computed again."""
        preempted = self.scheduler.preempt_all(self.clock())
        self.metrics.on_preempted_by_switch(preempted, self.clock())
        self.blocks.drop_cached()

    def _on_runner(self) -> None:
        """The runner is a new one."""
        self._collector.set_decoder(self.runner.decoder, self.runner.kv_cache)
        self._answers.set_precision(self.precision)

    def _launch(self) -> bool:
        """Plan a step and begin to compute it; whether there was anything to."""
        self.scheduler.plan_drafts = planner = self.speculation.planner
        if planner is not None or any(each.num_pending for each in self._following.values()):
            # Drafts, penalties and grammars follow tokens that are known: no step ahead.
            self._collect()
        stats = self.blocks.prefix_stats
        hit_before, queried_before = stats.hit_tokens, stats.queried_tokens
        now_s = self.clock()
        plan = self.scheduler.schedule(now_s)
        if self.drafter is not None:
            self.notes += self.drafter.take_notes()
            if self.drafter.exhausted:
                self._stop_drafting(self.drafter)
        self.preemptions += len(plan.preempted)
        cached_tokens = stats.hit_tokens - hit_before
        self.metrics.on_prefix_lookup(cached_tokens, stats.queried_tokens - queried_before, now_s)
        self.metrics.on_plan(plan.refusal, len(plan.preempted), now_s, empty=not plan.chunks)
        if not plan.chunks:
            return False
        try:
            result = self.runner.launch(plan.chunks)
            self._in_flight.append(StepInFlight(plan, result, cached_tokens, planner is not None))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self._give_up(plan)
        return True

    def _give_up(self, plan: StepPlan) -> None:
        """The device has no memory for a step: its requests fail, and later ones are fewer."""
        self._collect()
        failed = [c.request for c in plan.chunks if c.request.status is Status.RUNNING]
        for request in failed:
            self._outcomes.fail(request.request_id, "no memory")
        release_unused(self.device)
        self.notes.append(out_of_memory_text(len(failed), self.scheduler.shrink()))

    def _stop_drafting(self, drafter: ModelDrafter) -> None:
        """The device has no memory for the draft model's steps: serve without drafts."""
        drafter.exhausted = False
        self.speculation = Speculation(None)
        release_unused(self.device)
        self.notes.append(NO_MEMORY_FOR_DRAFTS)

    def _collect(self, leave: int = 0) -> None:
        """Collect the tokens of steps, the oldest first, until `leave` steps are in flight."""
        while len(self._in_flight) > leave:
            self._collector.collect(self._in_flight.popleft(), self.speculation)
            self.notes += self._collector.take_notes()

    def _on_end(self, request: Request) -> None:
        self.speculation.forget(request.request_id)
        self._following.pop(request.request_id, None)
