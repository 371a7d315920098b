"""Reports of an engine and its server over time, for tests of targets; and what they add up to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
from frame_samples import frame
from prodtop.engine.metrics.latency import RequestLatency
from prodtop.engine.metrics.latency_counts import LatencyCounter
from prodtop.engine.protocol import (
    Accounting,
    Blocks,
    Cache,
    ChildStarted,
    Frame,
    GpuSample,
    GuardSample,
    HostSample,
    Latency,
    Memory,
    Percentiles,
    Report,
    ReviewSample,
    ServerSample,
    Window,
)

STEP_S = 0.5


def gpu_host(utilization: float) -> HostSample:
    gpu = GpuSample(index=0, uuid="GPU-1", name="NVIDIA H200", utilization=utilization)
    return HostSample(
        at_s=0.0,
        wall_s=0.0,
        hostname="host",
        cpu_count=2,
        cpu_utilization=0.1,
        memory_used_bytes=1,
        memory_total_bytes=2,
        gpus=[gpu],
    )


def busy_frame(
    finished: int = 0,
    *,
    failed: int = 0,
    rejected: int = 0,
    e2e: LatencyCounter | None = None,
    p95_ms: float | None = None,
    memory: Memory | None = None,
    blocks: Blocks | None = None,
) -> Frame:
    """A frame of an engine on a GPU with these counts."""
    found = None
    if p95_ms is not None:
        found = Percentiles(count=finished, mean_ms=1, p50_ms=1, p95_ms=p95_ms, p99_ms=p95_ms)
    base = frame()
    return frame(
        device="cuda",
        device_name="NVIDIA H200",
        gpu_uuid="GPU-1",
        accounting=Accounting(
            submitted=finished + failed, finished=finished, failed=failed, rejected=rejected
        ),
        latency=dict.fromkeys(Window, Latency(e2e=found)),
        latency_counts=None if e2e is None else e2e.counts(),
        memory=memory or base.memory,
        cache=Cache(blocks=blocks or base.cache.blocks, rates={}),
    )


@dataclass
class Life:
    """Random traffic, kept as it was drawn: what targets have to come to is worked out from it."""

    random: Random
    e2e_s: list[float] = field(default_factory=list)
    finished: int = 0
    failed: int = 0
    rejected: int = 0
    utilization: list[float] = field(default_factory=list)
    memory: list[tuple[Memory, Blocks]] = field(default_factory=list)
    served: int = 0
    unavailable: int = 0
    texts: int = 0
    flagged: int = 0
    guard_failures: int = 0
    review: ReviewSample = field(default_factory=ReviewSample)

    def play(self, steps: int, begin_s: float, *, restarts: bool) -> Iterator[tuple[float, Report]]:
        """Reports with their times. With `restarts` worker and server count anew now and then."""
        draw = self.random
        counter = LatencyCounter()
        base = {"served": 0, "unavailable": 0, "texts": 0, "flagged": 0, "guard_failures": 0}
        for step in range(steps):
            now_s = begin_s + step * STEP_S
            if restarts and draw.random() < 0.05:
                counter = LatencyCounter()
                yield now_s, ChildStarted(child="worker", pid=1, attempt=2)
            if restarts and draw.random() < 0.05:
                base = {name: getattr(self, name) for name in base}
                yield now_s, ChildStarted(child="server", pid=1, attempt=2)
            for _ in range(draw.randint(0, 9)):
                e2e_s = draw.lognormvariate(-2.5, 0.6)
                counter.record(RequestLatency(e2e_s, e2e_s, None, None, None, np.empty(0)))
                self.e2e_s.append(e2e_s)
                self.finished += 1
            self.failed += draw.random() < 0.1
            self.rejected += draw.random() < 0.1
            self.memory.append((self._memory(), self._blocks()))
            p95_s = sorted(self.e2e_s)[int(0.95 * (len(self.e2e_s) - 1))] if self.e2e_s else None
            yield (
                now_s,
                busy_frame(
                    self.finished,
                    failed=self.failed,
                    rejected=self.rejected,
                    e2e=counter,
                    p95_ms=None if p95_s is None else p95_s * 1e3,
                    memory=self.memory[-1][0],
                    blocks=self.memory[-1][1],
                ),
            )
            self.utilization.append(draw.random())
            yield now_s, gpu_host(self.utilization[-1])
            yield now_s, self._server(base)

    def _server(self, base: dict[str, int]) -> ServerSample:
        draw = self.random
        self.served += draw.randint(0, 9)
        self.unavailable += draw.random() < 0.2
        self.texts += 5
        self.flagged += draw.random() < 0.2
        self.guard_failures += draw.random() < 0.05
        self.review = ReviewSample(accepted=draw.randint(20, 40), rejected=draw.randint(0, 5))
        since = {name: getattr(self, name) - count for name, count in base.items()}
        guards = GuardSample(
            texts=since["texts"],
            flagged=since["flagged"],
            redacted=1,
            blocked=1,
            failures=since["guard_failures"],
            added_p50_ms=None,
            added_p99_ms=None,
        )
        return ServerSample(
            at_s=0.0,
            served=since["served"],
            unavailable=since["unavailable"],
            guards={"all": guards},
            review=self.review,
        )

    def _memory(self) -> Memory:
        weights, kv = self.random.randint(1, 10**9), self.random.randint(1, 10**9)
        other = self.random.randint(1, 10**9)
        return Memory(
            used_bytes=weights + kv + other,
            weights_bytes=weights,
            kv_bytes=kv,
            other_bytes=other,
        )

    def _blocks(self) -> Blocks:
        running, evictable = self.random.randint(0, 500), self.random.randint(0, 500)
        return Blocks(
            total=1000,
            running=running,
            evictable=evictable,
            free=1000 - running - evictable,
            block_tokens=16,
        )
