"""Measures one device: `python -m prodtop.engine.planner.calibrate.device --device cuda:0`.

Reports products by shape and copies by size, one JSON line each. A GPU is first kept busy for some
seconds: training never meets the clocks of a cold one.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import psutil
import torch

from ...device.devices import device_name, resolve_device, synchronize
from ...protocol.errors import ProdtopError
from .samples import (
    COPY_BYTES,
    CPU_COPY_BYTES,
    CPU_SHAPES,
    EXIT_NO_GPU,
    SHAPES,
    CopySample,
    DeviceSample,
    MatmulSample,
    SkippedSample,
    write_report,
)

WARM_S = 3.0
"""How long a GPU multiplies before it is measured."""
REPEATS = 5
"""Times that each measurement is taken; their median counts."""
BURST_S = 0.02
"""About how long one of them lasts."""
FP8_LARGEST = 448.0
"""The largest value of float8_e4m3fn."""


def main() -> None:
    """Measure the device named on the command line; exits with `EXIT_NO_GPU` where it is a GPU and
    there is none, and with one line where it is not there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    name = parser.parse_args().device
    if name.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(EXIT_NO_GPU)
    try:
        device = resolve_device(name)
    except ProdtopError as error:
        sys.exit(str(error))
    write_report(_describe(device))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        _warm(device)
    with torch.inference_mode():
        _products(device)
        _copies(device)


def _describe(device: torch.device) -> DeviceSample:
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return DeviceSample(
            name=device_name(device),
            type="cuda",
            devices=torch.cuda.device_count(),
            memory_bytes=properties.total_memory,
            sms=properties.multi_processor_count,
            torch=str(torch.__version__),
        )
    return DeviceSample(
        name=device_name(device),
        type=device.type,
        devices=1,
        memory_bytes=psutil.virtual_memory().total,
        sms=psutil.cpu_count(logical=False) or 1,
        torch=str(torch.__version__),
    )


def _warm(device: torch.device) -> None:
    left = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    end = time.monotonic() + WARM_S
    while time.monotonic() < end:
        for _ in range(8):
            left @ left
        synchronize(device)


def _products(device: torch.device) -> None:
    gpu = device.type == "cuda"
    shapes = SHAPES if gpu else CPU_SHAPES
    if not gpu:
        _plain_products(device, "fp32", shapes)
    _plain_products(device, "bf16", shapes)
    if gpu and torch.cuda.get_device_capability(device) >= (8, 9):
        for m, n, k in shapes:
            write_report(_fp8_product(device, m, n, k))
    else:
        write_report(SkippedSample(what="fp8", reason="the device has no fp8 tensor cores"))


def _plain_products(
    device: torch.device, dtype: Literal["fp32", "bf16"], shapes: Sequence[tuple[int, int, int]]
) -> None:
    kept = torch.bfloat16 if dtype == "bf16" else torch.float32
    for m, n, k in shapes:
        left = torch.randn(m, k, device=device).to(kept)
        right = torch.randn(n, k, device=device).to(kept).t()
        seconds = timed(partial(torch.mm, left, right), device)
        write_report(MatmulSample(dtype=dtype, m=m, n=n, k=k, seconds=seconds))


def _fp8_product(device: torch.device, m: int, n: int, k: int) -> MatmulSample:
    left = torch.randn(m, k, device=device).clamp_(-FP8_LARGEST, FP8_LARGEST)
    right = torch.randn(n, k, device=device).clamp_(-FP8_LARGEST, FP8_LARGEST)
    a, b = left.to(torch.float8_e4m3fn), right.to(torch.float8_e4m3fn).t()
    one = torch.ones((), device=device)

    def multiply() -> torch.Tensor:
        return torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

    return MatmulSample(dtype="fp8", m=m, n=n, k=k, seconds=timed(multiply, device))


def _copies(device: torch.device) -> None:
    for size in COPY_BYTES if device.type == "cuda" else CPU_COPY_BYTES:
        source = torch.empty(size, device=device, dtype=torch.uint8).fill_(1)
        target = torch.empty_like(source)
        seconds = timed(partial(target.copy_, source), device)
        write_report(CopySample(moved_bytes=2 * size, seconds=seconds))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the median of several bursts long enough for the clock."""
    once = _burst(work, 3, device)
    calls = max(1, min(1000, round(BURST_S / max(once, 1e-7))))
    return statistics.median(_burst(work, calls, device) for _ in range(REPEATS))


def _burst(work: Callable[[], object], calls: int, device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / calls


if __name__ == "__main__":
    main()
