"""What the measuring processes report: one JSON object a line on their standard output."""

from typing import Literal

import msgspec

SHAPES = tuple(
    (tokens, outputs, inputs)
    for tokens in (1024, 4096, 16_384)
    for outputs, inputs in (
        (2048, 2048),
        (6144, 4096),
        (4096, 4096),
        (28_672, 4096),
        (4096, 14_336),
    )
)
"""[m, k] × [k, n] as (m, n, k): tokens of a micro-batch through layers of 1B to 8B models, where
the part of a wave that is lost still shows."""
CPU_SHAPES = ((64, 256, 256), (64, 1024, 1024), (256, 512, 512), (256, 1024, 1024))
"""Enough to see a CPU's peak in a second."""

COPY_BYTES = (2**12, *(2**power for power in range(27, 31)))
"""A kernel's start by itself, then what no cache holds (50 MB on an H100, 126 MB on a B200)."""
CPU_COPY_BYTES = (2**12, 2**25, 2**26)

PAYLOAD_BYTES = tuple(2**power for power in range(12, 31, 2))
"""Whole tensors of collectives, 4 KiB to 1 GiB."""
CPU_PAYLOAD_BYTES = tuple(2**power for power in range(10, 23, 4))
"""The same between processes of one host, 1 KiB to 4 MiB."""

EXIT_NO_GPU = 3
"""How a measuring process ends that was to measure a GPU where there is none."""

Collective = Literal["all_reduce", "all_gather", "reduce_scatter", "p2p"]
COLLECTIVES: tuple[Collective, ...] = ("all_reduce", "all_gather", "reduce_scatter", "p2p")


class Sample(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One line of a report."""


class DeviceSample(Sample, frozen=True, kw_only=True, tag="device"):
    """The device that is measured. `sms` are a GPU's multiprocessors, or a CPU's cores."""

    name: str
    type: str
    devices: int
    memory_bytes: int
    sms: int
    torch: str


class MatmulSample(Sample, frozen=True, kw_only=True, tag="matmul"):
    """One product [m, k] × [k, n] in `dtype`."""

    dtype: Literal["fp32", "bf16", "fp8"]
    m: int
    n: int
    k: int
    seconds: float

    @property
    def flops(self) -> float:
        """Two for each multiply-add."""
        return 2.0 * self.m * self.n * self.k


class CopySample(Sample, frozen=True, kw_only=True, tag="copy"):
    """A copy inside the device's memory; `moved_bytes` counts those read and those written."""

    moved_bytes: int
    seconds: float


class CollectiveSample(Sample, frozen=True, kw_only=True, tag="collective"):
    """One collective among `ranks` ranks. `whole_bytes` is the whole tensor: what all_gather ends
    with, what reduce_scatter begins with."""

    collective: Collective
    ranks: int
    whole_bytes: int
    seconds: float


class SkippedSample(Sample, frozen=True, kw_only=True, tag="skipped"):
    """Something that this device or backend cannot do, and why."""

    what: str
    reason: str


Report = DeviceSample | MatmulSample | CopySample | CollectiveSample | SkippedSample

_DECODER: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def parse_report(line: bytes) -> Report:
    """Read one line; raises `msgspec.DecodeError` for text that is no report."""
    return _DECODER.decode(line)


def write_report(report: Report) -> None:
    """Print one line at once: the parent shows progress by it."""
    print(msgspec.json.encode(report).decode(), flush=True)
