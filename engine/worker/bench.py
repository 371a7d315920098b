"""Measuring cells: one strategy at one precision under one load, from a cold cache."""

import hashlib
import math
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import msgspec
import torch

from ..load.prompts import Prompt
from ..load.trace_load import Clipped
from ..metrics.collector import Metrics
from ..metrics.latency import distribution, percentiles
from ..precision.levels import unavailable_reason
from ..probes.own_gpu import OwnGpu
from ..protocol import (
    MOST_SAMPLED_REQUESTS,
    BenchSpec,
    CellMemory,
    CellResult,
    CellSkipped,
    CellTrace,
    LoadSpec,
    Percentiles,
    PrecisionName,
    SpeculationSpec,
    StrategyName,
    Window,
)
from ..protocol.bounds import TRACE_BOUNDS, check_speculation
from ..protocol.errors import PrecisionUnavailableError, ProdtopError
from ..serving.engine import Engine
from ..serving.request import Completion, Request, Status
from .figures import engine_memory, roofline, usage_over
from .samples import request_samples
from .traffic import Traffic

LOOK_INTERVAL_S = 0.05
"""How often a running cell looks at its memory, and whether anybody still wants it."""
_LONGEST_NAP_S = 0.05
_STOPPED = "the measurement was stopped"


class BenchStoppedError(ProdtopError):
    """Nobody waits for the cells any more. None of their requests is left in the engine."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A load that was served: how each request ended, in the order of arrival, and the most held.

    `ended_at_s`: by request id. `peak_kv_share`: the most of the KV blocks that running requests
    held, as a fraction.
    """

    completions: list[Completion]
    ended_at_s: dict[int, float]
    last_end_s: float
    peak_bytes: int
    peak_running: int
    peak_kv_share: float
    dispatch: Percentiles | None
    """From arrival to being submitted."""
    clipped: Clipped

    @property
    def requests(self) -> list[Request]:
        return [each.request for each in self.completions]

    @property
    def finished(self) -> list[Request]:
        """Those whose client got all of its answer."""
        return [request for request in self.requests if request.status is Status.FINISHED]

    @property
    def duration_s(self) -> float:
        """From the first arrival to the last end."""
        first_s = min((each.arrival_at_s for each in self.requests), default=self.last_end_s)
        return max(0.0, self.last_end_s - first_s)

    def rate(self, amount: int) -> float:
        """`amount` a second."""
        return amount / self.duration_s if self.duration_s else 0.0


class Bench:
    """Runs the cells of a spec on one engine, one after the other.

    `keep_going` is asked every `LOOK_INTERVAL_S` seconds; where it says no, `cells` raises
    `BenchStoppedError`. `prepare` returns when the engine's kernels are all ready: measured is what
    serves in the end.
    """

    def __init__(
        self,
        engine: Engine,
        prompts: tuple[Prompt, ...],
        *,
        own_gpu: OwnGpu | None,
        versions: dict[str, str],
        keep_going: Callable[[], bool] = lambda: True,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._prompts = prompts
        self._own_gpu = own_gpu
        self._versions = versions
        self._keep_going = keep_going
        self._prepare = prepare

    def cells(self, spec: BenchSpec) -> Iterator[CellResult | CellSkipped]:
        """Measure every cell that this device can run; the others say why not.

        Raises `BadInputError` for settings that the engine cannot have. They stay set afterwards.
        """
        self._apply(spec)
        # What warms up a cell does not count in the session whose metrics were there.
        self._engine.metrics = Metrics(self._engine.clock())
        for precision in spec.precisions:
            if not self._keep_going():
                raise BenchStoppedError(_STOPPED)
            reason = self._switch_precision(precision)
            self._prepare()
            for strategy in spec.strategies:
                if reason is None:
                    yield self._cell(spec, strategy)
                else:
                    yield CellSkipped(strategy=strategy, precision=precision, reason=reason)

    def _apply(self, spec: BenchSpec) -> None:
        engine = self._engine
        if spec.max_seqs is not None and spec.max_seqs != engine.scheduler.max_seqs:
            engine.set_max_seqs(spec.max_seqs)
        if spec.drafts is not None:
            now = engine.speculation.spec
            wanted = (
                msgspec.structs.replace(now or SpeculationSpec(), drafts=spec.drafts)
                if spec.drafts
                else None
            )
            check_speculation(wanted)
            if wanted != now:
                engine.set_speculation(wanted)

    def _switch_precision(self, precision: PrecisionName) -> str | None:
        """Serve at `precision`; returns why that is impossible, if it is."""
        reason = unavailable_reason(precision, self._engine.device)
        if reason is None and precision is not self._engine.precision:
            try:
                self._engine.set_precision(precision)
            except PrecisionUnavailableError as error:
                reason = str(error)
        return reason

    def _cell(self, spec: BenchSpec, strategy: StrategyName) -> CellResult:
        engine = self._engine
        engine.set_strategy(strategy)
        if spec.warmup:
            self._run(_hurried(spec.load), spec.warmup)
        engine.reset_caches()
        engine.metrics = metrics = Metrics(engine.clock())
        energy_before = self._energy()
        run = self._run(spec.load, spec.requests)
        now_s = engine.clock()
        energy_after = self._energy()
        energy_j = (
            None if energy_before is None or energy_after is None else energy_after - energy_before
        )
        usage = usage_over(engine, now_s, math.inf)
        counted = metrics.accounting()
        totals, rates = metrics.throughput.totals(now_s), metrics.hits.session(now_s)
        latency = metrics.latency.over(Window.SESSION, now_s)
        limits = roofline(engine, now_s, math.inf)
        memory = engine_memory(engine, self._own_gpu)
        finished = run.finished
        output_tokens = sum(request.num_output_tokens for request in finished)
        prompt_tokens = sum(len(request.prompt_tokens) for request in finished)
        return CellResult(
            model=engine.model.name,
            device=str(engine.device),
            strategy=strategy,
            precision=engine.precision,
            requests=counted.submitted + counted.rejected,
            failed=counted.failed,
            rejected=counted.rejected,
            duration_s=run.duration_s,
            output_tok_s=run.rate(output_tokens),
            total_tok_s=run.rate(output_tokens + prompt_tokens),
            req_s=run.rate(len(finished)),
            ttft_ms=distribution(latency.ttft),
            ttfb_ms=distribution(latency.ttfb),
            tpot_ms=distribution(latency.tpot),
            itl_ms=distribution(latency.itl),
            e2e_ms=distribution(latency.e2e),
            queue_ms=distribution(latency.queue),
            batch_waste=totals.batch_waste,
            response_hit_rate=rates.response,
            prefix_hit_rate=rates.prefix,
            draft_acceptance_rate=metrics.draft_acceptance(now_s, math.inf),
            memory=CellMemory(
                weights_bytes=memory.weights_bytes,
                kv_bytes=memory.kv_bytes,
                peak_bytes=run.peak_bytes,
            ),
            mbu=limits.mbu,
            mfu=limits.mfu,
            energy_j=energy_j,
            output_sha256=output_digest(request.output_tokens for request in run.requests),
            versions=self._versions,
            max_seqs=engine.scheduler.running_limit,
            drafts=0 if engine.speculation.spec is None else engine.speculation.spec.drafts,
            peak_running=run.peak_running,
            peak_kv_bytes=round(run.peak_kv_share * memory.kv_bytes),
            dispatch_ms=distribution(run.dispatch),
            trace=_cell_trace(spec.load, run.clipped),
            samples=request_samples(run.completions, run.ended_at_s)
            if spec.samples and spec.requests <= MOST_SAMPLED_REQUESTS
            else None,
            usage=msgspec.structs.replace(
                usage,
                span_s=run.duration_s,
                device_s=min(usage.device_s, run.duration_s),
                energy_j=energy_j,
            ),
        )

    def _energy(self) -> float | None:
        return None if self._own_gpu is None else self._own_gpu.energy_j()

    def _run(self, load: LoadSpec, requests: int) -> "_Run":
        """Serve `requests` of `load` to the end of the last. Raises `BenchStoppedError`."""
        engine = self._engine
        traffic = Traffic(engine, self._prompts, load, limit=requests)
        ended: list[Completion] = []
        ended_at_s: dict[int, float] = {}
        peak_bytes, looked_s, last_end_s = 0, float("-inf"), engine.clock()
        peak_running, peak_kv_share = 0, 0.0
        while not traffic.exhausted:
            traffic.submit_arrivals()
            completions = engine.step()
            own = traffic.on_completions(completions)
            now_s = engine.clock()
            ended += own
            ended_at_s |= {each.request.request_id: now_s for each in own}
            blocks = engine.blocks.counts()
            peak_running = max(peak_running, engine.scheduler.num_running)
            peak_kv_share = max(peak_kv_share, blocks.running / blocks.total)
            if completions:
                last_end_s = now_s
            if now_s - looked_s >= LOOK_INTERVAL_S:
                looked_s = now_s
                if not self._keep_going():
                    self._abandon(traffic)
                    raise BenchStoppedError(_STOPPED)
                used = engine_memory(engine, self._own_gpu).used_bytes
                peak_bytes = max(peak_bytes, used)
            if not completions and not engine.computed:
                due = [t for t in (traffic.next_due_s(), engine.next_deadline_s()) if t is not None]
                time.sleep(min(max(min(due, default=now_s) - now_s, 0.0), _LONGEST_NAP_S))
        # Ids are given in the order of arrival.
        return _Run(
            completions=sorted(ended, key=lambda each: each.request.request_id),
            ended_at_s=ended_at_s,
            last_end_s=last_end_s,
            peak_bytes=peak_bytes,
            peak_running=peak_running,
            peak_kv_share=peak_kv_share,
            dispatch=percentiles(traffic.dispatch.view(Window.SESSION, engine.clock())),
            clipped=traffic.clipped,
        )

    def _abandon(self, traffic: Traffic) -> None:
        """Abort all requests of a load; a runner that works ahead may be busy with some."""
        for request_id in list(traffic.prompts):
            self._engine.abort(request_id, _STOPPED)
        while self._engine.has_work:
            self._engine.step()


def _hurried(load: LoadSpec) -> LoadSpec:
    """A load to warm up with: what a trace begins with, without its pauses."""
    if load.trace is None:
        return load
    fastest = TRACE_BOUNDS["speed"].most
    return msgspec.structs.replace(load, trace=msgspec.structs.replace(load.trace, speed=fastest))


def _cell_trace(load: LoadSpec, clipped: Clipped) -> CellTrace | None:
    if load.trace is None:
        return None
    return CellTrace(
        name=load.trace.name,
        speed=load.trace.speed,
        clipped_prompts=clipped.prompts,
        clipped_outputs=clipped.outputs,
    )


def output_digest(outputs: Iterable[Sequence[int]]) -> str:
    """SHA-256 over the output token ids of requests, each preceded by how many there are."""
    digest = hashlib.sha256()
    for tokens in outputs:
        digest.update(array("I", [len(tokens), *tokens]).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """What a figure depends on beside the hardware."""
    versions = {"prodtop": version("prodtop"), "torch": str(torch.__version__)}
    if torch.version.cuda is not None:
        versions["cuda"] = torch.version.cuda
    return versions
