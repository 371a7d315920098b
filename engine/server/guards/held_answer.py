"""Waiting for a verdict on an answer that is held back."""

import asyncio
from collections.abc import Awaitable, Callable

from .review_items import Decision
from .review_queue import ReviewQueue

POLL_S = 0.25
"""Reviewers may be other processes: the queue is looked at, nobody is told."""


async def wait_for_decision(
    queue: ReviewQueue,
    item_id: int,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Decision:
    """Wait until a held item is released, refused or timed out; at most its `hold_s`.

    The database is read in a thread. Cancelling the wait leaves the item in the queue: it times out
    there. Raises `ReviewQueueError` where the queue cannot be read: nothing is released then.
    """
    while True:
        decision = await asyncio.to_thread(queue.settle, item_id)
        if decision is not None:
            return decision
        await sleep(POLL_S)
