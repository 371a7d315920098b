"""What both forms of torchtitan's configuration say, and what torchtitan cannot be told."""

from dataclasses import dataclass

from ...protocol.wording import counted
from ..cost.layout import Layout, missing_layers
from ..cost.setting import Setting
from .contract import Engine, Sharding, sharding
from .titan_models import TitanModel

FLOAT8_NOTE = "fp8 needs torchao; experts and the output layer stay in bf16."
LOSS_NOTE = "The learning rate, data and schedule are placeholders: set your own."


@dataclass(frozen=True, slots=True, kw_only=True)
class TitanLayout:
    """torchtitan's own words for a layout. Batches are in sequences.

    `local_batch` is what a data-parallel rank computes between two accumulations: with a pipeline
    all micro-batches of a step, without one a single micro-batch. `layers_per_stage` is stated only
    where the default of one or two chunks a rank is not meant; `first_less` and `last_less`
    are the layers that embedding and head count for when layers are dealt out.
    """

    sharding: Sharding
    reshard: str
    schedule: str
    layers_per_stage: int | None
    first_less: int
    last_less: int
    local_batch: int
    recompute: str
    param_dtype: str
    float8: bool
    offload: bool
    compiled: bool


def titan_layout(
    engine: Engine, setting: Setting, layout: Layout, model: TitanModel
) -> TitanLayout:
    """`layout` in torchtitan's words; raises `InexpressibleError` for the first thing it lacks."""
    _check_model(engine, setting, layout, model)
    split = _check_sharding(engine, layout)
    schedule = _schedule(engine, layout)
    missing = missing_layers(setting.model.layers, layout.pp)
    chunk = (setting.model.layers + missing) // (layout.pp * layout.vp)
    return TitanLayout(
        sharding=split,
        # torchtitan keeps a pipeline's parameters gathered over its micro-batches, as the planner
        # assumes: "default" says so, "never" says it for a single stage too.
        reshard="never" if split.stage == 2 else "default",
        schedule=schedule,
        layers_per_stage=chunk if layout.vp > 2 else None,
        first_less=missing // 2,
        last_less=(missing + 1) // 2,
        local_batch=layout.micro_batch * (layout.micro_batches if layout.pp > 1 else 1),
        recompute=_recompute(engine, setting, layout),
        param_dtype=_param_dtype(engine, layout),
        float8=layout.precision == "fp8",
        offload=_offload(engine, layout, split),
        compiled=setting.software.name == "torch-compile",
    )


def titan_notes(setting: Setting, planned: TitanLayout) -> tuple[str, ...]:
    """What a reader of either form should know."""
    notes = [LOSS_NOTE]
    if planned.float8:
        notes.append(FLOAT8_NOTE)
    if planned.sharding.stage == 2:
        notes.append(
            "ZeRO-2 is FSDP2 that keeps parameters gathered between forward and backward; between"
            " steps they are sharded, which takes less memory than planned."
        )
    if not setting.software.name.startswith("torch"):
        notes.append(f"The estimate was made for {setting.software.label}, not for torchtitan.")
    return tuple(notes)


def _check_model(engine: Engine, setting: Setting, layout: Layout, model: TitanModel) -> None:
    if layout.pp > 1 and not model.pipeline:
        raise engine.refusal("pp", f"has no pipeline for {model.module}")
    if layout.pp > 1 and setting.model.tied_embeddings:
        raise engine.refusal("pp", "cannot tie embedding and output across stages")
    if layout.cp > 1 and not model.context:
        raise engine.refusal("cp", f"has no context parallelism for {model.module}")
    if setting.model.kv_heads % layout.tp:
        heads = counted(setting.model.kv_heads, "key-value head")
        raise engine.refusal("tp", f"cannot split {heads} over {layout.tp} tensor ranks")
    if layout.optimizer != "adamw":
        raise engine.refusal("optimizer", f"is exported with AdamW only, not {layout.optimizer}")


def _check_sharding(engine: Engine, layout: Layout) -> Sharding:
    split = sharding(engine, layout)
    if split.stage == 1:
        raise engine.refusal("zero", "does not shard optimizer states alone: use 2 or 3, or 0")
    if split.stage == 0 and layout.cp > 1:
        raise engine.refusal("zero", "always shards over the context ranks: use 2 or 3")
    ranks = split.shard * layout.cp * layout.tp
    if ranks % (layout.ep * layout.expert_tp):
        raise engine.refusal(
            "ep",
            f"takes experts from dp_shard · cp · tp = {counted(ranks, 'rank')}, which {layout.ep} ×"
            f" {layout.expert_tp} does not divide",
        )
    return split


def _schedule(engine: Engine, layout: Layout) -> str:
    """PyTorch's name of the pipeline schedule, and its own conditions on micro-batches."""
    if layout.pp == 1:
        return "1F1B"
    if layout.schedule == "sequential":
        raise engine.refusal("schedule", "has no model split without micro-batches")
    if layout.schedule == "gpipe":
        return "GPipe"
    if layout.vp == 1:
        if layout.micro_batches < layout.pp:
            raise engine.refusal(
                "micro_batches",
                f"runs 1F1B with as many micro-batches as stages: {layout.pp}, not"
                f" {layout.micro_batches}",
            )
        return "1F1B"
    return "Interleaved1F1B"


def _recompute(engine: Engine, setting: Setting, layout: Layout) -> str:
    """`none`, `selective` (per operation) or `full`."""
    if layout.recompute == "full":
        if layout.recompute_layers >= 0:
            raise engine.refusal("recompute_layers", "recomputes every layer of a stage or none")
        return "full"
    if layout.recompute == "none":
        return "none"
    modules = layout.recompute_modules or (("op",) if setting.software.op_recompute else ())
    if modules != ("op",):
        named = ", ".join(modules) or "attention"
        raise engine.refusal(
            "recompute_modules", f"recomputes selectively per operation (op), not {named}"
        )
    return "selective"


def _param_dtype(engine: Engine, layout: Layout) -> str:
    if layout.precision in ("bf16", "fp8"):
        return "bfloat16"
    if layout.precision == "fp32":
        return "float32"
    raise engine.refusal("precision", f"trains in bf16, fp8 or fp32, not {layout.precision}")


def _offload(engine: Engine, layout: Layout, split: Sharding) -> bool:
    if layout.offload == "none":
        return False
    if layout.offload != "all":
        raise engine.refusal("offload", "offloads parameters, gradients and optimizer together")
    if split.stage == 0:
        raise engine.refusal("offload", "offloads only what FSDP shards: use ZeRO 2 or 3")
    return True
