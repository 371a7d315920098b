"""Trains the small GPT for a few steps under one strategy; torchrun starts it on each rank.

    torchrun --standalone --nproc-per-node 2 two_ranks_train.py --strategy fsdp --size tiny
        --device cpu --precision fp32

The first rank prints one JSON object: the median step time, the fullest rank's peak memory where
the device counts it, and the first and last step's loss: the batch stays the same, so it falls.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import loss_parallel
from two_ranks_gpt import Gpt, loss_of, shard, split_tensors
from two_ranks_work import SIZES, Work

WARM_STEPS = 3
"""Steps before the measured ones: the first allocate, choose kernels and connect."""

Step = Callable[[], float | None]
"""Takes one step and returns its loss, `None` on a rank that does not see it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--strategy", choices=("fsdp", "tp", "pp"), required=True)
    parser.add_argument("--size", choices=tuple(SIZES), required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    compute = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    device = torch.device("cpu")
    if arguments.device == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        make = {"fsdp": fsdp_step, "tp": tensor_step, "pp": pipeline_step}[arguments.strategy]
        measure(make(SIZES[arguments.size], device, compute), device, arguments.steps)
        # A rank that leaves while another still talks to it breaks that one's connection.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def measure(step: Step, device: torch.device, steps: int) -> None:
    """Run warm-up and measured steps and print the slowest rank's figures."""
    times, losses = [], []
    for _ in range(WARM_STEPS + steps):
        settle(device)
        start = time.perf_counter()
        loss = step()
        settle(device)
        times.append(time.perf_counter() - start)
        losses.append(-math.inf if loss is None else loss)
    seconds = slowest(statistics.median(times[WARM_STEPS:]), device)
    peak = None
    if device.type == "cuda":
        peak = slowest(float(torch.cuda.max_memory_allocated(device)), device)
    first, last = (slowest(loss, device) for loss in (losses[0], losses[-1]))
    if dist.get_rank() == 0:
        found = {"step_s": seconds, "peak_bytes": peak, "first_loss": first, "last_loss": last}
        print(json.dumps(found), flush=True)


def settle(device: torch.device) -> None:
    """Wait for this rank's work, then for the other ranks."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    dist.barrier()


def slowest(value: float, device: torch.device) -> float:
    """The largest of all ranks' values."""
    largest = torch.tensor([value], dtype=torch.float64, device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return float(largest.item())


def batch(work: Work, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random tokens and targets, [count · micro_batch, sequence] each."""
    shape = (count * work.micro_batch, work.sequence)
    tokens, targets = (
        torch.randint(work.vocabulary, shape, device=device, dtype=torch.int64) for _ in range(2)
    )
    return tokens, targets


def optimizer_of(model: Gpt) -> torch.optim.Optimizer:
    """AdamW; sharded and plain parameters in groups of their own, each updated at once."""
    sharded = [p for p in model.parameters() if isinstance(p, DTensor)]
    plain = [p for p in model.parameters() if not isinstance(p, DTensor)]
    return torch.optim.AdamW([{"params": group} for group in (sharded, plain) if group], lr=1e-4)


def fsdp_step(work: Work, device: torch.device, compute: torch.dtype) -> Step:
    """Fully sharded: each rank has its own micro-batches."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    model = Gpt(work, range(work.layers), compute).to(device)
    shard(model, mesh, compute)
    optimizer = optimizer_of(model)
    tokens, targets = batch(work, 1, device)

    def step() -> float | None:
        optimizer.zero_grad()
        loss = loss_of(model(tokens), targets)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    return step


def tensor_step(work: Work, device: torch.device, compute: torch.dtype) -> Step:
    """Tensor parallel: all ranks have the same micro-batch."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    torch.manual_seed(0)
    model = Gpt(work, range(work.layers), compute).to(device)
    split_tensors(model, mesh)
    optimizer = optimizer_of(model)
    tokens, targets = batch(work, 1, device)

    def step() -> float | None:
        optimizer.zero_grad()
        with loss_parallel():
            with cast(device, compute):
                loss = loss_of(model(tokens), targets)
            torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    return step


def pipeline_step(work: Work, device: torch.device, compute: torch.dtype) -> Step:
    """Pipeline parallel: equal parts of the layers, 1F1B over the micro-batches."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    layers = work.layers // ranks
    which = range(rank * layers, (rank + 1) * layers)
    model = Gpt(work, which, compute).to(device)
    stage = PipelineStage(model, rank, ranks, device)
    schedule = Schedule1F1B(stage, n_microbatches=work.micro_batches, loss_fn=loss_of)
    optimizer = optimizer_of(model)
    tokens, targets = batch(work, work.micro_batches, device)

    def step() -> float | None:
        optimizer.zero_grad()
        losses: list[Tensor] = []
        with cast(device, compute):
            if rank == 0:
                schedule.step(tokens)
            elif rank == ranks - 1:
                schedule.step(target=targets, losses=losses)
            else:
                schedule.step()
        optimizer.step()
        return torch.stack(losses).mean().item() if losses else None

    return step


def cast(device: torch.device, compute: torch.dtype) -> torch.autocast | nullcontext[None]:
    """Products in `compute` over fp32 parameters; nothing to do where that is fp32."""
    if compute is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, compute)


if __name__ == "__main__":
    main()
    # A thread of gloo may still hold a tensor: letting go of it while the interpreter is taken down
    # aborts the process (pytorch/pytorch#179291).
    os._exit(0)
