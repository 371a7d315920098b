"""How long the planner's search takes: `python benchmarks/planner_search.py`, one core.

Prints processor seconds, the best of three runs each in a fresh setting, so that no run finds the
caches of the one before.
"""

import time
from dataclasses import dataclass

from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.planner.search.search import SearchResult, search
from prodtop.engine.shape.presets import preset


@dataclass(frozen=True)
class Case:
    """One search: a model on `gpus` GPUs, `batch` sequences of `sequence` tokens."""

    model: str
    gpus: int
    batch: int
    sequence: int
    gpu: str = "h100-sxm"


CASES = (
    Case("generic-7b", 32, 256, 4096),
    Case("llama-3.1-8b", 1024, 2048, 8192),
    Case("llama-3.1-70b", 1024, 1024, 8192),
    Case("llama-3.1-405b", 1024, 2048, 8192),
    Case("deepseek-v3", 1024, 4096, 4096),
    Case("qwen3-235b-a22b", 1024, 2048, 8192),
    Case("llama-3.1-70b", 1024, 720_720, 8192),
    Case("llama-3.1-70b", 16_384, 16_384, 8192),
    Case("llama-3.1-405b", 16_384, 2048, 8192),
    Case("deepseek-v3", 16_384, 16_384, 4096),
    Case("qwen3-235b-a22b", 16_384, 16_384, 8192),
    Case("qwen3-30b-a3b", 16_384, 1_048_576, 4096, "b300"),
)


def run(case: Case) -> tuple[SearchResult, float]:
    """The search and its processor seconds."""
    where = setting(preset(case.model), cluster(find_gpu(case.gpu), case.gpus), case.sequence)
    began = time.process_time()
    result = search(where, Constraints(batch=case.batch))
    return result, time.process_time() - began


def main() -> None:
    print("| model | GPUs | batch | legal | fit | worked out | front | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        runs = [run(case) for _ in range(3)]
        result, seconds = min(runs, key=lambda each: each[1])
        counts = (result.considered, result.fitting, result.estimated, len(result.front))
        cells = " | ".join(f"{count:,}" for count in counts)
        print(f"| {case.model} | {case.gpus:,} | {case.batch:,} | {cells} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
