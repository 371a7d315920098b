"""accelerate's launcher reads what is exported, and its workers find the same degrees."""

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from engine_reader import EngineReader, engine_reader
from hypothesis import given, settings
from planned_layouts import Plan, exported, plans
from prodtop.engine.planner.export.accelerate import layer_class
from prodtop.engine.planner.export.contract import TrainingRun
from prodtop.engine.shape.presets import PRESETS

RUN = TrainingRun(steps=77)


@pytest.fixture(scope="module")
def accelerate() -> Iterator[EngineReader]:
    with engine_reader("read_accelerate", "accelerate") as reader:
        yield reader


@settings(deadline=None, max_examples=100)
@given(
    planned=plans(
        models=("llama-3.1-8b", "generic-7b", "qwen3-30b-a3b"),
        zeros=(0, 1, 2, 3, 3, 3),
        pipeline=(1, 1, 1, 2),
        experts=(1,),
        sequence_parallel=False,
        recompute=("none", "full"),
        precisions=("bf16", "bf16", "fp16", "fp32"),
        offloads=("none", "none", "all"),
    )
)
def test_it_reads_the_layout_back(accelerate: EngineReader, planned: Plan) -> None:
    setting, layout = planned
    found = exported("accelerate", planned, RUN)
    if found is None:
        return
    shard = layout.shards // layout.cp
    layers = layer_class(setting.model.name)
    assert accelerate.read(found.text, layout.world) == {
        "world": layout.world,
        "machines": setting.cluster.nodes,
        "fsdp": True,
        "mixed_precision": "no" if layout.precision == "fp32" else layout.precision,
        "version": 2,
        "reshard": layout.zero == 3,
        "recompute": layout.recompute == "full",
        # FSDP2's names for keeping states on the GPU and on the host.
        "offload": "CPUOffloadPolicy" if layout.offload == "all" else "OffloadPolicy",
        "layers": None if layers is None else [layers],
        "replicate": layout.dp // shard,
        "shard": shard,
        "tp": layout.tp,
        "cp": layout.cp,
        "total": layout.world,
    }


def test_layer_classes_are_those_of_transformers() -> None:
    named = {name: layer_class(name) for name in PRESETS}
    assert named["qwen3-30b-a3b"] == "Qwen3MoeDecoderLayer"
    assert named["generic-7b"] is None
    modules = {
        "LlamaDecoderLayer": "llama",
        "MistralDecoderLayer": "mistral",
        "MixtralDecoderLayer": "mixtral",
        "Qwen2DecoderLayer": "qwen2",
        "Qwen3DecoderLayer": "qwen3",
        "Qwen3MoeDecoderLayer": "qwen3_moe",
        "DeepseekV2DecoderLayer": "deepseek_v2",
        "DeepseekV3DecoderLayer": "deepseek_v3",
        "GptOssDecoderLayer": "gpt_oss",
        "GPT2Block": "gpt2",
    }
    for found in set(named.values()) - {None}:
        assert found is not None
        family = modules[found]
        source = distribution("transformers").locate_file(
            f"transformers/models/{family}/modeling_{family}.py"
        )
        assert f"\nclass {found}(" in Path(str(source)).read_text(encoding="utf-8")
