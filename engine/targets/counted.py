"""What targets are computed from, as it is reported: counts that grow, and levels over time."""

import bisect
import math
from collections.abc import Mapping

from ..protocol import (
    LATENCY_EDGES_MS,
    Accounting,
    ChildDied,
    ChildStarted,
    Frame,
    HostSample,
    Memory,
    Report,
    ReviewSample,
    ServerSample,
)
from ..records.engine_gpu import engine_gpu
from .binned import MOST_STEP_S, BinnedAmounts, GrowingCount

BIN_S = 1.0
_OF_SERVER = ("served", "unavailable", "texts", "flagged", "guard_failures")
"""Counts that begin anew with the server's process."""
ALL_GUARDS = "all"
"""The guard that stands for all of them together."""


class Counted:
    """Takes reports in, and holds what came in the last `span_s` seconds.

    What comes while `measuring` is set is of a bench, whose load is its own: it does not count.
    """

    def __init__(self, e2e_limit_ms: float, span_s: float) -> None:
        self.frame: Frame | None = None
        self.frame_at_s: float | None = None
        self.guards_seen = self.server_seen = self.gpu_seen = False
        self.review: ReviewSample | None = None
        self.measuring = False
        self._limit_ms = e2e_limit_ms
        self._amounts = BinnedAmounts(BIN_S, span_s)
        self._counts: dict[str, GrowingCount] = {}
        self._e2e: list[int] = []
        self._levels_at_s: dict[str, float] = {}
        self._open_requests = 0

    def over(self, span_s: float, now_s: float) -> Mapping[str, float]:
        """Amounts of the last seconds; 0 for what did not happen."""
        return self._amounts.over(span_s, now_s)

    def take(self, report: Report, now_s: float) -> Mapping[str, float]:
        """Take a report in; returns what it adds."""
        match report:
            case Frame():
                added = self._of_frame(report, now_s)
            case HostSample():
                added = self._of_host(report, now_s)
            case ServerSample():
                added = self._of_server(report)
            case ChildDied(child="server"):
                # Whoever waited for an answer gets none.
                added, self._open_requests = {"lost": float(self._open_requests)}, 0
            case ChildStarted(child="server"):
                # Its counts may be past the old ones before anybody sees them.
                for name in _OF_SERVER:
                    self._counts.pop(name, None)
                return {}
            case ChildStarted(child="worker"):
                # The requests of a session are carried over its workers, latencies are not.
                self._e2e = []
                return {}
            case ChildDied(child="worker"):
                self.measuring = False
                return {}
            case _:
                return {}
        if added:
            self._amounts.add(added, now_s)
        return added

    def _of_frame(self, frame: Frame, now_s: float) -> dict[str, float]:
        self.frame, self.frame_at_s = frame, now_s
        grown = {**self._accounted(frame.accounting), **self._latencies(frame)}
        watched_s = self._since("watched", now_s)
        efficiency = memory_efficiency(frame)
        if efficiency is not None:
            grown |= {"memory_area": efficiency * watched_s, "memory_s": watched_s}
        return {} if self.measuring else grown | {"watched_s": watched_s}

    def _accounted(self, counts: Accounting | None) -> dict[str, float]:
        if counts is None:
            return {}
        return {
            "finished": self._grown("finished", counts.finished),
            "failed": self._grown("failed", counts.failed),
            "rejected": self._grown("rejected", counts.rejected),
            "arrived": self._grown("arrived", counts.submitted + counts.rejected),
        }

    def _latencies(self, frame: Frame) -> dict[str, float]:
        """Requests whose E2E was told, and those of them that were over the limit."""
        if frame.latency_counts is None:
            return {}
        now, before = frame.latency_counts.e2e, self._e2e
        self._e2e = now
        began_anew = len(now) != len(before) or sum(now) < sum(before)
        grown = now if began_anew else [b - a for a, b in zip(before, now, strict=True)]
        return {"timed": float(sum(grown)), "slow": slower_than(grown, self._limit_ms)}

    def _of_host(self, host: HostSample, now_s: float) -> dict[str, float]:
        gpu = engine_gpu(self.frame, host.gpus)
        if self.frame is None or gpu is None or gpu.utilization is None:
            return {}
        self.gpu_seen = True
        step_s = self._since("gpu", now_s)
        if self.measuring:
            return {}
        return {"gpu_area": gpu.utilization * step_s, "gpu_s": step_s}

    def _of_server(self, sample: ServerSample) -> dict[str, float]:
        self.server_seen = True
        self._open_requests = sample.open_requests
        self.review = sample.review
        added = {
            "served": self._grown("served", sample.served),
            "unavailable": self._grown("unavailable", sample.unavailable),
        }
        guards = sample.guards.get(ALL_GUARDS)
        if guards is not None:
            self.guards_seen = True
            added |= {
                "texts": self._grown("texts", guards.texts),
                "flagged": self._grown("flagged", guards.flagged),
                "guard_failures": self._grown("guard_failures", guards.failures),
            }
        return added

    def _grown(self, name: str, count: float) -> float:
        return self._counts.setdefault(name, GrowingCount(0.0)).growth(count)

    def _since(self, name: str, now_s: float) -> float:
        """The seconds that a level is taken to have held; a gap counts as not watched."""
        last_s = self._levels_at_s.get(name)
        self._levels_at_s[name] = now_s
        step_s = 0.0 if last_s is None else now_s - last_s
        return step_s if 0.0 < step_s <= MOST_STEP_S else 0.0


def memory_efficiency(frame: Frame) -> float | None:
    """Of the bytes that the engine holds on its device, the part in weights and in KV blocks that
    hold tokens: of running requests, or of prefixes that can be hit."""
    memory, blocks = frame.memory, frame.cache.blocks
    if memory is None or blocks is None or blocks.evictable is None:
        return None
    if memory.used_bytes <= 0 or blocks.total <= 0:
        return None
    return useful_bytes(memory, (blocks.running + blocks.evictable) / blocks.total) / (
        memory.used_bytes
    )


def useful_bytes(memory: Memory, held_share: float) -> float:
    """Weights, and the share of the KV cache that holds tokens."""
    return memory.weights_bytes + memory.kv_bytes * held_share


def slower_than(counts: list[int], limit_ms: float) -> float:
    """How many of the latencies counted between `LATENCY_EDGES_MS` are over a limit.

    Exact where the limit is an edge; within a bucket they are taken to lie evenly on the
    logarithmic axis.
    """
    place = bisect.bisect_left(LATENCY_EDGES_MS, limit_ms)
    over = float(sum(counts[place + 1 :]))
    if place == 0 or place >= len(LATENCY_EDGES_MS):
        # Below the first edge, or above the last: the bucket has no other end.
        return over + (counts[place] if place == 0 else 0.0)
    low_ms, high_ms = LATENCY_EDGES_MS[place - 1], LATENCY_EDGES_MS[place]
    share = math.log(high_ms / limit_ms) / math.log(high_ms / low_ms)
    return over + counts[place] * share
