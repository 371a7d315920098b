"""Small child processes that speak the protocol, for the tests of what watches over children."""

import textwrap
from pathlib import Path

DEADLINE_S = 20.0

PRELUDE = """
import argparse, os, select, signal, sys, time
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol import *
parser = argparse.ArgumentParser()
parser.add_argument("--channel-fd", type=int)
parser.add_argument("--options")
arguments, _ = parser.parse_known_args()
channel = Channel.from_fd(arguments.channel_fd, COMMAND_DECODER)
"""

OBEDIENT = """
channel.send(Note(message="here"))
while not channel.closed:
    select.select([channel], [], [])
    if Shutdown() in channel.receive():
        break
"""
"""Says that it is there, and waits to be told to end."""


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def write_child(path: Path, body: str) -> Path:
    """Write a script that opens its channel and then runs `body`."""
    path.write_text(PRELUDE + textwrap.dedent(body))
    return path
