"""How a model is split over a cluster, and whether it can be: one record, one set of checks."""

from dataclasses import dataclass
from typing import Literal

from ...protocol.wording import counted
from ...shape.field_errors import FieldError, positive
from ...shape.model_shape import ModelShape
from .hardware import Cluster, Precision

Recompute = Literal["none", "selective", "full"]
Schedule = Literal["sequential", "gpipe", "1f1b", "interleaved"]
Optimizer = Literal["adamw", "adamw8bit", "adafactor", "sgd", "muon"]
Offload = Literal["none", "activations", "optimizer", "all"]

OPTIMIZER_STATE_BYTES: dict[Optimizer, float] = {
    "adamw": 8.0,
    "adamw8bit": 2.0,
    "adafactor": 0.02,
    "sgd": 4.0,
    "muon": 4.0,
}
"""State per parameter beside the fp32 master: two fp32 moments (Adam), two of 8 bits (Dettmers et
al. 2021), row and column sums (Shazeer and Stern 2018), one fp32 momentum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The degrees of each kind of parallelism and the settings that change time or memory.

    dp: replicas that split the batch; with `zero` they also split optimizer states (1), gradients
        (2) and parameters (3 = FSDP). `dp_shard` (0 = dp · cp) is how many of them share one
        sharded copy: less than that is hybrid sharding.
    tp, pp, cp: tensor, pipeline, context. `vp`: model chunks per pipeline stage (interleaved).
    ep: experts over ranks that dp · cp · tp already hold; `expert_tp` splits each expert.
    micro_batch: sequences per micro-batch; `micro_batches` per replica and step (gradient
        accumulation, and what fills the pipeline).
    recompute: activations computed again in the backward pass. `recompute_layers` < 0 means all of
        a stage; `recompute_modules` says which parts `selective` means ("core_attn", "op",
        "moe_act", "layernorm", "mla_up_proj", "mlp", "moe"); empty: the framework's usual.
    offload: what lives in the host's memory: what layers keep for their backward pass, or optimizer
        states, or these with weights and gradients.
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    vp: int = 1
    cp: int = 1
    ep: int = 1
    expert_tp: int = 1
    zero: int = 0
    dp_shard: int = 0
    sequence_parallel: bool = False
    micro_batch: int = 1
    micro_batches: int = 1
    recompute: Recompute = "none"
    recompute_modules: tuple[str, ...] = ()
    recompute_layers: int = -1
    offload: Offload = "none"
    precision: Precision = "bf16"
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "1f1b"

    @property
    def world(self) -> int:
        """GPUs that the layout takes."""
        return self.dp * self.tp * self.pp * self.cp

    @property
    def batch(self) -> int:
        """Sequences per step."""
        return self.dp * self.micro_batch * self.micro_batches

    @property
    def shards(self) -> int:
        """Ranks that share one sharded copy of the dense states (all of dp · cp by default)."""
        return self.dp_shard or self.dp * self.cp

    @property
    def offloads_states(self) -> bool:
        """Whether the host holds and updates optimizer states."""
        return self.offload in ("optimizer", "all")

    @property
    def recomputation(self) -> str:
        """What is computed again, as the option says it: `full/4` in four layers of a stage."""
        some = f"/{self.recompute_layers}" if self.recompute_layers >= 0 else ""
        return self.recompute + some

    @property
    def shorthand(self) -> str:
        """The degrees that are not 1, as people write them: `dp8 tp4 pp2 zero3/4 mb1 ×16`."""
        names = ("dp", "tp", "pp", "vp", "cp", "ep")
        parts = [f"{name}{getattr(self, name)}" for name in names if getattr(self, name) > 1]
        if self.zero:
            parts.append(f"zero{self.zero}" + (f"/{self.dp_shard}" if self.dp_shard else ""))
        if self.recompute != "none":
            parts.append(self.recomputation)
        return " ".join([*parts, f"mb{self.micro_batch}", f"×{self.micro_batches}"])


def missing_layers(layers: int, pp: int) -> int:
    """Layers that the first and the last of `pp` stages lack together, for all others to be alike.

    Without a pipeline and where the layers divide, none.
    """
    return -layers % pp


def check_layout(
    layout: Layout, model: ModelShape, cluster: Cluster, sequence: int, batch: int | None = None
) -> None:
    """Raise `FieldError` for the first reason why `layout` cannot be run; return when it can.

    `batch` is the global batch in sequences that the layout must make up, if one is asked for.
    """
    _check_numbers(layout, sequence)
    if layout.world != cluster.gpus:
        split = f"dp {layout.dp} × tp {layout.tp} × pp {layout.pp} × cp {layout.cp}"
        found = f"{split} = {counted(layout.world, 'GPU')}"
        raise FieldError("dp", f"{found}, but the cluster has {cluster.gpus}")
    if batch is not None and layout.batch != batch:
        product = f"dp {layout.dp} × micro-batch {layout.micro_batch} × {layout.micro_batches}"
        raise FieldError("batch", f"{product} = {counted(layout.batch, 'sequence')}, not {batch}")
    _check_tensor(layout, model)
    _check_pipeline(layout, model)
    _check_experts(layout, model)
    if layout.cp > 1 and sequence % (2 * layout.cp):
        raise FieldError("cp", f"the sequence of {sequence} does not split into 2 × {layout.cp}")
    if layout.sequence_parallel and (sequence // layout.cp) % layout.tp:
        raise FieldError("tp", f"sequence parallelism cannot split {sequence} by {layout.tp}")
    if layout.dp_shard and (layout.dp * layout.cp) % layout.dp_shard:
        found = f"{layout.dp} × {counted(layout.cp, 'rank')}"
        raise FieldError("dp_shard", f"{found} cannot be split into shards")
    cluster.gpu.peak_flops(layout.precision)


def _check_numbers(layout: Layout, sequence: int) -> None:
    names = ("dp", "tp", "pp", "vp", "cp", "ep", "expert_tp", "micro_batch", "micro_batches")
    for name in names:
        positive(name, getattr(layout, name))
    positive("sequence", sequence)
    if layout.zero not in (0, 1, 2, 3):
        raise FieldError("zero", f"the stage is 0, 1, 2 or 3, found {layout.zero}")
    if layout.dp_shard < 0:
        raise FieldError("dp_shard", "must be 0 (all) or a positive whole number")


def _check_tensor(layout: Layout, model: ModelShape) -> None:
    if model.heads % layout.tp:
        raise FieldError("tp", f"{counted(model.heads, 'head')} cannot be split by {layout.tp}")
    if model.kv_heads % layout.tp and layout.tp % model.kv_heads:
        heads = counted(model.kv_heads, "key-value head")
        raise FieldError("tp", f"{heads} cannot be split by {layout.tp}")
    if model.intermediate % layout.tp:
        raise FieldError("tp", f"an MLP of {model.intermediate} does not split by {layout.tp}")
    if layout.sequence_parallel and layout.tp == 1:
        raise FieldError("sequence_parallel", "needs tensor parallelism")


def _check_pipeline(layout: Layout, model: ModelShape) -> None:
    chunks = layout.pp * layout.vp
    stages, layers = counted(layout.pp, "stage"), counted(model.layers, "layer")
    if chunks > model.layers:
        raise FieldError("pp", f"{chunks} pipeline chunks need as many layers, not {model.layers}")
    if layout.vp > 1 and layout.pp == 1:
        raise FieldError("vp", "interleaving needs a pipeline")
    if layout.vp > 1 and layout.schedule not in ("interleaved", "1f1b"):
        raise FieldError("vp", f"the {layout.schedule} schedule has one chunk a stage")
    each, missing = -(-model.layers // layout.pp), missing_layers(model.layers, layout.pp)
    if missing > 2 * (each - 1):
        raise FieldError("pp", f"{layers} cannot be split into {stages}")
    if each % layout.vp or missing > 2 * each // layout.vp:
        split = f"{stages} of {counted(layout.vp, 'chunk')}"
        raise FieldError("vp", f"{layers} cannot be split into {split}")
    if layout.vp > 1 and layout.micro_batches % layout.pp:
        found = f"{counted(layout.micro_batches, 'micro-batch')} cannot fill rounds of {stages}"
        raise FieldError("vp", f"{found}, which interleaving needs")
    if layout.pp > 1 and layout.zero >= 2 and layout.schedule == "sequential":
        raise FieldError("zero", "sharded gradients need a micro-batched pipeline")
    if layout.pp > 1 and layout.zero == 2:
        raise FieldError("zero", "a pipeline adds up whole gradients: stage 2 saves nothing there")


def _check_experts(layout: Layout, model: ModelShape) -> None:
    if layout.ep == 1 and layout.expert_tp == 1:
        return
    if model.experts is None:
        raise FieldError("ep", "the model has no experts")
    if model.experts.count % layout.ep:
        experts = counted(model.experts.count, "expert")
        raise FieldError("ep", f"{experts} cannot be split by {layout.ep}")
    ranks = layout.dp * layout.cp * layout.tp
    if ranks % (layout.ep * layout.expert_tp):
        found, split = counted(ranks, "rank"), f"{layout.ep} × {layout.expert_tp}"
        raise FieldError("ep", f"dp · cp · tp = {found} cannot be split by ep {split}")
