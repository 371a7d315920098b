"""Situations of an engine as the screen's reports tell of them, for the tests of what it says.

Each is a list of polls, a quarter of a second apart, whose last moment is the situation.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from frame_latencies import percentiles
from frames import frame, host, ready
from prodtop.engine.protocol import (
    AdmissionCounts,
    Attainment,
    Blocks,
    Bound,
    ChildDied,
    ChildStarted,
    Frame,
    HostSample,
    Latency,
    LoadSpec,
    PreemptionCause,
    Progress,
    Refusal,
    Report,
    Verdict,
    Window,
)

changed = msgspec.structs.replace
Polls = list[list[Report]]

SECONDS = 12
"""How long each lasts: more than the ten seconds that are judged."""


def queued(shown: Frame, **queue: object) -> Frame:
    """The frame with another queue."""
    return changed(shown, queue=changed(shown.queue, **queue))


def bound(shown: Frame, by: Bound, share: float) -> Frame:
    """The frame with another verdict."""
    return changed(shown, roofline=changed(shown.roofline, verdict=Verdict(bound=by, share=share)))


def refused(shown: Frame, refusal: Refusal, preempted: int = 0) -> Frame:
    """The frame of an engine that left requests waiting in each step, for this reason."""
    causes = {PreemptionCause.KV_BLOCKS: preempted} if preempted else {}
    counts = AdmissionCounts(steps=100, refused={refusal: 100}, preempted=causes)
    return changed(shown, admission=dict.fromkeys(Window, counts))


def late(shown: Frame, ttft_p50_ms: float, share: float) -> Frame:
    """The frame with another TTFT, and so many requests within the limits."""
    ttft = percentiles(ttft_p50_ms, 0.0)
    told = {each: changed(latency, ttft=ttft) for each, latency in shown.latency.items()}
    good = Attainment(ended=120, goodput_per_s=0.4, within_all=share, within={"ttft": share})
    return changed(shown, latency=told, attainment=dict.fromkeys(Window, good))


def calm(second: float) -> Frame:
    return frame(second)


def idle(second: float) -> Frame:
    shown = queued(
        frame(second, load=LoadSpec(paused=True)),
        running=0,
        waiting=0,
        mean_waiting=0.0,
        mean_in_system=0.0,
        oldest_unstarted_s=None,
    )
    nothing = {window: Latency() for window in Window}
    return bound(changed(shown, latency=nothing, attainment={}, stream=None), Bound.NO_WORK, 1.0)


def overload(second: float) -> Frame:
    """An open loop that asks for more than there is: the queue grows."""
    waiting = 2145 - int(48 * (SECONDS - second))
    shown = queued(
        frame(second),
        running=64,
        waiting=waiting,
        running_limit=64,
        mean_waiting=waiting - 240.0,
        waiting_per_s=48.0,
        oldest_unstarted_s=37.0,
    )
    shown = late(refused(shown, Refusal.SEQUENCE_CAP), 14_000.0, 0.03)
    return bound(shown, Bound.SEQUENCE_CAP, 1.0)


def full_cache(second: float) -> Frame:
    shown = queued(
        frame(second), running=40, waiting=12, mean_waiting=11.0, waiting_per_s=2.5, preemptions=900
    )
    shown = refused(shown, Refusal.KV_BLOCKS, preempted=212)
    blocks = Blocks(total=10_240, running=10_138, evictable=0, free=102, block_tokens=16)
    shown = changed(shown, cache=changed(shown.cache, blocks=blocks))
    return bound(shown, Bound.KV_MEMORY, 0.99)


def slow(second: float) -> Frame:
    return late(frame(second), 2400.0, 0.42)


def failing(second: float) -> Frame:
    shown = frame(second)
    bad = Attainment(ended=40, failed=12, goodput_per_s=2.8, within_all=0.7, within={"ttft": 0.7})
    return changed(shown, attainment=dict.fromkeys(Window, bad))


def stuck(second: float) -> Frame:
    """Frames come, but no step is planned, although requests run."""
    shown = frame(second)
    shown = changed(shown, throughput=changed(shown.throughput, steps_per_s=0.0))
    return bound(
        changed(shown, admission=dict.fromkeys(Window, AdmissionCounts())), Bound.HOST, 1.0
    )


def capturing(second: float) -> Frame:
    return bound(frame(second), Bound.COMPILING, 0.62)


def packing(second: float) -> Frame:
    shown = bound(frame(second), Bound.COMPILING, 1.0)
    return changed(shown, switching="bf16 → int8: packing weights")


def preparing(second: float) -> Frame:
    return changed(frame(second), preparing="compiling kernels, 9 left")


def polls(shown: Callable[[float], Frame], gpus: int = 1) -> Polls:
    """A session that looks like this from its begin."""
    session: Polls = [[ready()]]
    for quarter in range(SECONDS * 4 + 1):
        session.append([host(quarter / 4, gpus=gpus), shown(quarter / 4)])
    return session


def lost_gpu() -> Polls:
    """The card is there at first, then the probe no longer finds it."""
    session = polls(calm)
    gone = "GPU 0: fell off the bus"
    for reports in session[-20:]:
        reports[:] = [
            changed(report, gpus=[], gpu_note=gone) if isinstance(report, HostSample) else report
            for report in reports
        ]
    return session


def slow_client() -> Polls:
    """Two of three frames are dropped before they get here."""
    session = polls(calm)
    return [
        [
            changed(report, sequence=3 * number) if isinstance(report, Frame) else report
            for report in reports
        ]
        for number, reports in enumerate(session)
    ]


def death() -> Polls:
    died = ChildDied(child="worker", reason="killed (signal 9)", failed_requests=32)
    return [*polls(calm), [changed(died, restart_in_s=4.0)]]


def dead_server() -> Polls:
    """The engine serves on, but nobody reaches it from outside."""
    died = ChildDied(child="server", reason="killed by SIGKILL", restart_in_s=2.0)
    return [[ChildStarted(child="server", pid=7, attempt=1)], *polls(calm), [died]]


def silence(shown: Callable[[float], Frame], polls_of_silence: int = 24) -> Polls:
    """Six seconds in which nothing comes but the probe's samples."""
    session = polls(shown)
    for quarter in range(1, polls_of_silence + 1):
        session.append([host(SECONDS + quarter / 4)])
    return session


LOADING: Polls = [[Progress(what="loading bf16 weights", fraction=0.4)]]

SITUATIONS: Mapping[str, Sequence[list[Report]]] = {
    "calm": polls(calm),
    "idle": polls(idle),
    "overload": polls(overload),
    "full KV cache": polls(full_cache),
    "slow": polls(slow),
    "failing": polls(failing),
    "stuck": polls(stuck),
    "stall": silence(calm),
    "stale": silence(idle),
    "lost GPU": lost_gpu(),
    "capturing": polls(capturing),
    "packing": silence(packing),
    "preparing": polls(preparing),
    "slow client": slow_client(),
    "death": death(),
    "dead server": dead_server(),
    "loading": LOADING,
}
