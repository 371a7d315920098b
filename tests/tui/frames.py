"""Realistic frames and host samples for tests of the screen, and a client that plays them.

Everything is a pure function of the second since the start: two runs see the same bytes.
"""

from collections import deque
from collections.abc import Iterable

import msgspec
from frame_latencies import STREAMING, latency, latency_counts, wave
from frame_requests import CACHING, finished, in_system, timeline
from prodtop.engine.protocol import (
    Accounting,
    AdmissionCounts,
    Attainment,
    Averages,
    Blocks,
    Bound,
    Cache,
    Command,
    Frame,
    GpuSample,
    HitRates,
    HostSample,
    InspectRequest,
    LoadSpec,
    Memory,
    ModelInfo,
    Percentile,
    PrecisionName,
    PrecisionStatus,
    Queue,
    Ready,
    Report,
    Roofline,
    SetLoad,
    SetPrecision,
    SetStrategy,
    StrategyName,
    StreamView,
    Summary,
    Switched,
    SwitchEffect,
    Throughput,
    Usage,
    Verdict,
    Window,
)

GIB = 1024**3
EPOCH_S = 1_790_000_000.0
"""Unix time of second 0 of every script."""

MODEL = ModelInfo(
    name="qwen3-0.6b", parameters=596_049_920, layers=28, context_tokens=40_960, vocabulary=151_936
)
STORY = (
    "The lamp in the window was the last to go out. She had waited until the street was quiet, "
    "and then a little longer, because the quiet of that street had deceived her once before. "
    "When at last she drew the curtain, the harbour lay flat and grey as slate, and the one boat "
    "that ought to have been there was not. It was a small thing, an empty place between two "
    "others, and nobody but her would have marked it. She put on her coat without haste."
)
PRECISIONS = [
    PrecisionStatus(name=PrecisionName.FP32),
    PrecisionStatus(name=PrecisionName.BF16),
    PrecisionStatus(name=PrecisionName.FP16),
    PrecisionStatus(name=PrecisionName.INT8),
    PrecisionStatus(name=PrecisionName.INT4),
    PrecisionStatus(
        name=PrecisionName.FP8, reason="fp8 needs a GPU of compute capability 8.9 or newer"
    ),
]

_SPEED = {
    StrategyName.SINGLE: 520.0,
    StrategyName.BATCHED: 9_400.0,
    StrategyName.CONTINUOUS: 17_900.0,
    StrategyName.CACHED: 18_400.0,
    StrategyName.STREAMING: 17_600.0,
    StrategyName.HYBRID: 22_900.0,
}


def frame(
    second: float = 60.0,
    *,
    strategy: StrategyName = StrategyName.HYBRID,
    precision: PrecisionName = PrecisionName.BF16,
    load: LoadSpec | None = None,
    sequence: int | None = None,
) -> Frame:
    """One frame of a 0.6B model on an H200 under 32 users."""
    load = load or LoadSpec(users=32)
    speed = _SPEED[strategy] * (1 + 0.06 * wave(second, 23) + 0.03 * wave(second, 5.3))
    caching = strategy in CACHING
    limit = 1 if strategy is StrategyName.SINGLE else 64
    running = min(limit, 32, load.users)
    waiting = max(0, load.users - running)
    hits = HitRates(response=0.41, prefix=0.63) if caching else HitRates()
    finished = int(second * 38)
    written = STORY[: 40 + int(second * 37) % (len(STORY) - 40)]
    used = int(21.4 * GIB)
    weights, kv, workspace = int(1.11 * GIB), int(17.5 * GIB), int(1.6 * GIB)
    return Frame(
        sequence=round(second * 4) if sequence is None else sequence,
        at_s=500.0 + second,
        wall_s=EPOCH_S + second,
        uptime_s=second,
        model=MODEL,
        device="cuda",
        device_name="NVIDIA H200",
        strategy=strategy,
        precision=precision,
        precisions=PRECISIONS,
        load=load,
        throughput=Throughput(
            prefill_tok_s=0.31 * speed * (1 + 0.3 * wave(second, 7)),
            decode_tok_s=speed,
            cached_tok_s=0.2 * speed if caching else 0.0,
            requests_per_s=speed / 600,
            arrivals_per_s=speed / 600 * (1 + 0.1 * wave(second, 9)),
            steps_per_s=speed / running,
            mean_batch_rows=float(running),
            batch_waste=0.23 if strategy is StrategyName.BATCHED else 0.0,
        ),
        latency={window: latency(second, strategy) for window in Window},
        latency_counts=latency_counts(second),
        cache=Cache(
            blocks=Blocks(
                total=10_240, running=2_112, evictable=4_480, free=3_648, block_tokens=16
            ),
            rates=dict.fromkeys(Window, hits),
            response_entries=412 if caching else None,
            response_bytes=1_880_000 if caching else None,
            response_limit_bytes=67_108_864 if caching else None,
            note=None if caching else f"{strategy} keeps no prefix and no response",
        ),
        queue=Queue(
            running=running,
            waiting=waiting,
            mean_in_system=running + waiting + 0.3 * wave(second, 11),
            arrival_rate_times_residence=running + waiting + 0.3 * wave(second, 13),
            preemptions=3,
            running_limit=limit,
            mean_waiting=float(waiting),
            waiting_per_s=0.0,
            oldest_unstarted_s=1.4 if waiting else 0.02,
        ),
        accounting=Accounting(
            submitted=finished + running + waiting, finished=finished, in_system=running + waiting
        ),
        memory=Memory(
            used_bytes=used,
            weights_bytes=weights,
            kv_bytes=kv,
            workspace_bytes=workspace,
            other_bytes=used - weights - kv - workspace,
            torch_allocated_bytes=int(19.2 * GIB),
            torch_reserved_bytes=int(20.2 * GIB),
        ),
        roofline=Roofline(
            mbu=0.71 + 0.01 * wave(second, 23),
            mfu=0.09,
            active=1.0,
            busy=0.95,
            verdict=Verdict(bound=Bound.BANDWIDTH, share=0.75),
        ),
        max_seqs=64,
        stream=StreamView(
            request_id=1841 + int(second / 12),
            prompt="Write the opening of a novel that is set in a small harbour town.",
            text=written if strategy in STREAMING else "",
            generated_tokens=23,
            max_tokens=64,
            finished=False,
            held=strategy not in STREAMING,
        ),
        generated_tokens_total=int(_SPEED[StrategyName.CONTINUOUS] * second),
        attainment=dict.fromkeys(Window, attainment(speed / 600)),
        admission=dict.fromkeys(Window, AdmissionCounts(steps=100)),
        usage=dict.fromkeys(Window, usage(60.0, speed)) | {Window.SESSION: usage(second, speed)},
        averages=dict.fromkeys(
            Window, Averages(decode_tok_s=speed, requests_per_s=speed / 600, mbu=0.71, mfu=0.09)
        ),
    )


def usage(span_s: float, tok_s: float) -> Usage:
    """Nearly always busy, mostly with answers, at 310 W."""
    return Usage(
        span_s=span_s,
        requests=round(tok_s / 600 * span_s),
        prefill_tokens=round(0.31 * tok_s * span_s),
        decode_tokens=round(tok_s * span_s),
        cached_prompt_tokens=round(0.15 * tok_s * span_s),
        cached_output_tokens=round(0.05 * tok_s * span_s),
        device_s=0.95 * span_s,
        prefill_device_s=0.11 * span_s,
        mbu=0.71,
        mfu=0.09,
        energy_j=310.0 * span_s,
    )


def attainment(per_s: float, share: float = 0.99) -> Attainment:
    """Requests of which nearly all are within the limits that ship."""
    return Attainment(
        ended=640,
        goodput_per_s=share * per_s,
        within_all=share,
        within={"ttft": share, "tpot": 1.0, "itl": 1.0},
    )


def gpu(second: float = 60.0, index: int = 0) -> GpuSample:
    """One H200 at work."""
    return GpuSample(
        index=index,
        uuid=f"GPU-0000000{index}",
        name="NVIDIA H200",
        memory_used_bytes=int(21.9 * GIB) if index == 0 else int(0.4 * GIB),
        memory_total_bytes=int(139.8 * GIB),
        process_bytes=int(21.4 * GIB) if index == 0 else None,
        utilization=0.93 + 0.04 * wave(second, 19) if index == 0 else 0.0,
        memory_utilization=0.36 if index == 0 else 0.0,
        power_w=412.0 + 20 * wave(second, 21) if index == 0 else 74.0,
        power_limit_w=700.0,
        temperature_c=54.0 if index == 0 else 29.0,
        sm_clock_mhz=1980 if index == 0 else 345,
        memory_clock_mhz=3201,
        pcie_rx_bytes_s=2.1e6,
        pcie_tx_bytes_s=8.4e6,
        energy_j=5_000_000 + 412.0 * second,
        throttle=None,
    )


def host(second: float = 60.0, *, gpus: int = 1) -> HostSample:
    """The machine under it; with `gpus=0` a CPU box that says why it shows no GPU."""
    return HostSample(
        at_s=500.0 + second,
        wall_s=EPOCH_S + second,
        hostname="node-7",
        cpu_count=96,
        cpu_utilization=0.031 + 0.004 * wave(second, 15),
        memory_used_bytes=int(61.2 * GIB),
        memory_total_bytes=int(1007.4 * GIB),
        cpu_name="AMD EPYC 9654",
        worker_cpu_utilization=1.02,
        worker_rss_bytes=int(3.3 * GIB),
        gpus=[gpu(second, index) for index in range(gpus)],
        gpu_note=None if gpus else "no NVIDIA driver on this machine",
        driver_version="580.82" if gpus else None,
    )


def ready() -> Ready:
    """What the worker says once it serves."""
    return Ready(
        model=MODEL,
        device="cuda",
        device_name="NVIDIA H200",
        load_s=4.2,
        versions={"torch": "2.11.0", "prodtop": "0.1.0"},
    )


def effect(second: float = 48.0) -> SwitchEffect:
    """A finished comparison of single with continuous."""
    return SwitchEffect(
        kind="strategy",
        old="single",
        new="continuous",
        at_s=500.0 + second,
        before=msgspec.structs.replace(
            steady(2266.0),
            memory_bytes=int(19.3 * GIB),
            ttft_p95=Percentile(value_ms=149.0),
            ttfb_p95=Percentile(value_ms=900.0),
            tpot_p95_ms=4.0,
        ),
        after=steady(),
    )


def steady(tok_s: float = 17_900.0, *, growing: bool = False) -> Summary:
    """What settings that have settled do."""
    return Summary(
        span_s=10.0,
        arrivals=298,
        requests=298,
        failed=0,
        decode_tok_s=tok_s,
        growth_per_s=12.0 if growing else 0.0,
        growing=growing,
        memory_bytes=int(21.4 * GIB),
        ttft_p50=Percentile(value_ms=41.8, at_least=growing),
        ttft_p95=Percentile(value_ms=88.0, at_least=growing),
        ttfb_p95=Percentile(value_ms=880.0, at_least=growing),
        e2e_p95=Percentile(value_ms=1285.0, at_least=growing),
        tpot_p50_ms=8.9,
        tpot_p95_ms=18.7,
    )


def play(seconds: float = 60.0, *, hz: float = 4.0, gpus: int = 1) -> list[list[Report]]:
    """A session in polls: ready, some seconds of single, a switch, then continuous and hybrid."""
    polls: list[list[Report]] = [[ready()]]
    first_switch_s, second_switch_s = 0.4 * seconds, 0.7 * seconds
    previous = StrategyName.SINGLE
    for index in range(int(seconds * hz) + 1):
        second = index / hz
        strategy = StrategyName.SINGLE
        if second >= first_switch_s:
            strategy = StrategyName.CONTINUOUS
        if second >= second_switch_s:
            strategy = StrategyName.HYBRID
        reports: list[Report] = []
        if strategy is not previous:
            reports.append(
                Switched(
                    kind="strategy", old=previous, new=strategy, at_s=500.0 + second, took_s=0.01
                )
            )
            previous = strategy
        shown = frame(second, strategy=strategy)
        if second >= first_switch_s:
            shown = msgspec.structs.replace(shown, last_switch=effect(first_switch_s))
        reports += [host(second, gpus=gpus), shown, in_system(second, strategy)]
        reports.append(finished(second, strategy))
        polls.append(reports)
    return polls


class ScriptedClient:
    """An `EngineClient` that plays polls and records commands.

    With `obedient` it answers as an engine would: later frames carry the strategy, precision and
    load that it was last told.
    """

    def __init__(self, polls: Iterable[list[Report]] = (), *, obedient: bool = False) -> None:
        self.polls: deque[list[Report]] = deque(polls)
        self.sent: list[Command] = []
        self.closed = False
        self._obedient = obedient
        self._changes: dict[str, StrategyName | PrecisionName | LoadSpec] = {}

    def queue(self, *reports: Report) -> None:
        """Have one more poll return these."""
        self.polls.append(list(reports))

    def poll(self) -> list[Report]:
        reports = self.polls.popleft() if self.polls else []
        return [self._changed(report) for report in reports]

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if isinstance(command, InspectRequest) and command.request_id is not None:
            self.queue(timeline(command.request_id))
        if not self._obedient:
            return
        match command:
            case SetStrategy(name=strategy):
                self._changes["strategy"] = strategy
            case SetPrecision(name=precision):
                self._changes["precision"] = precision
            case SetLoad(load=load):
                self._changes["load"] = load
            case _:
                pass

    def close(self) -> None:
        self.closed = True

    def _changed(self, report: Report) -> Report:
        return (
            msgspec.structs.replace(report, **self._changes)
            if isinstance(report, Frame)
            else report
        )
