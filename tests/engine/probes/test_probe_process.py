"""The probe as the process that it is."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prodtop.engine.protocol import REPORT_DECODER, HostSample, Report, Shutdown, WatchProcess
from prodtop.engine.protocol.channel import Channel, channel_pair
from prodtop.engine.protocol.options import module_command

DEADLINE_S = 20.0


@pytest.fixture
def probe() -> Iterator[tuple[subprocess.Popen[bytes], Channel[Report]]]:
    channel, inherited = channel_pair(REPORT_DECODER)
    with inherited:
        fd = inherited.fileno()
        command = [*module_command("prodtop.engine.probes"), "--channel-fd", str(fd)]
        process = subprocess.Popen(command, pass_fds=(fd,))
    yield process, channel
    process.kill()
    process.wait()
    channel.close()


def samples(channel: Channel[Report], count: int) -> list[HostSample]:
    """Wait for so many samples."""
    deadline_s = time.monotonic() + DEADLINE_S
    received: list[HostSample] = []
    while len(received) < count:
        assert time.monotonic() < deadline_s
        select.select([channel], [], [], 0.1)
        received += [each for each in channel.receive() if isinstance(each, HostSample)]
    return received


def test_it_samples_the_watched_process(
    probe: tuple[subprocess.Popen[bytes], Channel[Report]],
) -> None:
    _, channel = probe
    channel.send(WatchProcess(pid=os.getpid()))
    first, second = samples(channel, 2)
    assert second.at_s > first.at_s
    assert second.worker_rss_bytes is not None
    assert second.gpus or second.gpu_note


@pytest.mark.parametrize("farewell", ["shutdown", "hang up"])
def test_it_ends_when_told_and_when_left_alone(
    probe: tuple[subprocess.Popen[bytes], Channel[Report]], farewell: str
) -> None:
    process, channel = probe
    samples(channel, 1)
    if farewell == "shutdown":
        channel.send(Shutdown())
    else:
        channel.close()
    assert process.wait(DEADLINE_S) == 0


def test_it_knows_neither_torch_nor_the_screen() -> None:
    code = (
        "import sys, prodtop.engine.probes.__main__\n"
        "print([name for name in ('torch', 'textual', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
