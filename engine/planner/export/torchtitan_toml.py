"""torchtitan 0.2.2, the last release that reads TOML."""

import json
from collections.abc import Mapping

from ...text.cleaning import clean
from ..cost.layout import Layout
from ..cost.setting import Setting
from .contract import Engine, Export, TrainingRun, launch_notes, torchrun
from .titan_layout import TitanLayout, titan_layout, titan_notes
from .titan_models import MODELS_0_2, TitanModel, titan_model

ENGINE = Engine("torchtitan", "0.2.2")
FILE_NAME = "prodtop.toml"

Value = str | int | float | bool | list[str]


def export_titan_toml(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The TOML job file; raises `InexpressibleError` or `FieldError`."""
    ENGINE.check(setting, layout)
    model = titan_model(ENGINE, setting.model, MODELS_0_2)
    planned = titan_layout(ENGINE, setting, layout, model)
    _check(setting, layout, planned)
    return Export(
        engine=ENGINE.name,
        version=ENGINE.version,
        file_name=FILE_NAME,
        text=_text(_tables(setting, layout, run, model, planned)),
        launch=torchrun(setting.cluster, f"-m torchtitan.train --job.config_file {FILE_NAME}"),
        notes=titan_notes(setting, planned) + launch_notes(setting.cluster),
    )


def _check(setting: Setting, layout: Layout, planned: TitanLayout) -> None:
    """What this release cannot do and later ones can."""
    if layout.tp > 1 and not layout.sequence_parallel:
        raise ENGINE.refusal("sequence_parallel", "always splits it where it splits tensors")
    sharded = planned.sharding.stage > 0
    if not sharded and layout.tp * layout.pp > 1:
        if layout.dp > 1:
            raise ENGINE.refusal("zero", "replicates only where nothing is split: use 2 or 3")
        if planned.param_dtype != "float32":
            raise ENGINE.refusal("precision", "leaves fp32 only where FSDP shards: set zero")
    if setting.model.experts is None:
        return
    if layout.tp > 1 and layout.ep == 1 and layout.expert_tp != layout.tp:
        raise ENGINE.refusal("expert_tp", "splits experts by tp where ep is 1")
    if layout.expert_tp not in (1, layout.tp):
        raise ENGINE.refusal("expert_tp", f"takes 1 or tp ({layout.tp}), not {layout.expert_tp}")


def _tables(
    setting: Setting, layout: Layout, run: TrainingRun, model: TitanModel, planned: TitanLayout
) -> dict[str, dict[str, Value]]:
    parallelism: dict[str, Value] = {
        "data_parallel_replicate_degree": planned.sharding.replicate,
        "data_parallel_shard_degree": planned.sharding.shard,
        "fsdp_reshard_after_forward": planned.reshard,
        "tensor_parallel_degree": layout.tp,
        "pipeline_parallel_degree": layout.pp,
        "context_parallel_degree": layout.cp,
        "expert_parallel_degree": layout.ep,
        "expert_tensor_parallel_degree": layout.expert_tp,
    }
    if layout.pp > 1:
        parallelism |= {
            "pipeline_parallel_schedule": planned.schedule,
            "pipeline_parallel_microbatch_size": layout.micro_batch,
            "pipeline_parallel_first_stage_less_layers": planned.first_less,
            "pipeline_parallel_last_stage_less_layers": planned.last_less,
        }
    if planned.layers_per_stage is not None:
        parallelism["pipeline_parallel_layers_per_stage"] = planned.layers_per_stage
    tables: dict[str, dict[str, Value]] = {
        "job": {"description": clean(f"{setting.model.name}: {layout.shorthand}")},
        "model": {
            "name": model.module,
            "flavor": model.flavor,
            "hf_assets_path": model.assets,
            "converters": ["float8"] if planned.float8 else [],
        },
        "optimizer": {"name": "AdamW", "lr": run.learning_rate},
        "training": {
            "local_batch_size": planned.local_batch,
            "global_batch_size": layout.batch,
            "seq_len": setting.sequence,
            "steps": run.steps,
            "mixed_precision_param": planned.param_dtype,
            "enable_cpu_offload": planned.offload,
            "dataset": "c4",
        },
        "parallelism": parallelism,
        "activation_checkpoint": {"mode": planned.recompute, "selective_ac_option": "op"},
        "compile": {"enable": planned.compiled},
    }
    if planned.float8:
        tables["quantize.linear.float8"] = {
            "recipe_name": "rowwise",
            "filter_fqns": ["output"],
        }
    return tables


def _text(tables: Mapping[str, Mapping[str, Value]]) -> str:
    """TOML; JSON writes text, numbers, truth and lists the way TOML does."""
    parts = []
    for name, table in tables.items():
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        parts.append("\n".join([f"[{name}]", *lines]))
    return f"# torchtitan {ENGINE.version}\n\n" + "\n\n".join(parts) + "\n"
