"""Run by a test: an engine switched through precisions and strategies, and what it then holds.

Prints, as JSON, a list of the resident bytes and of the tracked objects after each round.
"""

import gc
import json
import sys
import time
from itertools import cycle

import prodtop.engine.worker.main  # noqa: F401  # before torch is, as in a worker
import psutil
import torch
from prodtop.engine.device.devices import keep_freed_memory
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import LoadSpec, PrecisionName, StrategyName
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.serving.engine import Engine
from prodtop.engine.worker.sizing import engine_settings
from prodtop.engine.worker.traffic import Traffic

CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]
REQUESTS = 3
"""To finish between two switches: of different lengths, in steps of different rows."""


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    device, model = torch.device("cpu"), load_model(sys.argv[2])
    options = WorkerOptions(max_seqs=16)
    engine = Engine(
        model,
        engine_settings(options, model.config, PrecisionName.BF16, device),
        strategy=StrategyName.HYBRID,
        precision=PrecisionName.BF16,
        device=device,
        clock=time.monotonic,
    )
    load = LoadSpec(
        users=8,
        output_tokens_min=2,
        output_tokens_max=12,
        prompt_tokens_min=4,
        prompt_tokens_max=100,
        ignore_eos=True,
    )
    traffic = Traffic(engine, bundled_prompts(), load)
    held = []
    strategies = cycle(StrategyName)
    for _ in range(rounds):
        for precision in CPU_PRECISIONS:
            strategy = next(strategies)
            if precision is not engine.precision:
                engine.set_precision(precision)
            engine.set_strategy(strategy)
            served = 0
            while served < REQUESTS:
                traffic.submit_arrivals()
                ended = engine.step()
                traffic.on_completions(ended)
                served += len(ended)
        # The answers kept are a cache of its own, with a limit of its own.
        engine.response_cache.clear()
        gc.collect()
        held.append((psutil.Process().memory_info().rss, len(gc.get_objects())))
    json.dump(held, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
