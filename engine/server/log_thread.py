"""Writes lines of a log beside the event loop: no disk, and no pipe that is full, keeps it waiting.

Where lines cannot be written, or come faster than they can be, they are lost: serving goes on.
"""

import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 10_000
"""Lines that wait to be written; above that the new ones are lost."""
CLOSING_S = 1.0
"""How long the last lines may take."""


class LogThread:
    """Gives lines to `write`, several at a time. What `write` raises of `OSError` costs its lines.

    `lost` counts those that were not written.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: deque[bytes] = deque()
        self._news = threading.Event()
        self._closing = False
        self._broken = False
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written. Never waits."""
        if len(self._lines) >= MOST_WAITING:
            self.lost += 1
            return
        self._lines.append(line)
        self._news.set()

    def close(self) -> None:
        """Write what there is, as far as that is quick."""
        self._closing = True
        self._news.set()
        self._thread.join(CLOSING_S)

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            self._write_all()
            if self._closing and not self._lines:
                return

    def _write_all(self) -> None:
        while number := len(self._lines):
            lines = b"".join(self._lines.popleft() for _ in range(number))
            try:
                # Of the lines before it a part may have been written.
                self._write(b"\n" + lines if self._broken else lines)
                self._broken = False
            except OSError:
                self.lost += number
                self._broken = True
