"""Clients of `benchmarks/serve_load.py`, spread over processes: one event loop is soon too slow.

Each process has its share of the streams, and says at the end what its clients counted, and how
much CPU time that took it: a process that used most of a core measured itself, not the server.
"""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from urllib.parse import urlsplit

from serve_client import StreamClient, Tally, Work

SAY_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process's clients saw, and the share of a core that it used."""

    tally: Tally
    cpu_share: float


@dataclass(frozen=True, slots=True)
class Clients:
    """Client processes that run, each with its end of a pipe."""

    processes: Sequence[BaseProcess]
    pipes: list[Connection]

    def measure(self) -> None:
        """What was timed until now was warming up."""
        self._say("measure")

    def end(self) -> list[Counted]:
        """Ask nothing more; gives what was counted when the last answer has been read."""
        self._say("end")
        counted: list[Counted] = [pipe.recv() for pipe in self.pipes]
        for process in self.processes:
            process.join()
        return counted

    def _say(self, word: str) -> None:
        for pipe in self.pipes:
            pipe.send(word)


def shares(streams: int, processes: int) -> list[range]:
    """The streams' numbers, as evenly spread as can be; no process has none."""
    processes = min(processes, streams)
    bounds = [streams * n // processes for n in range(processes + 1)]
    return [range(first, last) for first, last in itertools.pairwise(bounds)]


@contextmanager
def clients(url: str, streams: int, processes: int, work: Work) -> Iterator[Clients]:
    """Start all processes, and let them ask once all are ready."""
    context = multiprocessing.get_context("spawn")
    running, pipes = [], []
    try:
        for numbers in shares(streams, processes):
            own, theirs = context.Pipe()
            process = context.Process(target=_run, args=(url, numbers, work, theirs), daemon=True)
            process.start()
            theirs.close()
            running.append(process)
            pipes.append(own)
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("start")
        yield Clients(running, pipes)
    finally:
        for process in running:
            process.terminate()
            process.join()


def _run(url: str, numbers: range, work: Work, pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    tally = asyncio.run(_drive(url, numbers, work, pipe))
    took_s, used_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    pipe.send(Counted(tally, used_s / took_s))


async def _drive(url: str, numbers: range, work: Work, pipe: Connection) -> Tally:
    """Run a client for each number until the pipe says `end`."""
    where = urlsplit(url)
    tally, end = Tally(), asyncio.Event()
    asked = [
        StreamClient(where.hostname or "", where.port or 80, work, tally, number)
        for number in numbers
    ]
    running = [asyncio.create_task(client.run(end)) for client in asked]
    while not end.is_set():
        await asyncio.sleep(SAY_AGAIN_S)
        while pipe.poll() and not end.is_set():
            if pipe.recv() == "measure":
                tally.forget_times()
            else:
                end.set()
    await asyncio.gather(*running)
    return tally
