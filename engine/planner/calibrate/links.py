"""Measures collectives between ranks, started by torchrun: one process a GPU, or two on a CPU.

`python -m torch.distributed.run --standalone --nproc-per-node 2 -m
prodtop.engine.planner.calibrate.links --backend gloo`. The first rank reports, one JSON line a
measurement: the slowest rank's time, since a collective is over when all have it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist

from ...device.devices import synchronize
from .samples import (
    COLLECTIVES,
    CPU_PAYLOAD_BYTES,
    PAYLOAD_BYTES,
    Collective,
    CollectiveSample,
    SkippedSample,
    write_report,
)

REPEATS = 5
"""Times that each measurement is taken; their median counts."""
BURST_S = 0.01
"""About how long one of them lasts."""


def main() -> None:
    """Measure all collectives over all payloads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", choices=("nccl", "gloo"), required=True)
    backend = parser.parse_args().backend
    device = torch.device("cpu")
    if backend == "nccl":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group(
        backend,
        timeout=timedelta(seconds=120),
        device_id=device if backend == "nccl" else None,
    )
    try:
        for collective in COLLECTIVES:
            _sweep(collective, device)
    finally:
        dist.destroy_process_group()


def _sweep(collective: Collective, device: torch.device) -> None:
    for size in PAYLOAD_BYTES if device.type == "cuda" else CPU_PAYLOAD_BYTES:
        try:
            seconds = _timed(_work(collective, size, device), device)
        except (RuntimeError, ValueError) as error:
            # All ranks meet this alike: the backend has no such operation.
            _report(SkippedSample(what=collective, reason=str(error).splitlines()[0]))
            return
        _report(
            CollectiveSample(
                collective=collective,
                ranks=dist.get_world_size(),
                whole_bytes=size,
                seconds=seconds,
            )
        )


def _report(sample: CollectiveSample | SkippedSample) -> None:
    if dist.get_rank() == 0:
        write_report(sample)


def _work(collective: Collective, size: int, device: torch.device) -> Callable[[], None]:
    """The operation on a whole tensor of `size` bytes, in fp32 as gradients are reduced."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    whole = torch.zeros(size // 4 // ranks * ranks, device=device)
    part = torch.zeros(whole.numel() // ranks, device=device)

    def reduce() -> None:
        dist.all_reduce(whole)

    def gather() -> None:
        dist.all_gather_into_tensor(whole, part)

    def scatter() -> None:
        dist.reduce_scatter_tensor(part, whole)

    def pass_on() -> None:
        # To the first other rank only: one link, one direction.
        if rank == 0:
            dist.send(whole, 1)
        elif rank == 1:
            dist.recv(whole, 0)

    works: dict[Collective, Callable[[], None]] = {
        "all_reduce": reduce,
        "all_gather": gather,
        "reduce_scatter": scatter,
        "p2p": pass_on,
    }
    return works[collective]


def _timed(work: Callable[[], None], device: torch.device) -> float:
    once = _slowest(_burst(work, 3, device), device)
    calls = max(1, min(200, round(BURST_S / max(once, 1e-7))))
    times = [_slowest(_burst(work, calls, device), device) for _ in range(REPEATS)]
    return statistics.median(times)


def _burst(work: Callable[[], None], calls: int, device: torch.device) -> float:
    _settle(device)
    start = time.perf_counter()
    for _ in range(calls):
        work()
    synchronize(device)
    return (time.perf_counter() - start) / calls


def _settle(device: torch.device) -> None:
    """Let all ranks begin together."""
    synchronize(device)
    dist.barrier()
    synchronize(device)


def _slowest(seconds: float, device: torch.device) -> float:
    """The longest of all ranks' times: the same on each, so that all choose the same repeats."""
    longest = torch.tensor([seconds], dtype=torch.float64, device=device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    return float(longest.item())


if __name__ == "__main__":
    main()
