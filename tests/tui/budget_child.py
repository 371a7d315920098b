"""Runs the real app in this terminal over a scripted client: `live` at 4 Hz, or `idle`."""

import sys
import time

from frames import ScriptedClient, play
from prodtop.engine.protocol import Report
from prodtop.tui.app import ProdtopApp

SECONDS = 120.0


class TimedClient(ScriptedClient):
    """Plays a session in real time: at each poll what is due."""

    def __init__(self) -> None:
        super().__init__(play(SECONDS))
        self._started_s = time.monotonic()
        self._played = 0

    def poll(self) -> list[Report]:
        due = int((time.monotonic() - self._started_s) * 4)
        reports: list[Report] = []
        while self._played < due:
            reports += super().poll()
            self._played += 1
        return reports


if __name__ == "__main__":
    ProdtopApp(TimedClient() if sys.argv[1] == "live" else ScriptedClient()).run()
