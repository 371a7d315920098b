"""Builds the frame: one complete picture of the engine, for the screen and for recordings."""

import time
from collections.abc import Sequence

import msgspec

from ..device.devices import device_name
from ..metrics.latency import percentiles
from ..precision.levels import statuses
from ..probes.own_gpu import OwnGpu
from ..protocol import (
    AdmissionCounts,
    Attainment,
    Averages,
    Blocks,
    Bound,
    Cache,
    Frame,
    HitRates,
    Latency,
    Memory,
    ModelInfo,
    Percentiles,
    Roofline,
    StreamView,
    TraceRecording,
    Usage,
    Verdict,
    Window,
)
from ..serving.engine import Engine
from ..serving.kv_cache import BLOCK_TOKENS
from ..serving.request import Completion, Request
from ..shape.shape_message import shape_message
from ..text.cleaning import clean
from .figures import attainment, averages, engine_memory, queue, roofline, speculation, usage
from .traffic import Traffic

SLOW_INTERVAL_S = 0.5
"""Percentiles and memory change slowly and cost more: they are refreshed this often."""

STREAM_HOLD_S = 1.0
"""A finished text stays this long, so that it can be read before the next one begins."""


def model_info(engine: Engine) -> ModelInfo:
    """What the screen says of the model."""
    config = engine.model.config
    return ModelInfo(
        name=engine.model.name,
        parameters=config.parameters,
        layers=config.layers,
        context_tokens=engine.settings.context_tokens,
        vocabulary=config.vocabulary,
        shape=shape_message(config),
    )


class FrameBuilder:
    """Makes frames of one engine under one load; `own_gpu` is `None` on a CPU."""

    def __init__(self, engine: Engine, own_gpu: OwnGpu | None) -> None:
        self._engine = engine
        self._own_gpu = own_gpu
        self._sequence = 0
        self._started_s = engine.clock()
        self._model = model_info(engine)
        self._device_name = device_name(engine.device)
        self._statuses = statuses(engine.device)
        self._stream = StreamFollower(engine)
        self._slow_at_s = float("-inf")
        self._latency: dict[Window, Latency] = {}
        self._rates: dict[Window, HitRates] = {}
        self._attainment: dict[Window, Attainment] = {}
        self._admission: dict[Window, AdmissionCounts] = {}
        self._averages: dict[Window, Averages] = {}
        self._usage: dict[Window, Usage] = {}
        self._dispatch: Percentiles | None = None
        self._memory: Memory
        self._captured_s = 0.0

    def on_completions(self, completions: list[Completion], traffic: Traffic) -> None:
        """Note which requests of `traffic` ended: the one on the screen is shown to its end.

        Before `traffic` itself is told, which then forgets their prompts.
        """
        self._stream.on_completions(completions, traffic)

    def build(
        self,
        traffic: Traffic,
        switching: str | None = None,
        recording: TraceRecording | None = None,
    ) -> Frame:
        """The engine as it is now, about to be held up by a switch if it is `switching`."""
        engine, metrics = self._engine, self._engine.metrics
        now_s = engine.clock()
        self._refresh_slow(traffic, now_s)
        self._sequence += 1
        return Frame(
            sequence=self._sequence,
            at_s=now_s,
            wall_s=time.time(),
            uptime_s=now_s - self._started_s,
            model=self._model,
            device=str(engine.device),
            device_name=self._device_name,
            gpu_uuid=None if self._own_gpu is None else self._own_gpu.uuid,
            strategy=engine.strategy.name,
            precision=engine.precision,
            precisions=self._statuses,
            load=traffic.spec,
            throughput=metrics.throughput.rates(now_s),
            latency=self._latency,
            cache=self._cache(),
            queue=queue(engine, now_s),
            accounting=metrics.accounting(),
            memory=self._memory,
            roofline=self._roofline(now_s, switching),
            max_seqs=engine.scheduler.max_seqs,
            built_max_seqs=engine.settings.max_seqs,
            switching=switching,
            preparing=None if engine.preparing is None else engine.preparing.what,
            last_switch=metrics.switches.effect(now_s),
            steady=metrics.switches.steady(now_s),
            stream=self._stream.view(traffic, now_s),
            latency_counts=metrics.latency_counts.counts(),
            latency_counts_since_switch=metrics.latency_counts_since_switch.counts(),
            generated_tokens_total=metrics.generated_tokens_total,
            speculation=speculation(engine, now_s),
            slo=metrics.attainment.slo,
            attainment=self._attainment,
            admission=self._admission,
            averages=self._averages,
            usage=self._usage,
            dispatch=self._dispatch,
            trace=traffic.trace_progress(),
            recording=recording,
        )

    def _roofline(self, now_s: float, switching: str | None) -> Roofline:
        """What binds; no step is computed before the next frame where a switch begins."""
        captured_s, self._captured_s = self._captured_s, self._engine.runner.capture_s
        # A new runner counts from zero.
        capture_s = max(0.0, self._captured_s - captured_s)
        if capture_s:
            self._engine.metrics.limits.on_compiled(capture_s, now_s)
        found = roofline(self._engine, now_s)
        if switching is None:
            return found
        return msgspec.structs.replace(found, verdict=Verdict(bound=Bound.COMPILING, share=1.0))

    def _refresh_slow(self, traffic: Traffic, now_s: float) -> None:
        metrics = self._engine.metrics
        if now_s - self._slow_at_s < SLOW_INTERVAL_S:
            metrics.on_memory(self._memory.used_bytes, now_s)
            return
        self._slow_at_s = now_s
        self._latency = metrics.latency.all_windows(now_s)
        self._rates = metrics.hits.rates(now_s)
        self._attainment = attainment(self._engine, now_s)
        self._admission = metrics.admission.all_windows(metrics.spans_s(now_s), now_s)
        self._averages = averages(self._engine, now_s)
        metrics.on_energy(None if self._own_gpu is None else self._own_gpu.energy_j(), now_s)
        self._usage = usage(self._engine, now_s)
        self._dispatch = percentiles(traffic.dispatch.view(Window.M1, now_s))
        self._memory = engine_memory(self._engine, self._own_gpu)
        metrics.on_memory(self._memory.used_bytes, now_s)

    def _cache(self) -> Cache:
        engine = self._engine
        counts = engine.blocks.counts()
        responses = engine.response_cache if engine.strategy.response_cache else None
        return Cache(
            blocks=Blocks(
                total=counts.total,
                running=counts.running,
                evictable=counts.evictable,
                free=counts.free,
                block_tokens=BLOCK_TOKENS,
            ),
            rates=self._rates,
            response_entries=None if responses is None else responses.entries,
            response_bytes=None if responses is None else responses.bytes_used,
            response_limit_bytes=None if responses is None else responses.limit_bytes,
            note=self._cache_note(),
        )

    def _cache_note(self) -> str | None:
        stats = self._engine.blocks.prefix_stats
        if not self._engine.strategy.prefix_cache or not stats.short_misses:
            return None
        if stats.short_misses * 2 < stats.lookups:
            return None
        return f"most prompts are shorter than one KV block ({BLOCK_TOKENS} tokens): no prefix hit"


class StreamFollower:
    """Picks one request and stays with it until its end, so that its text can be read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._request: Request | None = None
        self._prompt = ""
        self._final: StreamView | None = None
        self._final_at_s = float("-inf")

    def on_completions(self, completions: list[Completion], traffic: Traffic) -> None:
        """Keep the last view of the followed request, or of any answer while none is followed."""
        for completion in completions:
            followed = self._request is completion.request
            if followed or self._request is None:
                self._prompt = _prompt_of(completion.request, traffic)
                self._final = self._view(completion.request, completion.text, completion)
                self._final_at_s = self._engine.clock()
            if followed:
                self._request = None

    def view(self, traffic: Traffic, now_s: float) -> StreamView | None:
        """The followed request as it is now."""
        holding = now_s - self._final_at_s < STREAM_HOLD_S
        if self._request is None and not holding:
            self._request = _to_follow(self._engine.scheduler.running)
            if self._request is not None:
                self._prompt = _prompt_of(self._request, traffic)
        if self._request is None:
            return self._final
        delivery = self._engine.deliveries[self._request.request_id]
        return self._view(self._request, delivery.text, None, held=delivery.withheld)

    def _view(
        self, request: Request, text: str, completion: Completion | None, held: bool = False
    ) -> StreamView:
        return StreamView(
            request_id=request.request_id,
            prompt=self._prompt,
            text=text,
            generated_tokens=request.num_output_tokens,
            max_tokens=request.max_tokens,
            finished=completion is not None,
            held=held,
            from_cache=completion is not None and completion.from_response_cache,
            served=request.undecoded,
        )


def _to_follow(running: Sequence[Request]) -> Request | None:
    """The newest whose text is known here; else the newest of the server's."""
    if not running:
        return None
    return next((each for each in reversed(running) if not each.undecoded), running[-1])


def _prompt_of(request: Request, traffic: Traffic) -> str:
    return clean(traffic.prompts.get(request.request_id, ""))
