"""torchtitan's own configuration classes read what is exported, and mean the same layout by it."""

from collections.abc import Iterator, Mapping

import pytest
from engine_reader import Answer, EngineReader, engine_reader
from hypothesis import given, settings
from planned_layouts import Plan, exported, plan, plans
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.stages import stage_layers
from prodtop.engine.planner.export.contract import TrainingRun
from prodtop.engine.planner.export.engines import export
from prodtop.engine.planner.export.titan_models import MODELS_0_2, MODELS_0_3, TitanModel
from prodtop.engine.shape.presets import preset

RUN = TrainingRun(steps=77, learning_rate=1.25e-4)
RELEASES = {"torchtitan-0.2.2": "torchtitan-0.2.2", "torchtitan": "torchtitan-0.3.0"}
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-20b")


@pytest.fixture(scope="module")
def toml() -> Iterator[EngineReader]:
    with engine_reader("read_titan_toml", RELEASES["torchtitan-0.2.2"]) as reader:
        yield reader


@pytest.fixture(scope="module")
def python() -> Iterator[EngineReader]:
    with engine_reader("read_titan_python", RELEASES["torchtitan"]) as reader:
        yield reader


def section(answer: Answer, name: str) -> Mapping[str, object]:
    config = answer["config"]
    assert isinstance(config, dict)
    found = config[name]
    assert isinstance(found, dict)
    return found


def check_meaning(answer: Answer, planned: Plan) -> None:
    """The degrees, batches and chunks that torchtitan derives are the layout's."""
    setting, layout = planned
    degrees, training = section(answer, "parallelism"), section(answer, "training")
    replicate, shard = (
        int(str(degrees[f"data_parallel_{kind}_degree"])) for kind in ("replicate", "shard")
    )
    assert replicate * shard == layout.dp
    if layout.zero and layout.dp * layout.cp > 1:
        assert shard * layout.cp == layout.shards
    else:
        assert shard == 1
    for name in ("tensor", "pipeline", "context"):
        assert degrees[f"{name}_parallel_degree"] == getattr(layout, f"{name[0]}p")
    assert degrees["expert_parallel_degree"] == layout.ep
    local, batch = int(str(training["local_batch_size"])), training["global_batch_size"]
    assert batch == layout.batch
    if layout.pp > 1:
        assert degrees["pipeline_parallel_microbatch_size"] == layout.micro_batch
        assert local == layout.micro_batch * layout.micro_batches
    else:
        assert local == layout.micro_batch
    assert training["seq_len"] == setting.sequence
    assert training["steps"] == RUN.steps
    assert training["enable_cpu_offload"] == (layout.offload == "all")
    assert (training["mixed_precision_param"] == "float32") == (layout.precision == "fp32")
    assert section(answer, "compile")["enable"] == (setting.software.name == "torch-compile")
    config = answer["config"]
    assert isinstance(config, dict)
    assert config["learning_rate"] == RUN.learning_rate
    chunks = answer["chunks"]
    assert isinstance(chunks, list)
    assert len(chunks) == layout.pp * layout.vp
    assert sum(chunks) == setting.model.layers
    # Its stages are those that the time was worked out for.
    stages = [sum(chunks[rank :: layout.pp]) for rank in range(layout.pp)]
    dealt = stage_layers(setting.model.layers, layout.pp)
    assert (stages[0], stages[-1]) == (dealt.first, dealt.last)
    assert set(stages[1:-1]) <= {dealt.inner}


@settings(deadline=None, max_examples=25)
@given(
    planned=plans(
        models=MODELS,
        zeros=(0, 2, 3, 3, 3),
        pipeline=(1, 1, 2, 4),
        sequence_parallel=True,
        precisions=("bf16", "bf16", "fp8", "fp32"),
        offloads=("none", "none", "all"),
    )
)
def test_the_last_toml_release_reads_the_layout_back(toml: EngineReader, planned: Plan) -> None:
    setting, layout = planned
    found = exported("torchtitan-0.2.2", planned, RUN)
    if found is None:
        return
    answer = toml.read(found.text, layout.world)
    check_meaning(answer, planned)
    degrees = section(answer, "parallelism")
    if setting.model.experts:
        assert degrees["expert_tensor_parallel_degree"] == layout.expert_tp
    recompute = section(answer, "activation_checkpoint")
    assert recompute["mode"] == layout.recompute
    assert recompute["selective_ac_option"] == "op"
    config = answer["config"]
    assert isinstance(config, dict)
    assert config["converters"] == (["float8"] if layout.precision == "fp8" else [])
    assert setting.sequence % int(str(answer["divisor"])) == 0


@settings(deadline=None, max_examples=25)
@given(
    planned=plans(
        models=MODELS,
        zeros=(0, 2, 3, 3, 3),
        pipeline=(1, 2, 4),
        precisions=("bf16", "bf16", "fp32"),
        offloads=("none", "none", "all"),
    )
)
def test_the_python_release_reads_the_layout_back(python: EngineReader, planned: Plan) -> None:
    _, layout = planned
    found = exported("torchtitan", planned, RUN)
    if found is None:
        return
    answer = python.read(found.text, layout.world)
    check_meaning(answer, planned)
    degrees = section(answer, "parallelism")
    assert degrees["enable_sequence_parallel"] == layout.sequence_parallel
    config = answer["config"]
    assert isinstance(config, dict)
    named = {"none": None, "selective": "SelectiveAC.Config", "full": "FullAC.Config"}
    assert config["activation_checkpoint"] == named[layout.recompute]


@pytest.mark.parametrize("entry", MODELS_0_2, ids=lambda entry: entry.preset)
def test_flavors_of_the_toml_release_have_the_presets_shape(
    toml: EngineReader, entry: TitanModel
) -> None:
    setting, layout = plan(entry.preset, Layout(dp=8, zero=3))
    answer = toml.read(export("torchtitan-0.2.2", setting, layout, RUN).text, 8)
    check_shape(answer, entry)


@pytest.mark.parametrize("entry", MODELS_0_3, ids=lambda entry: entry.preset)
def test_flavors_of_the_python_release_have_the_presets_shape(
    python: EngineReader, entry: TitanModel
) -> None:
    setting, layout = plan(entry.preset, Layout(dp=8, zero=3))
    answer = python.read(export("torchtitan", setting, layout, RUN).text, 8)
    check_shape(answer, entry)


def check_shape(answer: Answer, entry: TitanModel) -> None:
    """The registry's model has the preset's parameters, to the last one.

    Where a router's bias only balances the load, torchtitan does not count it as a parameter.
    """
    shape = preset(entry.preset)
    biases = shape.moe_layers * shape.experts.count if shape.experts else 0
    assert shape.parameters - int(str(answer["parameters"])) in (0, biases)
