"""DeepSpeed's own configuration class reads what is exported, and checks it against the world."""

from collections.abc import Iterator

import pytest
from engine_reader import EngineReader, engine_reader
from hypothesis import given, settings
from planned_layouts import Plan, exported, plans
from prodtop.engine.planner.export.contract import TrainingRun

RUN = TrainingRun(steps=77, learning_rate=1.25e-4)


@pytest.fixture(scope="module")
def deepspeed() -> Iterator[EngineReader]:
    with engine_reader("read_deepspeed", "deepspeed") as reader:
        yield reader


@settings(deadline=None, max_examples=100)
@given(
    planned=plans(
        models=("llama-3.1-8b", "gpt3-13b", "mixtral-8x7b", "qwen3-30b-a3b"),
        zeros=(0, 1, 2, 3),
        pipeline=(1, 1, 1, 2),
        context=(1, 1, 1, 2),
        sequence_parallel=False,
        recompute=("none", "full"),
        precisions=("bf16", "bf16", "fp16", "fp32"),
        optimizers=("adamw", "adamw", "sgd", "muon"),
        offloads=("none", "none", "optimizer", "all"),
        software=("deepspeed",),
    )
)
def test_it_reads_the_layout_back(deepspeed: EngineReader, planned: Plan) -> None:
    _, layout = planned
    found = exported("deepspeed", planned, RUN)
    if found is None:
        return
    assert deepspeed.read(found.text, layout.world) == {
        "world": layout.dp,
        "batch": layout.batch,
        "micro_batch": layout.micro_batch,
        "micro_batches": layout.micro_batches,
        "stage": layout.zero,
        "tp": layout.tp if layout.tp > 1 else 0,
        "ep": layout.ep,
        "bf16": layout.precision == "bf16",
        "fp16": layout.precision == "fp16",
        "optimizer": {"adamw": "adamw", "sgd": "SGD", "muon": "muon"}[layout.optimizer],
        "learning_rate": RUN.learning_rate,
        "offload_optimizer": None if layout.offload == "none" else "cpu",
        "offload_param": "cpu" if layout.offload == "all" else None,
    }
