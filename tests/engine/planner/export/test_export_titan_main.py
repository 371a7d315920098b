"""torchtitan's main branch is on no package index: its form is held against the fields it has.

`FIELDS` are those of `torchtitan/config/configs.py` and `trainer.py` at b5bcd76 (2026-08-21), as
far as an export may use them.
"""

import ast

from hypothesis import given, settings
from planned_layouts import Plan, exported, plan, plans
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.export.contract import TrainingRun
from prodtop.engine.planner.export.engines import export

RUN = TrainingRun(steps=77, learning_rate=1.25e-4)
FIELDS: dict[str, dict[str, type]] = {
    "TrainingConfig": {
        "num_tokens_per_microbatch_per_dp_rank": int,
        "num_tokens_per_train_step": int,
        "max_context_length": int,
        "steps": int,
        "enable_cpu_offload": bool,
        "disable_cuda_graphs": bool,
        "mixed_precision_param": str,
    },
    "ParallelismConfig": {
        "data_parallel_replicate_degree": int,
        "data_parallel_shard_degree": int,
        "fsdp_reshard_after_forward": str,
        "tensor_parallel_degree": int,
        "enable_sequence_parallel": bool,
        "pipeline_parallel_degree": int,
        "pipeline_parallel_first_stage_less_layers": int,
        "pipeline_parallel_last_stage_less_layers": int,
        "pipeline_parallel_layers_per_stage": int,
        "pipeline_parallel_schedule": str,
        "num_pp_microbatches": int,
        "context_parallel_degree": int,
        "context_parallel_load_balancer": str,
        "expert_parallel_degree": int,
    },
    "CompileConfig": {"enable": bool},
    "default_adamw": {"lr": float},
}
TRAINER = {
    "loss",
    "hf_assets_path",
    "model_spec",
    "optimizer",
    "dataloader",
    "training",
    "parallelism",
    "activation_checkpoint",
    "compile",
}


def calls(text: str) -> dict[str, dict[str, object]]:
    """The keyword arguments of each call in a module, as far as they are literals."""
    found: dict[str, dict[str, object]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found[ast.unparse(node.func)] = {
                str(keyword.arg): keyword.value.value
                if isinstance(keyword.value, ast.Constant)
                else None
                for keyword in node.keywords
            }
    return found


PLANS = plans(
    models=("llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3"),
    zeros=(0, 3, 3),
    precisions=("bf16", "fp8", "fp32"),
    offloads=("none", "none", "all"),
)


@settings(deadline=None, max_examples=100)
@given(planned=PLANS)
def test_both_forms_import_each_name_once_and_use_it(planned: Plan) -> None:
    for engine in ("torchtitan", "torchtitan-main"):
        made = exported(engine, planned, RUN)
        if made is None:
            continue
        tree = ast.parse(made.text)
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        names = [alias.name for node in imports for alias in node.names]
        assert len(names) == len(set(names))
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert set(names) - used <= {"FullAC", "SelectiveAC"}, "both are there to choose from"


@settings(deadline=None, max_examples=100)
@given(planned=PLANS)
def test_only_known_fields_are_used_and_mean_the_layout(planned: Plan) -> None:
    setting, layout = planned
    made = exported("torchtitan-main", planned, RUN)
    if made is None:
        return
    found = calls(made.text)
    assert set(found["Trainer.Config"]) <= TRAINER
    for name, known in FIELDS.items():
        for field, value in found[name].items():
            assert type(value) is known[field], field
    training, degrees = found["TrainingConfig"], found["ParallelismConfig"]
    assert training["num_tokens_per_train_step"] == layout.batch * setting.sequence
    tokens = layout.micro_batch * setting.sequence
    assert training["num_tokens_per_microbatch_per_dp_rank"] == tokens
    assert training["max_context_length"] == setting.sequence
    assert degrees.get("num_pp_microbatches", 1) == (layout.micro_batches if layout.pp > 1 else 1)
    replicate = degrees["data_parallel_replicate_degree"]
    shard = degrees["data_parallel_shard_degree"]
    assert isinstance(replicate, int)
    assert isinstance(shard, int)
    assert replicate * shard == layout.dp
    assert found["default_adamw"]["lr"] == RUN.learning_rate
    assert ("Float8LinearConverter.Config" in found) == (layout.precision == "fp8")


def test_both_python_forms_count_the_same_batch() -> None:
    """0.3.0 counts sequences, and with a pipeline all its micro-batches; main counts tokens."""
    layout = Layout(dp=4, pp=2, zero=3, micro_batch=3, micro_batches=4)
    setting, _ = plan("llama-3.1-8b", layout)
    release, main = (
        calls(export(engine, setting, layout, RUN).text)["TrainingConfig"]
        for engine in ("torchtitan", "torchtitan-main")
    )
    assert (release["local_batch_size"], release["global_batch_size"]) == (12, 48)
    assert main["num_tokens_per_microbatch_per_dp_rank"] == 3 * setting.sequence
    assert main["num_tokens_per_train_step"] == 48 * setting.sequence
