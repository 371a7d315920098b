"""An engine of a tiny model in this process, for the tests that measure cells on it."""

from pathlib import Path

import torch
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import LoadSpec, PrecisionName, StrategyName
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.settings import EngineSettings

SETTINGS = EngineSettings(max_seqs=4, token_budget=64, kv_blocks=96, context_tokens=256)
LOAD = LoadSpec(
    users=4,
    prompt_tokens_min=8,
    prompt_tokens_max=60,
    output_tokens_min=4,
    output_tokens_max=16,
    zipf_exponent=1.5,
    temperature=0.0,
    ignore_eos=True,
)


class TickingClock:
    """Moves by a millisecond whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


def bench_engine(folder: Path) -> Engine:
    """The model in `folder` on the CPU, with a clock that ticks when it is looked at."""
    return Engine(
        load_model(str(folder)),
        SETTINGS,
        strategy=StrategyName.HYBRID,
        precision=PrecisionName.BF16,
        device=torch.device("cpu"),
        clock=TickingClock(),
    )
