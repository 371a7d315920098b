"""A terminal for the installed command: a tmux server of the test's own, read like a user reads."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self

import psutil

DEADLINE_S = 90.0
"""Far beyond what anything here takes, also on a machine with other work."""

PRODTOP = Path(sys.executable).with_name("prodtop")
_NUMBERS = count()


class Pane:
    """The only pane of a tmux server; `text` is what its terminal shows now."""

    def __init__(self, socket: str, width: int, height: int, command: list[str]) -> None:
        self._socket = socket
        # Another test's readline may have left its terminal's size in this environment, which
        # a program takes before the size of its own terminal.
        shell = f"unset COLUMNS LINES; {shlex.join(command)}; echo ended with $?; exec sleep 600"
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("-f", os.devnull, "new-session", "-d", *size, shell)
        self._socket_path = Path(self._tmux("display-message", "-p", "#{socket_path}").strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False)
        self._socket_path.unlink(missing_ok=True)

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def press(self, *keys: str) -> None:
        """Type keys as tmux names them."""
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def until(self, done: Callable[[str], object]) -> str:
        """Read the pane until it is as wished; returns what it shows then."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not done(text := self.text):
            assert time.monotonic() < deadline_s, f"the pane still shows:\n{text}"
            time.sleep(0.05)
        return text

    def shows(self, words: str) -> str:
        return self.until(lambda text: words in text)

    def matches(self, pattern: str) -> re.Match[str]:
        """The first match of a pattern, once there is one."""
        text = self.until(lambda text: re.search(pattern, text))
        match = re.search(pattern, text)
        assert match is not None
        return match

    def processes(self, word: str) -> list[psutil.Process]:
        """The processes below this pane's shell that have a word in their command line."""
        (shell,) = self._tmux("list-panes", "-F", "#{pane_pid}").split()
        children = psutil.Process(int(shell)).children(recursive=True)
        return [child for child in children if word in child.cmdline()]

    def worker(self) -> psutil.Process:
        """The engine's process below this pane's shell."""
        found = self.processes("prodtop.engine.worker")
        assert len(found) == 1, found
        return found[0]

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        )
        return done.stdout


@contextmanager
def prodtop(width: int, height: int, *arguments: str) -> Iterator[Pane]:
    """`prodtop` with these arguments in a new terminal; the server is killed at the end."""
    socket = f"prodtop-test-{os.getpid()}-{next(_NUMBERS)}"
    with Pane(socket, width, height, [str(PRODTOP), *arguments]) as pane:
        yield pane
