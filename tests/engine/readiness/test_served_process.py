"""A process that serves, or does not: how it is followed, and that nothing of it is left."""

import os
import signal
import sys
import textwrap

import psutil
import pytest
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.readiness import served_process
from prodtop.engine.readiness.served_process import ServedProcess

DEADLINE_S = 60.0
SERVES = "serving a model (int8, hybrid) at http://127.0.0.1:8123/v1"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end by itself is helped soon."""
    monkeypatch.setattr(served_process, "ENDING_PATIENCE_S", 0.5)


def script(text: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


STUBBORN = script(
    f"""
    import signal, subprocess, sys, time
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(sleep, stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print({SERVES!r}, flush=True)
    while True:
        time.sleep(0.05)
    """
)


def test_what_is_served_is_read_from_its_line() -> None:
    with ServedProcess(STUBBORN) as served:
        says = served.until_serving(lambda _: None)
        assert (says.model, says.precision, says.strategy) == ("a model", "int8", "hybrid")
        address = served.address
        assert (address.host, address.port) == ("127.0.0.1", 8123)
        assert len(address.key) > 20
        # Nothing among its children is a worker.
        assert served.worker_pid is None


def test_leaving_ends_its_children_too() -> None:
    with ServedProcess(STUBBORN) as served:
        served.until_serving(lambda _: None)
        started = psutil.Process(served.pid).children(recursive=True)
        assert len(started) == 1
    assert psutil.wait_procs(started, timeout=DEADLINE_S)[1] == []
    served.close()


def test_ctrl_c_of_the_terminal_does_not_reach_it() -> None:
    with ServedProcess(STUBBORN) as served:
        served.until_serving(lambda _: None)

        assert os.getsid(served.pid) == served.pid != os.getsid(0)


def test_the_exit_code_is_known_once_it_has_ended() -> None:
    with ServedProcess(STUBBORN) as served:
        served.until_serving(lambda _: None)
        assert served.ended(0) is None
        served.terminate()
        assert served.ended(DEADLINE_S) == 0
        assert served.lines[0] == SERVES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("print('prodtop: port 8000 is taken'); raise SystemExit(2)", "port 8000 is taken"),
        ("raise SystemExit(5)", "exit code 5"),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "exit code -9"),
    ],
)
def test_a_start_that_fails_says_why(text: str, words: str) -> None:
    with (
        ServedProcess(script(text)) as served,
        pytest.raises(ProdtopError, match=words),
    ):
        served.until_serving(lambda _: None)
