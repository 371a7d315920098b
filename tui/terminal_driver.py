"""Textual's driver for Linux and macOS, for a terminal that stops, continues and goes away."""

import os
import select
from codecs import getincrementaldecoder
from types import FrameType

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from .terminal import QuietStream

READ_BYTES = 4096
_IDLE_S = 0.1
"""How often the parser is told that time passes, for an escape key by itself."""


class TerminalDriver(LinuxDriver):
    """Leaves where the terminal has gone, and starts anew whichever way the process went on.

    Textual's own spins on the end of its input, blocks where its output fails, and after a stop
    that it was not told of (SIGSTOP) takes the raw terminal for the one to give back.
    """

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = QuietStream(self._on_gone)  # type: ignore[assignment]  # all that is used
        self._applied = False

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual has none
        # It returns early where the terminal is another job's.
        self._applied = self._key_thread is not None and self._key_thread.is_alive()

    def stop_application_mode(self) -> None:
        """Give the terminal back; where that was done already, nothing."""
        if self._applied:
            self._applied = False
            super().stop_application_mode()

    def suspend_application_mode(self) -> None:
        """Give the terminal back for a while."""
        if self._applied:
            super().suspend_application_mode()

    def _sigcont_application(self, *_: int | FrameType | None) -> None:
        if self._applied:
            # Stopped without being told: the shell has set the terminal meanwhile.
            self.suspend_application_mode()
            self.resume_application_mode()
        elif self._must_signal_resume:
            self.resume_application_mode()

    def _on_gone(self) -> None:
        """Called in the driver's threads when the terminal has gone."""
        self._app.call_later(self._app.exit, return_code=1)

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except (OSError, ValueError):
            self._on_gone()

    def run_input_thread(self) -> None:
        """Hand on what is typed until the driver stops or the terminal has gone."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        while not self.exit_event.is_set():
            if select.select([self.fileno], [], [], _IDLE_S)[0]:
                data = os.read(self.fileno, READ_BYTES)
                if not data:
                    self._on_gone()
                    return
                for event in parser.feed(decode(data)):
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)
