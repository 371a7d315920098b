"""DeepSpeed's JSON: ZeRO, automatic tensor parallelism and automatic expert parallelism."""

import json
from shlex import quote

from ...protocol.wording import counted
from ..cost.layout import Layout, Optimizer
from ..cost.setting import Setting
from .contract import Engine, Export, TrainingRun, launch_notes, torchrun

ENGINE = Engine("DeepSpeed", "0.19.8")
FILE_NAME = "prodtop_deepspeed.json"

_OPTIMIZERS: dict[Optimizer, str] = {"adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}

Section = dict[str, object]


def export_deepspeed(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The JSON for `deepspeed.initialize`; raises `InexpressibleError` or `FieldError`."""
    ENGINE.check(setting, layout)
    _check_degrees(setting, layout)
    _check_states(layout)
    return Export(
        engine=ENGINE.name,
        version=ENGINE.version,
        file_name=FILE_NAME,
        text=json.dumps(_config(setting, layout, run), indent=2) + "\n",
        launch=torchrun(setting.cluster, f"{quote(run.script)} --deepspeed_config {FILE_NAME}"),
        notes=_notes(setting, layout, run) + launch_notes(setting.cluster),
    )


def _check_degrees(setting: Setting, layout: Layout) -> None:
    if layout.pp > 1:
        raise ENGINE.refusal("pp", "splits layers in code (PipelineModule), not in its JSON")
    if layout.cp > 1:
        raise ENGINE.refusal("cp", "splits a sequence by heads (Ulysses, in code), not by context")
    if layout.sequence_parallel:
        raise ENGINE.refusal("sequence_parallel", "keeps norms whole on every tensor rank")
    if layout.zero and layout.shards != layout.dp:
        raise ENGINE.refusal(
            "dp_shard",
            f"shards over all {layout.dp} data-parallel ranks; its second partition (hpZ) holds"
            " parameters only",
        )
    if setting.model.experts is None:
        return
    if layout.expert_tp > 1:
        raise ENGINE.refusal("expert_tp", "does not split an expert")
    if layout.tp > 1 and layout.ep == 1:
        raise ENGINE.refusal("ep", "splits tensors of a mixture only together with its experts")


def _check_states(layout: Layout) -> None:
    if layout.precision not in ("bf16", "fp16", "fp32"):
        raise ENGINE.refusal("precision", f"trains in bf16, fp16 or fp32, not {layout.precision}")
    if layout.optimizer not in _OPTIMIZERS:
        raise ENGINE.refusal(
            "optimizer", f"is exported with AdamW, SGD, Muon, not {layout.optimizer}"
        )
    if layout.recompute == "selective":
        raise ENGINE.refusal("recompute", "recomputes whole layers; selective is code")
    if layout.recompute == "full" and layout.recompute_layers >= 0:
        raise ENGINE.refusal("recompute_layers", "recomputes every layer or none")
    if layout.offload == "activations":
        raise ENGINE.refusal("offload", "offloads states alone: activations are the script's")
    if layout.offload != "none" and layout.zero == 0:
        raise ENGINE.refusal("offload", "offloads from ZeRO stage 1 on")
    if layout.offload == "all" and layout.zero < 3:
        raise ENGINE.refusal("offload", "offloads parameters in ZeRO stage 3 only")
    if layout.offload != "none" and layout.optimizer != "adamw":
        raise ENGINE.refusal("offload", f"has no {layout.optimizer} for the CPU")
    if layout.offload != "none" and layout.tp > 1 and layout.ep > 1:
        raise ENGINE.refusal("offload", "does not offload where it splits tensors and experts")


def _config(setting: Setting, layout: Layout, run: TrainingRun) -> Section:
    config: Section = {
        "train_batch_size": layout.batch,
        "train_micro_batch_size_per_gpu": layout.micro_batch,
        "gradient_accumulation_steps": layout.micro_batches,
        "gradient_clipping": 1.0,
        "bf16": {"enabled": layout.precision == "bf16"},
        "fp16": {"enabled": layout.precision == "fp16"},
        "optimizer": {"type": _OPTIMIZERS[layout.optimizer], "params": _optimizer(layout, run)},
        "zero_optimization": _zero(layout),
    }
    if layout.optimizer == "sgd" and layout.zero:
        config["zero_allow_untested_optimizer"] = True
    if layout.tp > 1:
        config["tensor_parallel"] = {"autotp_size": layout.tp}
    if layout.ep > 1:
        config["expert_parallel"] = {"enabled": True, "autoep_size": layout.ep}
    return config


def _optimizer(layout: Layout, run: TrainingRun) -> Section:
    momentum: Section = {"momentum": 0.9} if layout.optimizer in ("sgd", "muon") else {}
    return {"lr": run.learning_rate, **momentum}


def _zero(layout: Layout) -> Section:
    section: Section = {"stage": layout.zero}
    if layout.zero:
        section |= {
            "overlap_comm": True,
            "contiguous_gradients": True,
            "reduce_scatter": True,
            "reduce_bucket_size": 500_000_000,
            "allgather_bucket_size": 500_000_000,
        }
    if layout.zero == 3:
        section |= {
            "stage3_prefetch_bucket_size": 500_000_000,
            "stage3_param_persistence_threshold": 1_000_000,
            "stage3_max_live_parameters": 1_000_000_000,
            "stage3_max_reuse_distance": 1_000_000_000,
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    if layout.offload != "none":
        section["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if layout.offload == "all":
        section["offload_param"] = {"device": "cpu", "pin_memory": True}
    return section


def _notes(setting: Setting, layout: Layout, run: TrainingRun) -> tuple[str, ...]:
    notes = [
        f"{run.script} is yours: it builds {setting.model.name}, feeds sequences of"
        f" {counted(setting.sequence, 'token')} and runs {counted(run.steps, 'step')}."
    ]
    if layout.recompute == "full":
        notes.append(
            "Recomputation is switched on in the script: model.gradient_checkpointing_enable()."
        )
    if layout.tp > 1 or layout.ep > 1:
        notes.append("Tensors and experts are split by rules that DeepSpeed has per model family.")
    return tuple(notes)
