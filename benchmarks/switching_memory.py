"""What a worker holds while its strategy and precision are switched again and again.

    python benchmarks/switching_memory.py --rounds 12

A worker process serves a load on the CPU. A round puts it under every strategy at every precision,
and lets some requests finish under each. After a round its resident set is read, and what of it has
a name: weights, master copy and KV cache. What grows round by round is kept for nothing.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product

import psutil
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    ChildDied,
    Frame,
    LoadSpec,
    PrecisionName,
    Report,
    SetPrecision,
    SetStrategy,
    StrategyName,
)
from prodtop.engine.protocol.options import BUNDLED_MODEL, WorkerOptions

LONGEST_WAIT_S = 300.0
"""Beyond this a switch, or the requests after it, are taken for hung."""

PRECISIONS = (PrecisionName.FP32, PrecisionName.BF16, PrecisionName.INT8, PrecisionName.INT4)


@dataclass(frozen=True, slots=True)
class Round:
    """The worker after a round: its resident set, the most of it during the round, its parts."""

    number: int
    elapsed_s: float
    rss_bytes: int
    most_rss_bytes: int
    named_bytes: int
    finished: int


class Worker:
    """A worker through the client, and its newest frame."""

    def __init__(self, options: WorkerOptions) -> None:
        self._client = LocalEngine(options, probe_command=None)
        self._frame: Frame | None = None
        self.most_rss_bytes = 0
        self._client.start()

    def close(self) -> None:
        self._client.close()

    @property
    def rss_bytes(self) -> int:
        pid = self._client.worker_pid
        return 0 if pid is None else int(psutil.Process(pid).memory_info().rss)

    def until(self, done: Callable[[Frame], bool]) -> Frame:
        """The next frame that is as wished."""
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline_s:
            self._client.wait(0.05)
            for report in self._client.poll():
                if self._take(report) and self._frame is not None and done(self._frame):
                    return self._frame
        raise SystemExit("the worker has stopped answering")

    def serve(self, strategy: StrategyName, precision: PrecisionName, requests: int) -> Frame:
        """Switch, and let so many requests finish; the last frame."""
        self._client.send(SetPrecision(name=precision))
        self._client.send(SetStrategy(name=strategy))
        there = self.until(lambda f: (f.strategy, f.precision) == (strategy, precision))
        enough = finished(there) + requests
        return self.until(lambda frame: finished(frame) >= enough)

    def _take(self, report: Report) -> bool:
        """Whether it is a frame."""
        if isinstance(report, ChildDied):
            raise SystemExit(f"the worker {report.reason}")
        if not isinstance(report, Frame):
            return False
        self._frame = report
        used_bytes = 0 if report.memory is None else report.memory.used_bytes
        self.most_rss_bytes = max(self.most_rss_bytes, used_bytes)
        return True


def finished(frame: Frame) -> int:
    """Requests so far."""
    return 0 if frame.accounting is None else frame.accounting.finished


def rounds(worker: Worker, count: int, requests: int) -> Iterator[Round]:
    """Run `count` rounds of every strategy at every precision."""
    began_s = time.monotonic()
    worker.until(lambda _: True)
    for number in range(1, count + 1):
        worker.most_rss_bytes = 0
        for precision, strategy in product(PRECISIONS, StrategyName):
            frame = worker.serve(strategy, precision, requests)
        memory = frame.memory
        assert memory is not None
        yield Round(
            number=number,
            elapsed_s=time.monotonic() - began_s,
            rss_bytes=worker.rss_bytes,
            most_rss_bytes=worker.most_rss_bytes,
            named_bytes=memory.used_bytes - memory.other_bytes,
            finished=finished(frame),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default=BUNDLED_MODEL)
    parser.add_argument("--load-format", choices=["auto", "dummy"], default="auto")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=8, help="to finish between two switches")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--max-seqs", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    options = WorkerOptions(
        model=arguments.model,
        load_format=arguments.load_format,
        device="cpu",
        max_seqs=arguments.max_seqs,
        load=LoadSpec(users=arguments.users),
    )
    worker = Worker(options)
    try:
        if not arguments.json:
            print("round   after    RSS   most  named MB   finished", flush=True)
        for each in rounds(worker, arguments.rounds, arguments.requests):
            if arguments.json:
                print(json.dumps(asdict(each)), flush=True)
                continue
            sizes = (each.rss_bytes, each.most_rss_bytes, each.named_bytes)
            cells = "".join(f"{size / 1e6:7.0f}" for size in sizes)
            print(f"{each.number:5}{each.elapsed_s:7.0f}s{cells}{each.finished:14}", flush=True)
    finally:
        worker.close()


if __name__ == "__main__":
    main()
