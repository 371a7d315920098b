"""A real worker process for tests: through the client, or at the bare end of its channel."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Self

from of_our_own import known
from prodtop.engine.client.local_engine import LocalEngine, worker_command
from prodtop.engine.protocol import REPORT_DECODER, Fault, Frame, LoadSpec, Message, Note, Report
from prodtop.engine.protocol.channel import Channel, channel_pair
from prodtop.engine.protocol.options import WorkerOptions

DEADLINE_S = 120.0
"""Far beyond what anything here takes, also on a machine with other work."""

LOAD = LoadSpec(users=3, output_tokens_min=4, output_tokens_max=24, ignore_eos=True)


def tiny_options(folder: Path, load: LoadSpec = LOAD, **others: object) -> WorkerOptions:
    """Options of a worker that serves the checkpoint in `folder` on one thread."""
    given = {"model": str(folder), "device": "cpu", "threads": 1, "max_seqs": 8, **others}
    return WorkerOptions(load=load, **given)  # type: ignore[arg-type]  # each test names real ones


class WatchedEngine:
    """A client whose reports are kept; every frame is checked against the one before."""

    def __init__(self, options: WorkerOptions) -> None:
        self.client = LocalEngine(options, probe_command=None)
        self.frames: list[Frame] = []
        self.reports: list[Report] = []
        self.client.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def until(self, done: Callable[[Report], bool]) -> Report:
        """Poll until a report is what is waited for; a report that came before does not count."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            self.client.wait(0.05)
            found = None
            for report in self.client.poll():
                self._take(report)
                found = report if found is None and done(report) else found
            if found is not None:
                return found
            assert time.monotonic() < deadline_s, f"never came; the last: {self.reports[-5:]}"

    def frame(self, done: Callable[[Frame], bool] = lambda _: True) -> Frame:
        """The next frame that is as wished."""
        found = self.until(lambda report: isinstance(report, Frame) and done(report))
        assert isinstance(found, Frame)
        return found

    def next_frames(self, count: int) -> list[Frame]:
        begin = len(self.frames)
        self.frame(lambda _: len(self.frames) >= begin + count)
        return self.frames[begin : begin + count]

    def note(self) -> str:
        found = self.until(lambda report: isinstance(report, Note))
        assert isinstance(found, Note)
        return found.message

    def _take(self, report: Report) -> None:
        self.reports.append(report)
        if isinstance(report, Frame):
            self.frames.append(report)
            check_frame(report)
            for before, after in pairwise(self.frames[-2:]):
                check_succession(before, after)


def check_frame(frame: Frame) -> None:
    """What holds in every frame on its own."""
    counted, memory = known(frame.accounting), known(frame.memory)
    blocks = known(frame.cache.blocks)
    assert counted.submitted == counted.finished + counted.failed + counted.in_system
    assert counted.in_system == known(frame.queue.running) + known(frame.queue.waiting)
    assert blocks.running + known(blocks.evictable) + blocks.free == blocks.total
    parts = (
        memory.weights_bytes,
        memory.master_bytes,
        memory.kv_bytes,
        memory.workspace_bytes,
        memory.other_bytes,
    )
    assert sum(part or 0 for part in parts) == memory.used_bytes
    assert known(frame.queue.running) <= known(frame.max_seqs)


def check_succession(before: Frame, after: Frame) -> None:
    """What holds between a frame and the next: nothing that was counted is ever uncounted."""
    assert after.sequence > before.sequence
    assert after.at_s > before.at_s
    assert after.uptime_s > before.uptime_s
    assert known(after.generated_tokens_total) >= known(before.generated_tokens_total)
    assert known(after.queue.preemptions) >= known(before.queue.preemptions)
    for counter in ("submitted", "finished", "failed", "rejected"):
        assert getattr(after.accounting, counter) >= getattr(before.accounting, counter)


class BareWorker:
    """A worker process and our end of its channel, without a client in between."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel[Report]) -> None:
        self.process = process
        self.channel = channel

    def send(self, message: Message) -> None:
        assert self.channel.send(message)

    def until(self, done: Callable[[Report], bool]) -> Report:
        """Receive until a report is what is waited for."""
        deadline_s = time.monotonic() + DEADLINE_S
        last: Report | None = None
        while time.monotonic() < deadline_s:
            for report in self.channel.receive():
                if done(report):
                    return report
                last = report
            assert not self.channel.closed, f"the worker has gone; it said last: {last}"
            time.sleep(0.01)
        raise AssertionError("never came")

    def end(self) -> int:
        """The exit code, once it has ended by itself."""
        return self.process.wait(DEADLINE_S)

    def last_words(self) -> list[Report]:
        """All that it said, once it has ended."""
        self.end()
        reports: list[Report] = []
        while not self.channel.closed:
            reports += self.channel.receive()
        return reports


@contextmanager
def bare_worker(
    options: WorkerOptions, log: Path, *, send_buffer_bytes: int | None = None
) -> Iterator[BareWorker]:
    """Start `python -m prodtop.engine.worker`; it is killed at the end if it still runs.

    With a small `send_buffer_bytes` a few unread messages fill its end of the channel.
    """
    channel, theirs = channel_pair(REPORT_DECODER)
    if send_buffer_bytes is not None:
        theirs.setsockopt(SOL_SOCKET, SO_SNDBUF, send_buffer_bytes)
    with theirs, log.open("wb") as output:
        process = subprocess.Popen(
            [*worker_command(options), "--channel-fd", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[theirs.fileno()],
        )
    try:
        yield BareWorker(process, channel)
    finally:
        channel.close()
        process.kill()
        process.wait()


def fatal_faults(reports: Sequence[Report]) -> list[Fault]:
    return [report for report in reports if isinstance(report, Fault) and report.fatal]
