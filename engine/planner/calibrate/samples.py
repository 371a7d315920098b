"""What the measuring processes report: one JSON object a line on their standard output."""

from typing import Literal

import msgspec

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


def parse_report(line: str) -> Report:
    """Read one line; raises `msgspec.DecodeError` for text that is no report."""
    return _DECODER.decode(line)


def write_report(report: Report) -> None:
    """Print one line at once: the parent shows progress by it."""
    print(msgspec.json.encode(report).decode(), flush=True)
