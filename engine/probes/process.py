"""The probe's loop: a sample every quarter of a second, until the screen is gone."""

import select
import time

from ..protocol import PROBE_INTERVAL_S, Command, Shutdown, WatchProcess
from ..protocol.channel import Channel
from .host import HostProbe
from .nvml import GpuProbe
from .nvml_api import Nvml


def load_pynvml() -> Nvml:
    """Imported late: without a GPU, and with a broken driver, there is still a host to show."""
    import pynvml

    module: Nvml = pynvml
    return module


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
        channel.send(host.read(gpus.read(host.watched_pid)))
