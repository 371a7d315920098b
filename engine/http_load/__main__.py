"""`python -m prodtop.engine.http_load --options JSON`: the generator; it tells lines of JSON."""

import argparse
import asyncio
import sys

import msgspec

from ..protocol import COMMAND_DECODER, Note
from ..protocol.channel import Channel
from ..protocol.child_process import (
    channel_fd_of,
    die_with_parent,
    raise_open_files,
    tell_crash,
)
from ..protocol.errors import ProdtopError
from ..text.clean_stream import clean_output
from .live import drive
from .main import measure
from .messages import LoadFailed, Word, from_argument

MOST_FILES = 16_384
"""A connection for each request at once."""


def main() -> int:
    """Measure; the exit code is the error's, if any."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.http_load")
    parser.add_argument("--options", required=True)
    parser.add_argument("--channel-fd", type=int)
    arguments = parser.parse_args()
    raise_open_files(MOST_FILES)
    if arguments.channel_fd is not None:
        return _drive(arguments.channel_fd, arguments.options)
    try:
        asyncio.run(measure(from_argument(arguments.options), tell))
    except ProdtopError as error:
        tell(LoadFailed(reason=str(error), exit_code=error.exit_code))
        return error.exit_code
    return 0


def _drive(channel_fd: int, options: str) -> int:
    """Beside a screen: a load until it is ended."""
    channel = Channel.from_fd(channel_fd, COMMAND_DECODER)
    try:
        asyncio.run(drive(channel, from_argument(options)))
    except ProdtopError as error:
        channel.send(Note(message=f"no load: {error}"))
        return error.exit_code
    except Exception as error:  # noqa: BLE001
        # The process's edge: what nobody expected is told, and ends it.
        return tell_crash(channel, error)
    finally:
        channel.close()
    return 0


def tell(message: Word) -> None:
    """Print a message."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if "--channel-fd" in sys.argv:
        die_with_parent(channel_fd_of(sys.argv))
    with clean_output():
        exit_code = main()
    sys.exit(exit_code)
