"""Fit the serving engine's constants to measured runs, and say how far each prediction is.

    python benchmarks/serving_fit.py              # errors of the packaged constants
    python benchmarks/serving_fit.py --fit        # fit, print constants and errors
    python benchmarks/serving_fit.py --leave-out  # fit without each model or precision, score it

The runs: vLLM 0.20.0 and gpt-fast on one H200 with random weights, measured for this project in
November 2026 (a run in one process, and one with the engine's core in its own), and gpt-fast's
published figures on one to eight A100. All requests of a run are there at its start. Every constant
starts at its physical value and pays for leaving it.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from prodtop.engine.planner.cost.hardware import find_gpu
from prodtop.engine.planner.serving_capacity.server import (
    EngineConstants,
    Server,
    ServingConstants,
    server,
    serving_constants,
)
from prodtop.engine.planner.serving_capacity.step import decode_step, prefill_step
from prodtop.engine.planner.serving_capacity.storage import Storage, storage_of
from prodtop.engine.shape.presets import preset


@dataclass(frozen=True)
class Run:
    """`requests` at once, `prompt` and `output` tokens each, or from 100 up to them, uniformly."""

    model: str
    gpu: str
    precision: str
    requests: int
    tokens_s: tuple[float, ...]
    prompt: int = 128
    output: int = 256
    uniform: bool = False
    packed_head: bool = False
    gpus: int = 1

    @property
    def name(self) -> str:
        lengths = f"100-{self.output}" if self.uniform else f"{self.prompt}+{self.output}"
        where = f"{self.gpus} {self.gpu}"
        return f"{self.model} {where} {self.precision} ×{self.requests} {lengths}"

    @property
    def storage(self) -> Storage:
        """gpt-fast packs the head as well, in groups of 32."""
        stored = storage_of(self.precision, group=32)
        return replace(stored, base_bytes=stored.weight_bytes) if self.packed_head else stored


LLAMA, QWEN, LARGE, MIXTURE = "llama-3.1-8b", "qwen3-0.6b", "llama-2-70b", "mixtral-8x7b"
A100 = Run("llama-2-7b", "a100-80", "bf16", 1, (), prompt=5, output=200)
"""gpt-fast's published benchmark: A100-80GB, a prompt of 5 tokens, 200 generated."""
RUNS = (
    Run(LLAMA, "h200", "bf16", 1, (200.1, 200.7)),
    Run(LLAMA, "h200", "fp8", 1, (282.9,)),
    Run(LLAMA, "h200", "bf16", 64, (9112, 8702)),
    Run(LLAMA, "h200", "bf16", 256, (17_780, 17_857)),
    Run(LLAMA, "h200", "bf16", 256, (10_073, 10_046), 562, 1024, uniform=True),
    Run(LLAMA, "h200", "fp8", 64, (12_465,)),
    Run(LLAMA, "h200", "fp8", 256, (22_666,)),
    Run(LLAMA, "h200", "fp8", 256, (12_223,), 562, 1024, uniform=True),
    Run(QWEN, "h200", "bf16", 1, (524.5,)),
    Run(QWEN, "h200", "bf16", 64, (23_305, 17_942)),
    Run(QWEN, "h200", "bf16", 256, (29_587, 34_910)),
    Run(QWEN, "h200", "bf16", 256, (22_928, 22_997), 562, 1024, uniform=True),
    Run(LLAMA, "h200", "int8", 1, (165.8,), packed_head=True),
    Run(LLAMA, "h200", "int4", 1, (264.3,), packed_head=True),
    *(
        replace(A100, gpus=gpus, tokens_s=(speed,))
        for gpus, speed in ((1, 104.9), (2, 168.84), (4, 254.02), (8, 328.43))
    ),
    replace(A100, precision="int8", tokens_s=(155.58,), packed_head=True),
    replace(A100, precision="int4", tokens_s=(196.80,), packed_head=True),
    *(
        replace(A100, model=LARGE, gpus=gpus, tokens_s=(speed,))
        for gpus, speed in ((2, 21.32), (4, 38.01), (8, 62.50))
    ),
    *(
        replace(A100, model=LARGE, precision=name, gpus=gpus, tokens_s=(speed,), packed_head=True)
        for name, gpus, speed in (
            ("int8", 1, 19.13),
            ("int4", 1, 25.25),
            ("int8", 8, 80.44),
            ("int4", 8, 90.77),
        )
    ),
    *(
        replace(A100, model=MIXTURE, gpus=gpus, tokens_s=(speed,))
        for gpus, speed in ((2, 78.75), (4, 118.23), (8, 203.69))
    ),
    *(
        replace(
            A100,
            model=MIXTURE,
            precision="int8",
            gpus=gpus,
            tokens_s=(speed,),
            packed_head=True,
        )
        for gpus, speed in ((1, 56.04), (2, 99.91), (4, 149.53), (8, 218.48))
    ),
)

PRIORS = {
    "weights_share": (0.95, 0.05, 1.06),
    "experts_share": (0.9, 0.2, 1.0),
    "kv_share": (0.85, 0.15, 1.06),
    "products": (1.0, 0.1, 1.19),
    "wave": (0.25, 0.5, 0.6),
    "kernel_s": (4e-6, 0.3, 1e-5),
    "step_s": (3e-4, 0.7, 2e-3),
    "sequence_s": (1e-5, 0.7, 1e-4),
    "request_s": (5e-4, 0.7, 5e-3),
    "fp8_kernels": (2, 0.5, 8),
    "all_reduce_s": (8e-6, 0.3, 5e-5),
    "int8_weights_s": (1.3e10, 0.5, 1e11),
    "int4_weights_s": (2.2e10, 0.5, 1e11),
}
"""Of each constant: its physical value, how far it may stray as a logarithm, its ceiling."""
PULL = 0.003
SAMPLES = 24
"""Steps of a run whose lengths differ that are looked at; the rest lie between them."""


def predicted(run: Run, constants: ServingConstants) -> float:
    """Output tokens per second of the whole run, prompts included."""
    served = server(
        preset(run.model), find_gpu(run.gpu), run.gpus, run.storage, constants=constants
    )
    chunk = max(1, constants.engine.chunk_tokens // run.prompt)
    full, rest = divmod(run.requests, chunk)
    seconds = full * prefill_step(served, chunk, run.prompt).total_s if full else 0.0
    if rest:
        seconds += prefill_step(served, rest, run.prompt).total_s
    decoding, tokens = _decoding(run, served)
    return (tokens + run.requests) / (seconds + decoding)


def _decoding(run: Run, served: Server) -> tuple[float, float]:
    """Seconds and tokens of the decode steps, of which the shortest requests leave early."""
    shortest = 100 if run.uniform else run.output
    seconds = tokens = 0.0
    for sample in range(SAMPLES):
        step = (sample + 0.5) / SAMPLES * (run.output - 1)
        left = run.requests * min(1.0, (run.output - step) / (run.output - shortest + 1))
        batch = max(1, round(left))
        steps = (run.output - 1) / SAMPLES
        seconds += steps * decode_step(served, batch, run.prompt + step).total_s
        tokens += steps * batch
    return seconds, tokens


def log_error(run: Run, constants: ServingConstants) -> float:
    """Logarithm of predicted over measured, the geometric mean where there are two."""
    measured = math.exp(sum(math.log(value) for value in run.tokens_s) / len(run.tokens_s))
    return math.log(predicted(run, constants) / measured)


def cost(runs: Sequence[Run], constants: ServingConstants) -> float:
    """Mean absolute error, and a price for leaving the physical values."""
    errors = sum(abs(log_error(run, constants)) for run in runs) / len(runs)
    strays = (
        (math.log(getattr(constants.engine, name) / value) / spread) ** 2
        for name, (value, spread, _) in PRIORS.items()
    )
    return errors + PULL * sum(strays)


def fit(runs: Sequence[Run]) -> ServingConstants:
    """A coordinate descent from the physical values."""
    start = serving_constants()
    engine = start.engine
    for name, (value, _, _) in PRIORS.items():
        engine = _with(engine, name, value)
    best = replace(start, engine=engine)
    lowest, size = cost(runs, best), 0.3
    while size > 0.005:
        improved = False
        for name, (_, _, ceiling) in PRIORS.items():
            for factor in (1 + size, 1 / (1 + size)):
                value = min(ceiling, getattr(best.engine, name) * factor)
                tried = replace(best, engine=_with(best.engine, name, value))
                found = cost(runs, tried)
                if found < lowest - 1e-7:
                    best, lowest, improved = tried, found, True
        if not improved:
            size /= 2
    return best


def _with(engine: EngineConstants, name: str, value: float) -> EngineConstants:
    return msgspec.convert({**vars(engine), name: value}, type=EngineConstants)


def show(runs: Sequence[Run], constants: ServingConstants) -> None:
    """One line a run, and the mean."""
    errors = []
    for run in runs:
        error = math.exp(log_error(run, constants)) - 1
        errors.append(abs(error))
        measured = "; ".join(f"{value:,.0f}" for value in run.tokens_s)
        print(f"{run.name:48} {measured:>16} {predicted(run, constants):>10,.0f} {error:>+7.1%}")
    print(f"mean {sum(errors) / len(errors):.1%}, largest {max(errors):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--leave-out", action="store_true")
    arguments = parser.parse_args()
    if arguments.fit:
        constants = fit(RUNS)
        for name in PRIORS:
            print(f"{name} = {getattr(constants.engine, name):.4g}")
        show(RUNS, constants)
    elif arguments.leave_out:
        for model in (QWEN, LLAMA, A100.model, LARGE, MIXTURE):
            others = [run for run in RUNS if run.model != model]
            print(f"without {model}:")
            show([run for run in RUNS if run.model == model], fit(others))
    else:
        show(RUNS, serving_constants())


if __name__ == "__main__":
    main()
