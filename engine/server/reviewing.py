"""The review queue as a server uses it: filled beside the event loop, and waited for.

All methods are called on the event loop's thread; SQLite works on a thread of its own. Whatever
becomes of the server, what was put into the queue stays there.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from ..protocol import ReviewSample
from .guards.review_items import Decision, NewItem
from .guards.review_queue import ReviewQueue, ReviewQueueError, ReviewQueueFullError
from .guards.settings import ReviewSettings

POLL_S = 0.25
"""Reviewers are other processes: the queue is looked at, nobody is told."""
PRUNE_INTERVAL_S = 600.0
MOST_UNWRITTEN = 1000
"""Of texts that were sent and wait for the disk; beyond that they are counted as for a full
queue."""
_REFUSED = Decision(fate="refused", text=None)

Result = TypeVar("Result")


class Reviewing:
    """A server's end of the queue in `path`. Raises `ReviewQueueError` where it cannot be used."""

    def __init__(
        self,
        settings: ReviewSettings,
        path: Path,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._clock_s = settings, clock_s
        self._queue = ReviewQueue(path, settings)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="review")
        self._waiting: dict[int, asyncio.Future[Decision]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._ending = False
        self._unwritten = 0
        self._pruned_at_s = clock_s()
        self.sample = ReviewSample()
        # Nobody waits any more for what a server before this one held past its deadline.
        self._queue.end_overdue()
        self._queue.prune()

    @property
    def holds(self) -> bool:
        """Whether flagged answers wait for their verdict."""
        return self._settings.mode == "hold"

    def note(self, item: NewItem) -> None:
        """Put a text that has gone out into the queue, some time soon."""
        if self._unwritten >= MOST_UNWRITTEN:
            self._count(full=1)
            return
        self._unwritten += 1
        adding = self._run(partial(self._queue.add, item))
        adding.add_done_callback(self._on_noted)
        self._prune()

    async def hold(self, item: NewItem) -> Decision:
        """Put an answer into the queue, and wait until it is released, refused or timed out.

        A full queue, and a server that ends, are as a timeout; an unusable one refuses. Where this
        is cancelled the item stays in the queue, `abandoned`.
        """
        began_at_s = self._clock_s()
        try:
            decision = await self._decided(item)
        finally:
            self._count(held_s=self._clock_s() - began_at_s)
        self._count(**{decision.fate: 1}, corrected=int(decision.corrected))
        return decision

    async def _decided(self, item: NewItem) -> Decision:
        if self._ending:
            return self._timed_out(item)
        adding = self._run(partial(self._queue.add, item))
        try:
            item_id = await asyncio.shield(adding)
        except asyncio.CancelledError:
            self._count(abandoned=1)
            adding.add_done_callback(self._abandon_added)
            raise
        except ReviewQueueFullError:
            self._count(full=1)
            return self._timed_out(item)
        except ReviewQueueError:
            self._count(failures=1)
            return _REFUSED
        self._prune()
        return await self._verdict(item_id)

    async def _verdict(self, item_id: int) -> Decision:
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting[item_id] = future
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            return await future
        except asyncio.CancelledError:
            self._count(abandoned=1)
            self._abandon(item_id)
            raise
        finally:
            del self._waiting[item_id]

    def _timed_out(self, item: NewItem) -> Decision:
        goes_out = self._settings.on_timeout == "release"
        return Decision(fate="timed_out", text=item.text if goes_out else None)

    async def _watch(self) -> None:
        while self._waiting:
            await self._look()
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        """Tell all who wait what became of their items. Where the queue cannot be read, nothing is
        released."""
        item_ids = list(self._waiting)
        try:
            decisions = await self._run(partial(self._queue.settled, item_ids))
        except ReviewQueueError:
            self._count(failures=len(item_ids))
            decisions = dict.fromkeys(item_ids, _REFUSED)
        for item_id, decision in decisions.items():
            future = self._waiting.get(item_id)
            if future is not None and not future.done():
                future.set_result(decision)

    async def end_held(self) -> int:
        """The server ends: all held answers, also those to come, time out now. Returns how many."""
        self._ending = True
        ended = len(self._waiting)
        with suppress(ReviewQueueError):
            await self._run(partial(self._queue.end_held, list(self._waiting)))
        await self._look()
        return ended

    async def refresh(self) -> None:
        """Look at how many items there are, for `sample`."""
        try:
            counts = await self._run(self._queue.counts)
        except ReviewQueueError:
            counts = {}
        self.sample = msgspec.structs.replace(
            self.sample,
            undecided=counts.get("undecided"),
            held=counts.get("held"),
            accepted=counts.get("accepted"),
            rejected=counts.get("rejected"),
        )

    def close(self) -> None:
        """Write what is to be written, and let go of the file."""
        self._threads.submit(self._queue.close)
        self._threads.shutdown(wait=True)

    def _run(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _prune(self) -> None:
        now_s = self._clock_s()
        if now_s - self._pruned_at_s >= PRUNE_INTERVAL_S:
            self._pruned_at_s = now_s
            self._run(self._queue.prune).add_done_callback(self._on_written)

    def _on_noted(self, adding: "asyncio.Future[int]") -> None:
        self._unwritten -= 1
        if not adding.cancelled() and adding.exception() is None:
            self._count(noted=1)
        elif not adding.cancelled() and isinstance(adding.exception(), ReviewQueueFullError):
            self._count(full=1)
        else:
            self._count(failures=1)

    def _abandon_added(self, adding: "asyncio.Future[int]") -> None:
        if not adding.cancelled() and adding.exception() is None:
            self._abandon(adding.result())

    def _abandon(self, item_id: int) -> None:
        """Nobody waits for an item: on the queue's own thread, as whoever waited is cancelled."""
        self._threads.submit(_abandon, self._queue, item_id)

    def _on_written(self, writing: "asyncio.Future[int]") -> None:
        if writing.cancelled() or writing.exception() is not None:
            self._count(failures=1)

    def _count(self, **more: float) -> None:
        counted = {name: getattr(self.sample, name) + value for name, value in more.items()}
        self.sample = msgspec.structs.replace(self.sample, **counted)


def _abandon(queue: ReviewQueue, item_id: int) -> None:
    with suppress(ReviewQueueError):
        queue.end_held([item_id], "abandoned")
