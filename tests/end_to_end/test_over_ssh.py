"""prodtop where it is used: through a real SSH connection that is resized, dropped and slow."""

import os
import shlex
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from slow_link import slow_link
from sshd import SshServer, ssh_server, unavailable
from tmux import DEADLINE_S, PRODTOP, Pane

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

RATE_BYTES_PER_S = 200_000
ROUND_TRIP_S = 0.15
HELD_S = 60.0
ANSWERED_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with ssh_server(tmp_path / "ssh") as running:
        yield running


@contextmanager
def over_ssh(server: SshServer, command: str, *, port: int | None = None) -> Iterator[Pane]:
    """A terminal in which an SSH client runs `command` on the server."""
    name = f"prodtop-ssh-{os.getpid()}-{time.monotonic_ns()}"
    with Pane(name, 120, 36, server.client(command, port=port)) as pane:
        yield pane


def monitor(folder: Path, *more: str) -> str:
    """The command line of a small load on the tiny model."""
    arguments = ["--model", str(folder), "--threads", "1", "--users", "2", *more]
    return shlex.join([str(PRODTOP), *arguments])


def serves(text: str) -> bool:
    return "tok/s" in text and "finished" in text


def processes_of(server: SshServer) -> dict[str, psutil.Process]:
    """The screen and its children, wherever below the server, by what they are."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.Process(server.pid).children(recursive=True):
        line = " ".join(process.cmdline())
        for kind, words in {
            "worker": "prodtop.engine.worker",
            "probe": "prodtop.engine.probes",
            "screen": f"{PRODTOP} --model",
        }.items():
            if words in line and process.name() not in ("sh", "bash", "tmux: server"):
                found[kind] = process
    return found


def drop(pane: Pane) -> None:
    """End the client as a closed laptop does: without a word to the server."""
    (client,) = pane.processes("ssh")
    client.send_signal(signal.SIGKILL)


def test_keys_and_sizes_pass_and_a_dropped_connection_ends_everything(
    server: SshServer, tiny_folder: Path
) -> None:
    with over_ssh(server, monitor(tiny_folder)) as pane:
        pane.until(serves)
        pane.press("1")
        pane.shows("[1 single]")
        pane.resize(80, 24)
        pane.until(lambda text: serves(text) and len(text.splitlines()[0]) <= 80)
        pane.resize(140, 40)
        pane.until(lambda text: any(len(line) == 140 for line in text.splitlines()))
        found = processes_of(server)
        assert set(found) == {"screen", "worker", "probe"}

        drop(pane)
        _, alive = psutil.wait_procs(found.values(), timeout=DEADLINE_S)
        assert alive == []


def test_within_tmux_a_dropped_connection_leaves_it_running(
    server: SshServer, tiny_folder: Path
) -> None:
    inner = f"prodtop-inner-{os.getpid()}"
    keep = ["tmux", "-L", inner, "-f", os.devnull]
    command = shlex.join([*keep, "new-session", "-A", "-s", "top", monitor(tiny_folder)])
    try:
        with over_ssh(server, command) as pane:
            pane.until(serves)
            before = workers_of_this_test()
            assert len(before) == 1
            drop(pane)
            pane.shows("ended with")
        with over_ssh(server, command) as pane:
            pane.until(serves)
            assert workers_of_this_test() == before
            pane.press("2")
            pane.shows("[2 batched]")
    finally:
        subprocess.run([*keep, "kill-server"], check=False)
    _, alive = psutil.wait_procs(before, timeout=DEADLINE_S)
    assert alive == []


def workers_of_this_test() -> list[psutil.Process]:
    """The workers that have this test's folders, also those that have no parent any more."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "prodtop.engine.worker" not in (process.info["cmdline"] or ()):
            continue
        try:
            if process.environ().get("XDG_STATE_HOME") == os.environ["XDG_STATE_HOME"]:
                found.append(process)
        except psutil.Error:
            continue  # it has just ended
    return found


def answer_s(pane: Pane) -> float:
    """How long the help takes to open, as the eye sees it."""
    started_s = time.monotonic()
    pane.press("?")
    pane.shows("Freeze the display")
    taken_s = time.monotonic() - started_s
    pane.press("Escape")
    pane.until(lambda text: "Freeze the display" not in text)
    return taken_s


def test_a_slow_link_has_no_backlog_and_keys_are_answered(
    server: SshServer, tiny_folder: Path
) -> None:
    command = monitor(tiny_folder)
    with over_ssh(server, command) as pane:
        pane.until(serves)
        near_s = statistics.median(answer_s(pane) for _ in range(5))

    with (
        slow_link(server.port, RATE_BYTES_PER_S, ROUND_TRIP_S) as link,
        over_ssh(server, command, port=link.port) as pane,
    ):
        pane.until(serves)
        link.forget_queue()
        begun_s, begun_bytes = time.monotonic(), link.carried_bytes
        far_s = []
        while time.monotonic() - begun_s < HELD_S:
            far_s.append(answer_s(pane))
            pane.resize(*((120, 36) if len(far_s) % 2 else (140, 40)))
        held_s = time.monotonic() - begun_s

        # What waits in the link delays the answer to a key by its length.
        assert link.most_queued_bytes < RATE_BYTES_PER_S * (ANSWERED_S - ROUND_TRIP_S)
        assert (link.carried_bytes - begun_bytes) / held_s < RATE_BYTES_PER_S
        # The rest of the time is this machine's, whatever else it has to do.
        assert statistics.median(far_s) - near_s < ANSWERED_S
