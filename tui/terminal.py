"""The one place that gives the terminal back, whichever way the screen ends.

`TerminalGuard` stands around the app: it remembers how the terminal was, turns the signals that end
a program into an orderly leave, and puts everything back at the end. Where the app does not leave
in time, the guard puts the terminal back and ends the process all the same.
"""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

LEAVE_GRACE_S = 5.0
"""How long the app may take to leave after a signal."""
WRITE_PATIENCE_S = 0.5
"""How long a terminal that takes no output is waited for."""
JOB_SIGNALS = (signal.SIGTSTP, signal.SIGCONT)
"""The driver handles them; without it they mean again what they meant before."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)

RESTORE = (
    "\x1b[?2026l"  # show what is drawn at once
    "\x1b[?2048l"  # no reports of its size
    "\x1b[?2004l"  # no bracketed paste
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no mouse
    "\x1b[?1004l"  # no focus reports
    "\x1b[?7h"  # long lines wrap
    "\x1b[?1049l"  # the screen that was there before
    "\x1b[?25h"  # the cursor
    "\x1b[0m"
)
"""What undoes all that the screen switches on. Each of it may be sent twice, so that it does not
matter how far the app came; what may not (the stack of key protocols) the driver undoes itself."""

_SignalHandler = Callable[[int, FrameType | None], object] | int | None


class TerminalGuard:
    """Used as a context around the app; signals call `leave`, which must not block."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self.signal: signal.Signals | None = None
        """What ended the app, if a signal did."""
        self._leave = leave
        self._input, self._output = 0, 2
        self._attributes: list[int | list[bytes | int]] | None = None
        self._before: dict[signal.Signals, _SignalHandler] = {}
        self._left = threading.Event()

    def __enter__(self) -> Self:
        with contextlib.suppress(termios.error):
            self._attributes = termios.tcgetattr(self._input)
        for number in JOB_SIGNALS:
            self._before[number] = signal.getsignal(number)
        for number in ENDING_SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self.restore()
        # A second signal while the engine is closed may end the process at once: nothing is lost.
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def restore(self) -> None:
        """Put the terminal back. May be called twice, and where there is no terminal any more."""
        if self._attributes is None:
            return
        write_within(self._output, RESTORE.encode(), WRITE_PATIENCE_S)
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._input, termios.TCSANOW, self._attributes)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, self.signal or signal.Signals(number)
        if first:
            threading.Thread(target=self._end_late, daemon=True).start()
        self._leave()

    def _end_late(self) -> None:
        """The app hangs, in a terminal that takes no output for example: end it."""
        if self._left.wait(LEAVE_GRACE_S):
            return
        self.restore()
        number = self.signal or signal.SIGTERM
        text = f"prodtop: ended by {number.name}\n".encode()
        write_within(self._output, text, WRITE_PATIENCE_S)
        os._exit(128 + number)


def write_within(fd: int, data: bytes, patience_s: float) -> bool:
    """Write what a terminal takes within a time; whether that was all. Never raises."""
    deadline_s = time.monotonic() + patience_s
    with contextlib.suppress(OSError, ValueError):
        while data:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([], [fd], [], left_s)[1]:
                return False
            data = data[os.write(fd, data) :]
        return True
    return False


class QuietStream:
    """Standard error as the driver writes to it: a terminal that has gone is told once, and never
    raises in the thread that writes."""

    def __init__(self, on_gone: Callable[[], object]) -> None:
        self._stream = sys.__stderr__
        self._on_gone = on_gone
        self._gone = False

    def write(self, text: str) -> int:
        """Write text, or nothing where nobody reads it."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, where somebody still reads it."""
        self._try(lambda stream: stream.flush())

    def fileno(self) -> int:
        """The fd of standard error."""
        return 2 if self._stream is None else self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def _try(self, do: Callable[..., object]) -> None:
        if self._gone or self._stream is None:
            return
        try:
            do(self._stream)
        except (OSError, ValueError):
            self._gone = True
            self._on_gone()
