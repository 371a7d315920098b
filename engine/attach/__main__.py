"""`python -m prodtop.engine.attach --options JSON --channel-fd N`: the reader process."""

import argparse
import asyncio
import resource
import sys

from ..protocol import COMMAND_DECODER, Fault
from ..protocol.channel import Channel, ChannelError
from ..protocol.child_process import channel_fd_of, die_with_parent, lower_limit, tell_crash
from ..protocol.errors import ProdtopError
from ..text.clean_stream import clean_output
from .asking.settings import from_argument
from .main import read_servers

MOST_BYTES = 2 << 30
"""Of address space: whatever servers send, no more is taken."""


def main() -> int:
    """Read until the screen says `Shutdown` or is gone; the exit code is the error's, if any."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.attach")
    parser.add_argument("--channel-fd", type=int, required=True)
    parser.add_argument("--options", required=True)
    arguments = parser.parse_args()
    channel = Channel.from_fd(arguments.channel_fd, COMMAND_DECODER)
    lower_limit(resource.RLIMIT_AS, MOST_BYTES)
    try:
        asyncio.run(read_servers(channel, from_argument(arguments.options)))
    except ChannelError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except ProdtopError as error:
        channel.send(Fault(message=str(error), fatal=True, exit_code=error.exit_code))
        return error.exit_code
    except Exception as error:  # noqa: BLE001
        # The process's edge: what nobody expected is told, and ends it.
        return tell_crash(channel, error)
    finally:
        channel.close()
    return 0


if __name__ == "__main__":
    die_with_parent(channel_fd_of(sys.argv))
    with clean_output():
        exit_code = main()
    sys.exit(exit_code)
