"""Hugging Face accelerate with FSDP2: the YAML that `accelerate launch --config_file` reads."""

import json
from collections.abc import Mapping
from shlex import quote

from ...protocol.wording import counted
from ...shape.presets import normalised
from ..cost.layout import Layout
from ..cost.setting import Setting
from .contract import HEAD_NODE, HEAD_NOTE, PORT, Engine, Export, Sharding, TrainingRun, sharding

ENGINE = Engine("accelerate", "1.15.0")
FILE_NAME = "prodtop_accelerate.yaml"

_LAYERS = {
    "llama": "LlamaDecoderLayer",
    "mistral": "MistralDecoderLayer",
    "mixtral": "MixtralDecoderLayer",
    "qwen2": "Qwen2DecoderLayer",
    "qwen3": "Qwen3DecoderLayer",
    "deepseekv2": "DeepseekV2DecoderLayer",
    "deepseekv3": "DeepseekV3DecoderLayer",
    "gptoss": "GptOssDecoderLayer",
    "gpt2": "GPT2Block",
}
"""The layer class of each family in transformers; what is not here wraps by the model's own list of
modules that must not be split."""

Value = str | int | bool
Section = Mapping[str, Value]


def export_accelerate(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The YAML and its launch line; raises `InexpressibleError` or `FieldError`."""
    ENGINE.check(setting, layout)
    split = _sharding(layout)
    _check(setting, layout, split)
    return Export(
        engine=ENGINE.name,
        version=ENGINE.version,
        file_name=FILE_NAME,
        text=_text(_config(setting, layout, split)),
        launch=_launch(setting, run),
        notes=_notes(setting, layout, run),
    )


def _sharding(layout: Layout) -> Sharding:
    split = sharding(ENGINE, layout)
    if split.stage < 2:
        raise ENGINE.refusal("zero", "shards (FSDP2) at ZeRO stage 2 or 3, over two ranks on")
    if split.replicate > 1 and split.shard == 1:
        raise ENGINE.refusal("dp_shard", "does not replicate context groups: shard over dp too")
    return split


def _check(setting: Setting, layout: Layout, split: Sharding) -> None:
    if layout.pp > 1:
        raise ENGINE.refusal("pp", "has no pipeline for training")
    if layout.ep > 1 or layout.expert_tp > 1:
        raise ENGINE.refusal("ep" if layout.ep > 1 else "expert_tp", "does not split experts")
    if layout.sequence_parallel:
        raise ENGINE.refusal("sequence_parallel", "keeps norms whole where it splits tensors")
    if layout.tp > 1 and setting.model.kv_heads % layout.tp:
        heads = counted(setting.model.kv_heads, "key-value head")
        raise ENGINE.refusal("tp", f"cannot split {heads} over {layout.tp} tensor ranks")
    if layout.precision not in ("bf16", "fp16", "fp32"):
        raise ENGINE.refusal(
            "precision", f"is exported in bf16, fp16, fp32, not {layout.precision}"
        )
    if layout.recompute == "selective":
        raise ENGINE.refusal("recompute", "recomputes whole layers")
    if layout.recompute == "full" and layout.recompute_layers >= 0:
        raise ENGINE.refusal("recompute_layers", "recomputes every layer or none")
    if layout.offload in ("activations", "optimizer"):
        raise ENGINE.refusal("offload", "offloads parameters, gradients and optimizer together")


def _config(setting: Setting, layout: Layout, split: Sharding) -> dict[str, Value | Section]:
    precision = "no" if layout.precision == "fp32" else layout.precision
    config: dict[str, Value | Section] = {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        "distributed_type": "FSDP",
        "fsdp_config": _fsdp(setting, layout, split),
        "machine_rank": 0,
        "main_training_function": "main",
        "mixed_precision": precision,
        "num_machines": setting.cluster.nodes,
        "num_processes": layout.world,
        "parallelism_config": _parallelism(layout, split),
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
    }
    return config


def _fsdp(setting: Setting, layout: Layout, split: Sharding) -> dict[str, Value]:
    section: dict[str, Value] = {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": split.stage == 3,
        "fsdp_activation_checkpointing": layout.recompute == "full",
        "fsdp_offload_params": layout.offload == "all",
        "fsdp_cpu_ram_efficient_loading": True,
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    }
    layer = layer_class(setting.model.name)
    if layer is not None:
        section["fsdp_transformer_layer_cls_to_wrap"] = layer
    return section


def layer_class(name: str) -> str | None:
    """transformers' layer class for a model's name, or nothing where the family is not known."""
    plain = normalised(name).replace(".", "")
    sparse = {"qwen330ba3b": "Qwen3MoeDecoderLayer", "qwen3235ba22b": "Qwen3MoeDecoderLayer"}
    if plain in sparse:
        return sparse[plain]
    families = sorted(_LAYERS, key=len, reverse=True)
    return next((_LAYERS[family] for family in families if plain.startswith(family)), None)


def _parallelism(layout: Layout, split: Sharding) -> dict[str, Value]:
    section: dict[str, Value] = {
        "parallelism_config_dp_replicate_size": split.replicate,
        "parallelism_config_dp_shard_size": split.shard,
        "parallelism_config_tp_size": layout.tp,
        "parallelism_config_cp_size": layout.cp,
    }
    if layout.cp > 1:
        section["parallelism_config_cp_comm_strategy"] = "allgather"
    return section


def _text(config: Mapping[str, Value | Section]) -> str:
    """YAML with JSON's scalars: quoted text, so that `no` stays a word."""
    lines = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines += [f"  {name}: {json.dumps(inner)}" for name, inner in value.items()]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return "\n".join([f"# accelerate {ENGINE.version}", *lines]) + "\n"


def _launch(setting: Setting, run: TrainingRun) -> str:
    """accelerate starts the processes itself, the way torchrun does."""
    rendezvous = ""
    if setting.cluster.nodes > 1:
        rendezvous = (
            f" --machine_rank $NODE_RANK --main_process_ip {HEAD_NODE} --main_process_port {PORT}"
        )
    return f"accelerate launch --config_file {FILE_NAME}{rendezvous} {quote(run.script)}"


def _notes(setting: Setting, layout: Layout, run: TrainingRun) -> tuple[str, ...]:
    sequences, tokens = (
        counted(layout.micro_batch, "sequence"),
        counted(setting.sequence, "token"),
    )
    notes = [
        f"{run.script} is yours. Batches are its business: {sequences} of {tokens} per device,"
        f" {counted(layout.micro_batches, 'accumulation step')}, {layout.optimizer},"
        f" {counted(run.steps, 'step')}."
    ]
    if layout.zero == 2:
        notes.append(
            "ZeRO-2 is FSDP2 that keeps parameters gathered between forward and backward; between"
            " steps they are sharded, which takes less memory than planned."
        )
    if layout.cp > 1:
        notes.append("Context parallelism needs PyTorch's own attention and no attention mask.")
    if setting.cluster.nodes > 1:
        notes += [HEAD_NOTE, "Set NODE_RANK to 0 on the first node and count up on the others."]
    return tuple(notes)
