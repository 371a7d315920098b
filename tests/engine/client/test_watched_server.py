"""The server child as the client keeps it: its port, its link, its faults and its end."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from child_scripts import DEADLINE_S, OBEDIENT, write_child
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    ChildDied,
    Drain,
    Drained,
    Fault,
    Note,
    Report,
    ServerListening,
)
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_options import ServerOptions

LISTENING = """
import json
from prodtop.engine.protocol.handover import Handover
handed = argparse.ArgumentParser()
handed.add_argument("--handover-fd", type=int)
handover = Handover.from_fd(handed.parse_known_args()[0].handover_fd)
port = json.loads(arguments.options).get("port", 8000)
if port and os.path.exists({taken!r}):
    channel.send(Fault(message=f"port {{port}} is taken", fatal=True, exit_code=2))
    sys.exit(2)
channel.send(ServerListening(url="http://x", port=port or 4321))
channel.send(Note(message=f"asked for {{port}}"))
while not channel.closed:
    select.select([channel, handover], [], [])
    if (link := handover.take()) is not None:
        channel.send(Note(message="linked"))
        channel.send(LinkLost())
        link.close()
        time.sleep(0.02)
    for command in channel.receive():
        if isinstance(command, Drain):
            channel.send(Drained(aborted=3))
            sys.exit(0)
        if isinstance(command, Shutdown):
            sys.exit(0)
"""
"""Says which port it was asked for, and loses every link that it gets."""


class Watched:
    """A client over a worker that only waits, and such a server."""

    def __init__(self, folder: Path) -> None:
        self.taken = folder / "taken"
        worker = write_child(folder / "worker.py", OBEDIENT)
        script = LISTENING.format(taken=str(self.taken))
        server = write_child(folder / "server.py", script)
        self.client = LocalEngine(
            WorkerOptions(),
            worker_command=lambda _: [sys.executable, str(worker)],
            probe_command=None,
            server=ServerOptions(port=0),
            server_command=lambda options: [
                sys.executable,
                str(server),
                "--options",
                msgspec.json.encode(options).decode(),
            ],
        )
        self.client.start()

    def until(self, *wanted: Report | type[Report]) -> list[Report]:
        """Poll until each of these has come, in whatever order; all that came."""
        reports: list[Report] = []
        deadline_s = time.monotonic() + DEADLINE_S
        while not all(
            any(each == report or type(report) is each for report in reports) for each in wanted
        ):
            assert time.monotonic() < deadline_s, f"{wanted} is not among {reports}"
            self.client.wait(0.01)
            reports += self.client.poll()
        return reports


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.client.close(at_once=True)


def kill_server(watched: Watched) -> None:
    pid = watched.client.server_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_restarted_server_is_asked_for_the_port_that_the_first_one_found(
    watched: Watched,
) -> None:
    watched.until(Note(message="asked for 0"))
    kill_server(watched)
    reports = watched.until(Note(message="asked for 4321"))
    died = next(report for report in reports if isinstance(report, ChildDied))
    assert (died.child, died.restart_in_s is None) == ("server", False)


def test_a_lost_link_is_replaced_again_and_again_and_never_told(watched: Watched) -> None:
    seen = watched.until(Note(message="asked for 0"))
    while sum(report == Note(message="linked") for report in seen) < 4:
        seen += watched.until(Note(message="linked"))
    assert all(type(report).__name__ != "LinkLost" for report in seen)


def test_a_port_that_was_lost_ends_the_server_alone(watched: Watched) -> None:
    watched.until(ServerListening)
    watched.taken.touch()
    kill_server(watched)
    reports = watched.until(Fault)
    fault = next(report for report in reports if isinstance(report, Fault))
    assert not fault.fatal
    death = next(report for report in watched.until(ChildDied) if isinstance(report, ChildDied))
    assert death.reason == "port 4321 is taken"
    assert death.restart_in_s is None
    assert watched.client.worker_pid is not None


def test_a_drained_server_ends_for_good(watched: Watched) -> None:
    watched.until(ServerListening)
    watched.client.send(Drain(limit_s=1.0))
    ended = ChildDied(child="server", reason="ended as it was asked to")
    watched.until(Drained(aborted=3), ended)
    assert watched.client.server_pid is None
    watched.client.send(Drain(limit_s=1.0))
    watched.until(Drained(aborted=0))


def test_closing_drains_and_remembers_what_it_cut_off(watched: Watched) -> None:
    watched.until(ServerListening)
    watched.client.close()
    assert watched.client.aborted_at_close == 3
    assert watched.client.server_pid is None
    watched.client.close()


def test_closing_at_once_asks_nobody(watched: Watched) -> None:
    watched.until(ServerListening)
    watched.client.close(at_once=True)
    assert watched.client.aborted_at_close == 0
