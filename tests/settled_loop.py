"""Waiting in tests of the screen until its event loop has nothing left to do.

Textual's pilot sleeps 20 ms after each key, twice, and on while its process computes; a test of a
hundred keys takes seconds of sleep. What it waits for is known here: callbacks that are ready, and
timers that are due soon, such as that of the next paint.
"""

import asyncio
import threading
from time import monotonic
from typing import Protocol, cast

import pytest
from textual._wait import wait_for_idle

SOON_S = 0.02
"""A timer within this is waited for, as Textual does; a later one belongs to what comes next."""
PAINT_PERIOD_S = 0.001
"""At most so long after a change is it painted: nobody looks at the frames between."""


class _Loop(Protocol):
    """What a loop of asyncio has of its own: callbacks that are ready, and timers."""

    _ready: list[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]


async def settle(min_sleep: float = SOON_S, max_sleep: float = 1.0) -> None:
    """Return once no callback is ready and no timer due within `SOON_S`, after `max_sleep` at the
    latest. Where threads work beside the loop, what they do is waited for as Textual does."""
    if threading.active_count() > 1:
        await wait_for_idle(min_sleep, max_sleep)
        return
    running = asyncio.get_running_loop()
    loop, end_s = cast(_Loop, running), monotonic() + max_sleep
    await asyncio.sleep(min_sleep)
    while monotonic() < end_s:
        if loop._ready:
            await asyncio.sleep(0)
            continue
        now_s = running.time()
        due_s = [each.when() for each in loop._scheduled if not each.cancelled()]
        soon_s = [at_s for at_s in due_s if at_s < now_s + SOON_S]
        if not soon_s:
            # Input and what other processes say is taken in by one more turn of the loop.
            await asyncio.sleep(0)
            if not loop._ready:
                return
            continue
        await asyncio.sleep(max(0.0, max(soon_s) - now_s))


def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pilots wait by `settle`, and screens paint what has changed without delay."""
    monkeypatch.setattr("textual.pilot.wait_for_idle", settle)
    monkeypatch.setattr("textual.app.wait_for_idle", settle)
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", PAINT_PERIOD_S)
