"""`python -m prodtop.engine.probes --channel-fd N`: the probe process."""

import argparse
import sys

from ..protocol import COMMAND_DECODER
from ..protocol.channel import Channel, ChannelError
from .host import HostProbe
from .nvml import GpuProbe
from .process import load_pynvml, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="prodtop probe")
    parser.add_argument("--channel-fd", type=int, required=True)
    channel = Channel.from_fd(parser.parse_args().channel_fd, COMMAND_DECODER)
    gpus = GpuProbe(load_pynvml)
    try:
        run(channel, HostProbe(), gpus)
    except ChannelError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    finally:
        gpus.close()
        channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
