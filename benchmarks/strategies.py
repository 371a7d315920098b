"""How fast the strategies serve on this machine, beside `transformers.generate`.

    python benchmarks/strategies.py [--model bundled] [--device auto] [--precisions fp32,bf16]
        [--requests 16] [--prompt-tokens 64] [--output-tokens 64] [--repeats 3] [--threads N]
        [--json]

Every strategy serves the same requests, all at once, and transformers the same prompts one after
the other, from the same folder with as many threads, in a process of its own. Greedy; every request
generates all its tokens. Shown is the median of the repeats, output tokens per second, and the
ratios that the engine is held to.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

# As in the worker, and for its reasons.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import msgspec
import torch
from prodtop.engine.device.devices import keep_freed_memory, resolve_device, use_threads
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import BenchSpec, CellResult, PrecisionName, StrategyName
from prodtop.engine.protocol.options import BUNDLED_MODEL, WorkerOptions
from prodtop.engine.serving.engine import Engine
from prodtop.engine.worker.bench import Bench, versions
from prodtop.engine.worker.sizing import engine_settings
from transformers_peer import Side, Work

PEER = Path(__file__).with_name("transformers_peer.py")
TRANSFORMERS = "transformers"
WAIT_POLICY = "OMP_WAIT_POLICY"
SPIN_COUNT = "GOMP_SPINCOUNT"
GOALS = (
    (StrategyName.CONTINUOUS, StrategyName.SINGLE, 4.0),
    (StrategyName.SINGLE, TRANSFORMERS, 1.5),
    (StrategyName.CONTINUOUS, TRANSFORMERS, 3.0),
)
"""Numerator, denominator, and the least that their ratio should be."""

Measured = dict[str, list[Side]]
"""By the side's name, one entry for each repeat."""


def make_engine(work: Work, model: LoadedModel) -> Engine:
    device = resolve_device(work.device)
    options = WorkerOptions(max_seqs=max(work.requests, WorkerOptions().max_seqs))
    return Engine(
        model,
        engine_settings(options, model.config, work.precision, device),
        strategy=StrategyName.CONTINUOUS,
        precision=work.precision,
        device=device,
        clock=time.monotonic,
    )


def measure_engine(work: Work, engine: Engine) -> dict[str, Side]:
    """Every strategy once."""
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions=versions())
    spec = BenchSpec(
        strategies=list(StrategyName),
        precisions=[work.precision],
        requests=work.requests,
        load=work.load,
        warmup=2,
    )
    return {
        cell.strategy: Side(cell.output_tok_s, cell.output_sha256)
        for cell in bench.cells(spec)
        if isinstance(cell, CellResult)
    }


def measure(work: Work, model: LoadedModel, repeats: int) -> Measured:
    """All sides by name, taking turns: what else the machine does meets all of them."""
    engine = make_engine(work, model)
    sides: Measured = {name: [] for name in (*StrategyName, TRANSFORMERS)}
    for _ in range(repeats):
        turn = {**measure_engine(work, engine), TRANSFORMERS: measure_peer(work)}
        for name, side in turn.items():
            sides[name].append(side)
    return sides


def measure_peer(work: Work) -> Side:
    """transformers' side, under the better of two ways in which torch's idle threads may wait.

    Spinning, the default, is the faster one on an idle machine, and very slow on a busy one.
    """
    command = [sys.executable, str(PEER), msgspec.json.encode(work).decode()]
    default = {name: value for name, value in os.environ.items() if name != SPIN_COUNT}
    sides = []
    for environment in (default, {**default, WAIT_POLICY: "passive"}):
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
        sides.append(msgspec.json.decode(done.stdout.splitlines()[-1], type=Side))
    return max(sides, key=lambda side: side.tok_s)


def median_tok_s(sides: list[Side]) -> float:
    return median(side.tok_s for side in sides)


def ratios(measured: Measured) -> list[tuple[str, float, float]]:
    """Name, value and goal of each ratio, from the medians."""
    return [
        (f"{a} ÷ {b}", median_tok_s(measured[a]) / median_tok_s(measured[b]), goal)
        for a, b, goal in GOALS
    ]


def same_outputs(measured: Measured) -> bool:
    return len({side.output_sha256 for sides in measured.values() for side in sides}) == 1


def as_object(work: Work, measured: Measured) -> dict[str, object]:
    return {
        **msgspec.to_builtins(work),
        "versions": {**versions(), TRANSFORMERS: version(TRANSFORMERS)},
        "output_tok_s": {name: [s.tok_s for s in sides] for name, sides in measured.items()},
        "ratios": {name: {"value": value, "goal": goal} for name, value, goal in ratios(measured)},
        "same_outputs": same_outputs(measured),
    }


def print_table(work: Work, measured: Measured) -> None:
    repeats = len(measured[TRANSFORMERS])
    print(
        f"\n{work.model} {work.precision} on {work.device}, {work.threads} threads: "
        f"{work.requests} requests, {work.prompt_tokens} in, {work.output_tokens} out, "
        f"median of {repeats}"
    )
    for name, sides in measured.items():
        speeds = [side.tok_s for side in sides]
        spread = f"{min(speeds):,.0f} … {max(speeds):,.0f}"
        print(f"  {name:<14}{median(speeds):>10,.1f} tok/s   ({spread})")
    for name, value, goal in ratios(measured):
        verdict = "met" if value >= goal else "NOT met"
        print(f"  {name:<26}{value:>6.2f}   goal ≥ {goal:g}: {verdict}")
    print(f"  outputs {'identical' if same_outputs(measured) else 'differ'} over all of them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default=BUNDLED_MODEL, help="bundled, or a checkpoint folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--output-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="on both sides; by default the worker's")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    keep_freed_memory()
    model = load_model(str(arguments.model))
    for precision in arguments.precisions.split(","):
        work = Work(
            model=arguments.model,
            device=str(resolve_device(arguments.device)),
            precision=PrecisionName(precision),
            requests=arguments.requests,
            prompt_tokens=arguments.prompt_tokens,
            output_tokens=arguments.output_tokens,
            threads=torch.get_num_threads(),
        )
        measured = measure(work, model, arguments.repeats)
        if arguments.json:
            print(json.dumps(as_object(work, measured)), flush=True)
        else:
            print_table(work, measured)


if __name__ == "__main__":
    main()
