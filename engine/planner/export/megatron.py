"""Megatron-LM's flags for `pretrain_gpt.py`, one a line, as `xargs` hands them on."""

from math import ceil

from ..cost.layout import Layout, Optimizer, missing_layers
from ..cost.setting import Setting
from ..cost.stages import expert_shards
from .contract import Engine, Export, TrainingRun, launch_notes, torchrun
from .megatron_model import Flags, model_flags

ENGINE = Engine("Megatron-LM", "core 0.16.1")
FILE_NAME = "prodtop_megatron.args"

_OPTIMIZERS: dict[Optimizer, str] = {"adamw": "adam", "sgd": "sgd", "muon": "muon"}
_MODULES = ("core_attn", "moe_act", "layernorm", "mla_up_proj", "mlp", "moe", "shared_experts")


def export_megatron(setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """The flags; raises `InexpressibleError` or `FieldError`.

    Data parallelism has no flag: it is what the other degrees leave of the world.
    """
    ENGINE.check(setting, layout)
    flags: Flags = {
        **_parallel(setting, layout),
        **_data_parallel(layout),
        **_recompute(layout),
        **_precision(layout),
        **_training(layout, run),
        **model_flags(ENGINE, setting, layout),
    }
    lines = [name if value is None else f"{name} {value}" for name, value in flags.items()]
    program = torchrun(setting.cluster, "pretrain_gpt.py")
    # Megatron-FSDP's streams need more than the one connection that tensor parallelism wants.
    connections = 8 if _fsdp(layout) else 1
    return Export(
        engine=ENGINE.name,
        version=ENGINE.version,
        file_name=FILE_NAME,
        text="\n".join(lines) + "\n",
        launch=f"CUDA_DEVICE_MAX_CONNECTIONS={connections} xargs -a {FILE_NAME} {program}",
        notes=_notes(setting, layout) + launch_notes(setting.cluster),
    )


def _fsdp(layout: Layout) -> bool:
    return layout.zero >= 2 and layout.dp * layout.cp > 1


def _parallel(setting: Setting, layout: Layout) -> Flags:
    flags: Flags = {
        "--tensor-model-parallel-size": str(layout.tp),
        "--pipeline-model-parallel-size": str(layout.pp),
        "--context-parallel-size": str(layout.cp),
    }
    if layout.cp > 1:
        flags["--cp-comm-type"] = "p2p"
    if setting.model.experts is not None:
        flags["--expert-model-parallel-size"] = str(layout.ep)
        flags["--expert-tensor-parallel-size"] = str(layout.expert_tp)
    if layout.sequence_parallel:
        flags["--sequence-parallel"] = None
        if setting.software.tp_overlap > 0.5:
            flags["--tp-comm-overlap"] = None
    if layout.pp > 1:
        flags |= _pipeline(setting.model.layers, layout)
    return flags


def _pipeline(layers: int, layout: Layout) -> Flags:
    """Chunks, and what the first and the last stage hold where the layers do not divide."""
    if layout.schedule in ("gpipe", "sequential"):
        raise ENGINE.refusal("schedule", f"runs 1F1B, plain or interleaved, not {layout.schedule}")
    missing = missing_layers(layers, layout.pp)
    flags: Flags = {}
    if missing > 2:
        # The chunks follow from it; stating their number beside it is refused.
        return {"--pipeline-model-parallel-layout": _dealt(layers, layout, missing)}
    if missing:
        flags["--account-for-loss-in-pipeline-split"] = None
        if missing == 2:
            flags["--account-for-embedding-in-pipeline-split"] = None
    if layout.vp > 1:
        flags["--num-virtual-stages-per-pipeline-rank"] = str(layout.vp)
    return flags


def _dealt(layers: int, layout: Layout, missing: int) -> str:
    """Megatron's word for what each chunk holds: `Et*3|(t*4|)*14t*2L` is 61 layers on 16 stages."""
    chunks = layout.pp * layout.vp
    each = (layers + missing) // chunks
    first, last = each - missing // 2, each - (missing + 1) // 2
    return f"E{_several(first)}|({_several(each)}|)*{chunks - 2}{_several(last)}L"


def _several(layers: int) -> str:
    return f"t*{layers}" if layers > 1 else "t" * layers


def _data_parallel(layout: Layout) -> Flags:
    ranks = layout.dp * layout.cp
    if layout.zero == 0 or ranks == 1:
        return {}
    flags: Flags = {"--overlap-grad-reduce": None, "--overlap-param-gather": None}
    if layout.optimizer == "muon":
        raise ENGINE.refusal("optimizer", "does not shard Muon's states: use ZeRO 0")
    if _fsdp(layout):
        if layout.pp > 1:
            raise ENGINE.refusal("zero", "shards gradients and parameters only without a pipeline")
        strategy = "optim_grads_params" if layout.zero == 3 else "optim_grads"
        flags |= {
            "--use-megatron-fsdp": None,
            "--data-parallel-sharding-strategy": strategy,
            "--ckpt-format": "fsdp_dtensor",
            "--init-model-with-meta-device": None,
        }
    flags["--use-distributed-optimizer"] = None
    copies = ranks // layout.shards
    if copies > 1:
        if expert_shards(layout) % copies:
            raise ENGINE.refusal("dp_shard", f"cannot keep {copies} copies of the experts' states")
        flags["--num-distributed-optimizer-instances"] = str(copies)
    return flags


def _recompute(layout: Layout) -> Flags:
    if layout.recompute == "none" or layout.recompute_layers == 0:
        return {}
    if layout.recompute == "full":
        some = layout.recompute_layers > 0
        return {
            "--recompute-granularity": "full",
            "--recompute-method": "block" if some else "uniform",
            "--recompute-num-layers": str(
                # Counted per chunk, so that every chunk of a stage takes its part.
                ceil(layout.recompute_layers / layout.vp) if some else 1
            ),
        }
    modules = layout.recompute_modules or ("core_attn",)
    unknown = [module for module in modules if module not in _MODULES]
    if unknown:
        raise ENGINE.refusal("recompute_modules", f"recomputes modules; {unknown[0]} is none")
    return {"--recompute-granularity": "selective", "--recompute-modules": " ".join(modules)}


def _precision(layout: Layout) -> Flags:
    match layout.precision:
        case "bf16":
            return {"--bf16": None}
        case "fp16":
            return {"--fp16": None}
        case "fp8":
            # Scales of the current tensor: delayed ones forbid recomputing norms.
            return {"--bf16": None, "--fp8-format": "hybrid", "--fp8-recipe": "tensorwise"}
        case "fp32":
            return {}
        case _:
            raise ENGINE.refusal("precision", f"has no flag for {layout.precision}")


def _training(layout: Layout, run: TrainingRun) -> Flags:
    if layout.optimizer not in _OPTIMIZERS:
        raise ENGINE.refusal("optimizer", f"has Adam, SGD and Muon, not {layout.optimizer}")
    flags: Flags = {
        "--micro-batch-size": str(layout.micro_batch),
        "--global-batch-size": str(layout.batch),
        "--train-iters": str(run.steps),
        "--lr": repr(run.learning_rate),
        "--optimizer": _OPTIMIZERS[layout.optimizer],
        "--mock-data": None,
    }
    if layout.offload in ("activations", "all"):
        raise ENGINE.refusal("offload", "is exported with the optimizer offloaded alone")
    if layout.offload == "optimizer":
        if layout.zero != 1 or layout.optimizer != "adamw":
            raise ENGINE.refusal("offload", "offloads Adam's states in ZeRO stage 1 only")
        flags |= {
            "--optimizer-cpu-offload": None,
            "--use-precision-aware-optimizer": None,
            "--use-distributed-optimizer": None,
        }
    return flags


def _notes(setting: Setting, layout: Layout) -> tuple[str, ...]:
    notes = ["Run it in a checkout of Megatron-LM; data is made up (--mock-data): set your own."]
    if not setting.model.gated_mlp:
        notes.append("The MLP's activation is GELU: the plan does not know another.")
    if "core_attn" in (layout.recompute_modules or ("core_attn",)) and layout.recompute == (
        "selective"
    ):
        notes.append("Fused attention recomputes its core anyway: core_attn saves nothing there.")
    if setting.software.name.split("-")[0] != "megatron":
        notes.append(f"The estimate was made for {setting.software.label}, not for Megatron-LM.")
    return tuple(notes)
