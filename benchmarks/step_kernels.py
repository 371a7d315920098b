"""Where a decode step's time goes on a GPU: how much later each kernel ends than the one before it.

    python benchmarks/step_kernels.py [--model llama-3.1-8b] [--precisions bf16,int8,int4,fp8]
        [--requests 1] [--context-tokens 4096]

Kernels overlap (programmatic dependent launch): what one lasts includes its waiting for the one
before, so durations add up to more than the step. What they end later does add up. Shown for each
kind of kernel, by name and grid, and by the kernel before it: how many a step, the median of how
much later it ends, of how long it lasts, and of how long after the end of the one before it starts.
Random weights, prompts of 128 tokens.
"""

import argparse
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec
import torch
from prodtop.engine.device.devices import resolve_device
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Sampling
from prodtop.engine.serving.settings import EngineSettings
from torch.profiler import ProfilerActivity, profile

PROMPT_TOKENS = 128
STEPS_BEFORE = 20
STEPS = 4
TOKEN_BUDGET = 8192


class Args(msgspec.Struct, frozen=True):
    grid: tuple[int, ...] = ()


class Event(msgspec.Struct, frozen=True):
    """What a trace of torch's profiler says of a kernel, in microseconds."""

    name: str
    ts: float
    dur: float
    args: Args = Args()

    @property
    def end(self) -> float:
        return self.ts + self.dur


@dataclass(frozen=True, slots=True)
class Kind:
    """Kernels of one name and grid after those of one name. Microseconds, medians."""

    name: str
    grid: tuple[int, ...]
    after: str
    a_step: float
    ends_later: float
    lasts: float
    starts_after: float


def kinds(events: Sequence[Event], steps: int) -> list[Kind]:
    """The kernels of `steps` steps, most time first."""
    kernels = sorted(events, key=lambda event: event.end)
    found: dict[tuple[str, tuple[int, ...], str], list[tuple[Event, Event]]] = defaultdict(list)
    for before, event in pairwise(kernels):
        found[event.name, event.args.grid, before.name].append((before, event))
    rows = [
        Kind(
            name=name,
            grid=grid,
            after=after,
            a_step=len(pairs) / steps,
            ends_later=median(event.end - before.end for before, event in pairs),
            lasts=median(event.dur for _, event in pairs),
            starts_after=median(event.ts - before.end for before, event in pairs),
        )
        for (name, grid, after), pairs in found.items()
    ]
    return sorted(rows, key=lambda row: -row.ends_later * row.a_step)


def make_engine(
    model: LoadedModel, device: torch.device, requests: int, context_tokens: int
) -> Engine:
    settings = EngineSettings(
        max_seqs=requests,
        token_budget=TOKEN_BUDGET,
        kv_blocks=requests * -(-context_tokens // BLOCK_TOKENS),
        context_tokens=context_tokens,
    )
    return Engine(
        model,
        settings,
        strategy=StrategyName.CONTINUOUS,
        precision=PrecisionName.BF16,
        device=device,
        clock=time.monotonic,
    )


def traced(engine: Engine, requests: int) -> list[Event]:
    """The events of `STEPS` decode steps of `requests` requests."""
    source = random.Random(0)
    vocabulary = engine.model.config.vocabulary
    for _ in range(requests):
        prompt = [source.randrange(vocabulary) for _ in range(PROMPT_TOKENS)]
        engine.submit(prompt, Sampling(temperature=0.6), STEPS_BEFORE + STEPS + 8, ignore_eos=True)
    for _ in range(STEPS_BEFORE):
        engine.step()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(STEPS):
            engine.step()
        torch.cuda.synchronize(engine.device)
    while engine.has_work:
        engine.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return events_of(path.read_bytes())


def events_of(trace: bytes) -> list[Event]:
    """The kernels in a trace of the profiler."""
    happened = json.loads(trace)["traceEvents"]
    return [msgspec.convert(each, Event) for each in happened if each.get("cat") == "kernel"]


def table(rows: Sequence[Kind]) -> Iterator[str]:
    yield f"{'ends later':>11}{'lasts':>9}{'starts':>9}{'a step':>8}  kernel"
    for row in rows:
        grid = "x".join(map(str, row.grid))
        yield (
            f"{row.ends_later:>11.1f}{row.lasts:>9.1f}{row.starts_after:>+9.1f}{row.a_step:>8.1f}"
            f"  {row.name[:40]} {grid} after {row.after[:24]}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="llama-3.1-8b")
    parser.add_argument("--precisions", default="bf16,int8,int4,fp8")
    parser.add_argument("--requests", type=int, default=1)
    parser.add_argument("--context-tokens", type=int, default=4096)
    arguments = parser.parse_args()
    model = load_model(arguments.model, "dummy")
    engine = make_engine(
        model, resolve_device("cuda"), arguments.requests, arguments.context_tokens
    )
    for name in arguments.precisions.split(","):
        precision = PrecisionName(name)
        if precision is not engine.precision:
            engine.set_precision(precision)
        rows = kinds(traced(engine, arguments.requests), STEPS)
        total = sum(row.ends_later * row.a_step for row in rows)
        print(f"{arguments.model} {name}, {arguments.requests} requests: {total:,.0f} us a step")
        print(*table(rows), sep="\n", flush=True)


if __name__ == "__main__":
    main()
