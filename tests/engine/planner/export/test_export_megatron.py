"""megatron-core's own configuration classes accept what is exported and mean the same by it."""

from collections.abc import Iterator, Mapping

import pytest
from engine_reader import Answer, EngineReader, engine_reader
from hypothesis import given, settings
from planned_layouts import Plan, exported, plan, plans
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.stages import stage_layers
from prodtop.engine.planner.export.contract import TrainingRun
from prodtop.engine.planner.export.engines import export

RUN = TrainingRun(steps=77, learning_rate=1.25e-4)


@pytest.fixture(scope="module")
def megatron() -> Iterator[EngineReader]:
    with engine_reader("read_megatron", "megatron") as reader:
        yield reader


def part(answer: Answer, name: str) -> Mapping[str, object]:
    found = answer[name]
    assert isinstance(found, dict)
    return found


@settings(deadline=None, max_examples=100)
@given(
    planned=plans(
        models=("llama-3.1-8b", "gpt3-13b", "mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v3"),
        zeros=(0, 1, 1, 1, 2, 3),
        modules=((), ("core_attn",), ("layernorm", "mlp")),
        precisions=("bf16", "bf16", "fp16", "fp8", "fp32"),
        optimizers=("adamw", "adamw", "adamw", "sgd", "muon"),
        offloads=("none", "none", "none", "optimizer"),
        software=("megatron-core",),
    )
)
def test_it_reads_the_layout_back(megatron: EngineReader, planned: Plan) -> None:
    setting, layout = planned
    found = exported("megatron", planned, RUN)
    if found is None:
        return
    answer = megatron.read(found.text, layout.world)
    config, rest = part(answer, "config"), part(answer, "rest")
    assert config["tensor_model_parallel_size"] == layout.tp
    assert config["pipeline_model_parallel_size"] == layout.pp
    assert config["context_parallel_size"] == layout.cp
    assert config.get("expert_model_parallel_size", 1) == layout.ep
    assert config.get("expert_tensor_parallel_size", 1) == layout.expert_tp
    assert config.get("sequence_parallel", False) == layout.sequence_parallel
    # Data parallelism is what is left of the world, and accumulation of the batch.
    assert rest["--micro-batch-size"] == layout.micro_batch
    assert rest["--global-batch-size"] == layout.batch
    assert rest["--train-iters"] == RUN.steps
    assert config["lr"] == RUN.learning_rate
    check_states(config, layout)
    check_recomputation(config, layout)
    check_stages(config, layout, setting.model.layers)


def check_stages(config: Mapping[str, object], layout: Layout, layers: int) -> None:
    """Megatron's rule deals the layers out as the time was worked out for."""
    planned = stage_layers(layers, layout.pp)
    dealt = config.get("pipeline_model_parallel_layout")
    if isinstance(dealt, list):
        assert {len(rank) for rank in dealt} == {layout.vp}
        first, *inner, last = (sum(rank) for rank in dealt)
        assert (first, last) == (planned.first, planned.last)
        assert set(inner) == {planned.inner}
        return
    assert config.get("virtual_pipeline_model_parallel_size", 1) == layout.vp
    ends = [config.get(f"account_for_{end}_in_pipeline_split") for end in ("embedding", "loss")]
    each, rest = divmod(layers + ends.count(True), layout.pp)
    assert rest == 0
    assert (each - bool(ends[0]), each - bool(ends[1])) == (planned.first, planned.last)


def check_states(config: Mapping[str, object], layout: Layout) -> None:
    """Who shards what, in which precision, with which optimizer."""
    shared = layout.zero if layout.dp * layout.cp > 1 else 0
    offloaded = layout.offload == "optimizer"
    assert config.get("use_distributed_optimizer", False) == (shared > 0 or offloaded)
    assert config.get("use_megatron_fsdp", False) == (shared > 1)
    strategies = {2: "optim_grads", 3: "optim_grads_params"}
    assert config.get("data_parallel_sharding_strategy") == strategies.get(shared)
    copies = layout.dp * layout.cp // layout.shards if shared else 1
    assert config.get("num_distributed_optimizer_instances", 1) == copies
    assert config.get("bf16", False) == (layout.precision in ("bf16", "fp8"))
    assert config.get("fp16", False) == (layout.precision == "fp16")
    assert config.get("fp8") == ("hybrid" if layout.precision == "fp8" else None)
    assert config["optimizer"] == {"adamw": "adam"}.get(layout.optimizer, layout.optimizer)
    assert config.get("optimizer_cpu_offload", False) == offloaded


def check_recomputation(config: Mapping[str, object], layout: Layout) -> None:
    granularity = None if layout.recompute == "none" else layout.recompute
    assert config.get("recompute_granularity") == granularity
    if layout.recompute == "selective":
        modules = list(layout.recompute_modules) or ["core_attn"]
        assert config["recompute_modules"] == modules


@pytest.mark.parametrize(("vp", "word"), [(1, "Et*3|(t*4|)*14t*2L"), (2, "Et|(t*2|)*30L")])
def test_layers_that_do_not_divide_are_dealt_out_in_words(
    megatron: EngineReader, vp: int, word: str
) -> None:
    layout = Layout(dp=16, pp=16, vp=vp, ep=16, zero=1, micro_batches=32)
    setting, _ = plan("deepseek-v3", layout)
    text = export("megatron", setting, layout, RUN).text
    assert f"--pipeline-model-parallel-layout {word}\n" in text
    config = part(megatron.read(text, layout.world), "config")
    check_stages(config, layout, setting.model.layers)


@pytest.mark.parametrize("model", ["llama-3.1-70b", "qwen2.5-7b", "gpt2-xl", "deepseek-v2-lite"])
def test_the_models_shape_is_said_in_full(megatron: EngineReader, model: str) -> None:
    setting, layout = plan(model, Layout(dp=8, zero=1), sequence=1024)
    shape = setting.model
    answer = megatron.read(export("megatron", setting, layout, RUN).text, 8)
    config, rest = part(answer, "config"), part(answer, "rest")
    assert config["num_layers"] == shape.layers
    assert config["hidden_size"] == shape.hidden
    assert config["ffn_hidden_size"] == shape.intermediate
    assert config["num_attention_heads"] == shape.heads
    assert rest["--vocab-size"] == shape.vocabulary
    assert config.get("gated_linear_unit", False) == shape.gated_mlp
    assert config.get("add_bias_linear", True) == shape.linear_bias
    # A bias of every linear layer is one of the fused projection too.
    all_biases = config.get("add_bias_linear", True)
    assert (config.get("add_qkv_bias", False) or all_biases) == shape.qkv_bias
    assert config["normalization"] == ("LayerNorm" if shape.layer_norm else "RMSNorm")
    assert ("--untie-embeddings-and-output-weights" in rest) == (not shape.tied_embeddings)
    if shape.latent is None:
        assert config["kv_channels"] == shape.head_dim
        assert config.get("num_query_groups", shape.heads) == shape.kv_heads
    else:
        assert config["kv_lora_rank"] == shape.latent.kv_rank
        assert config["v_head_dim"] == shape.latent.value_dim
    if shape.experts is not None:
        assert config["num_moe_experts"] == shape.experts.count
        assert config["moe_router_topk"] == shape.experts.active
        assert config["moe_shared_expert_intermediate_size"] == shape.experts.shared_intermediate


def test_the_streams_of_fsdp_get_more_than_one_connection() -> None:
    for zero, connections in ((1, 1), (3, 8)):
        setting, layout = plan("llama-3.1-8b", Layout(dp=8, zero=zero))
        launch = export("megatron", setting, layout, RUN).launch
        assert launch.startswith(f"CUDA_DEVICE_MAX_CONNECTIONS={connections} ")


@pytest.mark.parametrize(("asked", "each_chunk"), [(4, 2), (3, 2), (1, 1)])
def test_recomputing_some_layers_counts_them_per_chunk(
    megatron: EngineReader, asked: int, each_chunk: int
) -> None:
    layout = Layout(dp=4, pp=2, vp=2, micro_batches=2, recompute="full", recompute_layers=asked)
    setting, _ = plan("llama-3.1-8b", layout)
    config = part(megatron.read(export("megatron", setting, layout, RUN).text, 8), "config")
    assert config["recompute_method"] == "block"
    assert config["recompute_num_layers"] == each_chunk
