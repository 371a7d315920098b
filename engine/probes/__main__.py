"""`python -m prodtop.engine.probes --channel-fd N`: the probe process.

It takes a sample every quarter of a second, until the screen is gone.
"""

import argparse
import select
import sys
import time

from ..protocol import COMMAND_DECODER, PROBE_INTERVAL_S, Command, Shutdown, WatchProcess
from ..protocol.channel import Channel, ChannelError
from ..protocol.child_process import channel_fd_of, die_with_parent, tell_crash
from ..text.clean_stream import clean_output
from .host import HostProbe
from .nvml import GpuProbe
from .nvml_api import load_pynvml


def main() -> int:
    """Sample until the screen says `Shutdown` or is gone; the exit code is the error's, if any."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.probes")
    parser.add_argument("--channel-fd", type=int, required=True)
    channel = Channel.from_fd(parser.parse_args().channel_fd, COMMAND_DECODER)
    gpus = GpuProbe(load_pynvml)
    try:
        run(channel, HostProbe(), gpus)
    except ChannelError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001
        # The process's edge: what nobody expected is told, and ends it.
        return tell_crash(channel, error)
    finally:
        gpus.close()
        channel.close()
    return 0


def run(channel: Channel[Command], host: HostProbe, gpus: GpuProbe) -> None:
    """Publish samples until the channel ends or `Shutdown` comes."""
    due_s = time.monotonic() + PROBE_INTERVAL_S
    while not channel.closed:
        wait_s = max(0.0, due_s - time.monotonic())
        if select.select([channel], [], [], wait_s)[0]:
            for command in channel.receive():
                if isinstance(command, Shutdown):
                    return
                if isinstance(command, WatchProcess):
                    host.watch(command.pid)
            continue
        # A round that took too long is not made up for: the next one is a whole interval away.
        due_s = max(due_s + PROBE_INTERVAL_S, time.monotonic())
        channel.send(host.read(gpus.read(host.watched_pids())))


if __name__ == "__main__":
    die_with_parent(channel_fd_of(sys.argv))
    with clean_output():
        exit_code = main()
    sys.exit(exit_code)
