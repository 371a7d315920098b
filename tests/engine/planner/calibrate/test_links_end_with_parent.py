"""The processes that measure links end with whoever started them, in every phase."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import psutil
import pytest

MARK = "PRODTOP_TEST_MARK"
DEADLINE_S = 40.0
"""Far beyond what it takes, also on a machine with other work."""

PARENT = """
from threading import Event
from prodtop.engine.files.child_log import ChildLog
from prodtop.engine.planner.calibrate.runner import _links_command, _started
with _started(_links_command("cpu", 2), ChildLog("links"), Event()) as process:
    print("started", flush=True)
    for line in process.stdout:
        print("measured", flush=True)
"""


def marked(mark: str) -> list[psutil.Process]:
    """The processes with this mark in their environment; one that has ended is none."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"never came: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("phase", ["the ranks begin", "the ranks measure"])
def test_all_of_them_end_with_the_one_who_calibrates(phase: str) -> None:
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: mark},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        if phase == "the ranks begin":
            # The one who calibrates, torchrun, and at least one rank.
            wait_for("a rank", lambda: len(marked(mark)) > 2)
        elif phase == "the ranks measure":
            assert parent.stdout.readline() == b"measured\n"
            # They would end by themselves soon: now they do only if the kernel ends them.
            for child in psutil.Process(parent.pid).children(recursive=True):
                child.suspend()
        os.kill(parent.pid, signal.SIGKILL)
    try:
        wait_for("the end of all", lambda: not marked(mark))
    finally:
        for left in marked(mark):
            left.kill()
