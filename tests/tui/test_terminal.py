"""The terminal is the user's again whichever way the screen ends, in a terminal of the test's."""

import os
import random
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_terminal import DEADLINE_S, UP, Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path) as terminal:
        yield terminal


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_a_signal_gives_the_terminal_back_with_one_line(terminal: Terminal, name: str) -> None:
    number = signal.Signals[name]
    terminal.process.send_signal(number)
    assert terminal.ends_with(128 + number).strip() == f"prodtop: ended by {name}".encode()


def test_quitting_leaves_no_line(terminal: Terminal) -> None:
    terminal.type(b"q")
    assert terminal.ends_with(0) == b""


def test_a_defect_is_one_line(tmp_path: Path) -> None:
    with Terminal(tmp_path, CRASH="1") as terminal:
        line = terminal.ends_with(1).strip()
    assert line == b"prodtop: KeyError: 'a defect' (a defect: --debug shows where)"


def test_an_app_that_does_not_leave_is_ended(tmp_path: Path) -> None:
    with Terminal(tmp_path, HANG="1") as terminal:
        terminal.process.terminate()
        assert terminal.ends_with(143).strip() == b"prodtop: ended by SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP, None])
def test_stopped_and_continued_it_goes_on_and_quits(
    terminal: Terminal, number: signal.Signals | None
) -> None:
    for _ in range(2):
        seen = len(terminal.output)
        if number is None:
            terminal.type(b"\x1a")
        else:
            terminal.process.send_signal(number)
        terminal.stops()
        if number is not signal.SIGSTOP:
            assert termios.tcgetattr(terminal.slave) == terminal.before
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda seen=seen: UP in terminal.output[seen:])  # type: ignore[misc]
    terminal.type(b"q")
    assert terminal.ends_with(0) == b""


def test_a_terminal_that_is_gone_ends_it(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        # Not its controlling terminal: no SIGHUP comes.
        os.close(terminal.slave)
        master, terminal.master = terminal.master, os.open(os.devnull, os.O_RDWR)
        terminal.slave = os.dup(terminal.master)
        os.close(master)
        assert terminal.process.wait(DEADLINE_S) != 0


def test_page_down_in_a_palette_that_was_just_opened(terminal: Terminal) -> None:
    terminal.type(b"\x10" + b"\x1b[6~" * 8 + b"\x1b[5~" * 3)
    terminal.type(b"\x1b")
    terminal.process.terminate()
    terminal.ends_with(143)


ESCAPED = (b"[A", b"[B", b"[C", b"[D", b"[H", b"[F", b"[5~", b"[6~", b"[Z", b"[1;2C", b"[<0;9;9M")
KEYS = [
    # Not `q`, which quits, and not `c`, which has the Planner measure the machine.
    *(bytes([code]) for code in range(0x20, 0x7F) if chr(code) not in "qc"),
    *(b"\x1b" + code for code in ESCAPED),
    *(b"\r", b"\t", b"\x1b", b"\x10", b"\x7f", b"\x10\x1b[6~\x1b[6~", b"\xff\xfe", b"\xc3"),
]
STEPS = 1000


def test_a_monkey_at_the_keyboard_never_sees_a_traceback(tmp_path: Path) -> None:
    dice = random.Random(10)
    terminal = Terminal(tmp_path).__enter__()
    for step in range(STEPS):
        if terminal.process.poll() is not None:
            # The palette has a command that quits.
            terminal.ends_with(0)
            terminal.__exit__()
            terminal = Terminal(tmp_path).__enter__()
        kind = dice.random()
        if kind < 0.9:
            terminal.type(dice.choice(KEYS))
        elif kind < 0.95:
            terminal.resize(dice.randint(1, 250), dice.randint(1, 80))
            terminal.process.send_signal(signal.SIGWINCH)
        elif kind < 0.98:
            terminal.type(b"\x1b[200~" + dice.randbytes(dice.randint(0, 200)) + b"\x1b[201~")
        else:
            terminal.process.send_signal(signal.SIGCONT)
        if step % 10 == 0:
            seen = len(terminal.output)
            pause_s = time.monotonic() + 0.05
            while len(terminal.output) == seen and time.monotonic() < pause_s:
                time.sleep(0.005)
    with terminal:
        terminal.process.terminate()
        terminal.ends_with(143)
