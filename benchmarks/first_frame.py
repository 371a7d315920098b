"""How long the monitor takes: to its first full frame, and until the engine serves.

    python benchmarks/first_frame.py .venv/bin/prodtop OTHER/.venv/bin/prodtop --runs 10

Each command is run in a pseudo-terminal of 160×48, one after the other in every round, so that what
else the machine does falls on all of them alike. Times are from the `exec` on: to the screen with
its last panel and its footer, and to the event line that says that the engine serves. Medians of
the runs, and their ratio to those of the first command.
"""

import argparse
import fcntl
import os
import pty
import select
import shlex
import signal
import statistics
import struct
import termios
import time
from dataclasses import dataclass

COLUMNS, ROWS = 160, 48
FULL_FRAME = (b"Throughput", b"Latency", b"Queue", b"planner", b"quit")
"""On the screen once all of it has been drawn: panels, and the footer's keys."""
SERVES = (b"serves on",)
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Times:
    """Seconds since the `exec`."""

    first_frame_s: float
    serves_s: float


def measure(command: list[str]) -> Times:
    """Run the command once. Raises `TimeoutError` where it never serves."""
    started_s = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8")
        os.environ.pop("NO_COLOR", None)
        # Before the command looks at it: this side may be too late.
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execvp(command[0], command)
    try:
        written = bytearray()
        first_frame_s = _seen(fd, written, FULL_FRAME, started_s)
        return Times(first_frame_s, _seen(fd, written, SERVES, started_s))
    finally:
        os.kill(pid, signal.SIGTERM)
        _drain(fd)
        os.waitpid(pid, 0)
        os.close(fd)


def _seen(fd: int, written: bytearray, wanted: tuple[bytes, ...], started_s: float) -> float:
    """Read until all of `wanted` was written; how long after the start that was."""
    while not all(words in written for words in wanted):
        left_s = started_s + DEADLINE_S - time.monotonic()
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            raise TimeoutError(f"never seen on the screen: {wanted}")
        written += os.read(fd, 1 << 16)
    return time.monotonic() - started_s


def _drain(fd: int) -> None:
    """Take what is still written until the command has gone."""
    try:
        while os.read(fd, 1 << 16):
            pass
    except OSError:
        return


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commands", nargs="+", help="command lines to compare")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    times: dict[str, list[Times]] = {command: [] for command in arguments.commands}
    for _ in range(arguments.runs):
        for command, measured in times.items():
            measured.append(measure(shlex.split(command)))
    first_of_all, serves_of_all = 0.0, 0.0
    for command, measured in times.items():
        first_s = statistics.median(each.first_frame_s for each in measured)
        serves_s = statistics.median(each.serves_s for each in measured)
        first_of_all, serves_of_all = first_of_all or first_s, serves_of_all or serves_s
        print(
            f"{command}\n  first frame {first_s:.3f} s"
            f" ({min(each.first_frame_s for each in measured):.3f} …"
            f" {max(each.first_frame_s for each in measured):.3f}),"
            f" {first_s / first_of_all:.2f} of the first command's;"
            f" serves after {serves_s:.2f} s, {serves_s - serves_of_all:+.2f} s"
        )


if __name__ == "__main__":
    main()
