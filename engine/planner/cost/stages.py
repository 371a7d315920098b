"""Which layers a pipeline stage holds, and how many parameters one of its ranks has."""

from dataclasses import dataclass
from functools import lru_cache

from ...shape.model_shape import ModelShape
from .layout import Layout, missing_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLayers:
    """Layers of an inner, the first and the last stage.

    Where the layers do not divide, the first and the last stage hold fewer, because embedding and
    head stand for layers there (Llama 3, section 3.3.2; Megatron-LM's
    `--account-for-embedding-in-pipeline-split` and `--decoder-last-pipeline-num-layers`).
    """

    inner: int
    first: int
    last: int


@lru_cache(maxsize=4096)
def stage_layers(layers: int, pp: int) -> StageLayers:
    """How `layers` are dealt out to `pp` stages, the last stage lacking at least what the first
    does.

    With more stages than `layout.check_layout` allows, the ends may come out with none.
    """
    each = -(-layers // pp)
    missing = missing_layers(layers, pp)
    first = max(0, each - missing // 2)
    return StageLayers(inner=each, first=first, last=max(0, each - (missing + 1) // 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankParameters:
    """Parameters on one rank of the fullest stage, by who shares their optimizer states.

    dense: split by tensor parallelism, shared by dp · cp. experts: routed ones, shared by the ranks
    that hold the same experts. layer: the largest layer, what FSDP gathers at a time.
    """

    dense: float
    experts: float
    layer: float
    embedding: float

    @property
    def total(self) -> float:
        """All."""
        return self.dense + self.experts


def rank_parameters(model: ModelShape, layout: Layout) -> RankParameters:
    """What the fullest rank holds under `layout`, before any ZeRO sharding."""
    return _rank_parameters(model, layout.tp, layout.pp, layout.ep, layout.expert_tp)


@lru_cache(maxsize=65_536)
def _rank_parameters(
    model: ModelShape, tp: int, pp: int, ep: int, expert_tp: int
) -> RankParameters:
    stage = stage_layers(model.layers, pp)
    # Norms, and other small ones, and routers are on all tensor ranks.
    mixer = (model.mixer_weights / tp + model.small_parameters) / model.layers
    dense_mlp = model.dense_mlp_parameters / tp
    shared_mlp = model.router_parameters + model.shared_expert_weights / tp
    routed = model.routed_parameters / (ep * expert_tp)
    sparse = model.moe_layers / model.layers
    average = mixer + model.dense_layers / model.layers * dense_mlp + sparse * shared_mlp
    embedding = model.embedding_parameters / tp
    head = model.head_parameters / tp
    if pp == 1:
        ends = embedding + head
        parameters = stage.inner * average + ends
        layers = stage.inner
    else:
        tied = model.vocabulary * model.hidden / tp if model.tied_embeddings else 0.0
        sides = (
            (stage.first * average + embedding, stage.first),
            (stage.last * average + head + tied, stage.last),
            (stage.inner * average, stage.inner),
        )
        parameters, layers = max(sides)
        ends = max(embedding, head + tied)
    return RankParameters(
        dense=parameters,
        experts=layers * sparse * routed,
        layer=mixer + max(dense_mlp if model.dense_layers else 0.0, shared_mlp + routed),
        embedding=ends,
    )


def parameter_tensors(model: ModelShape, layout: Layout) -> float:
    """Parameter tensors on one rank: what the optimizer step loops over.

    A layer has its attention's matrices, two norms and an MLP; each local expert has two matrices.
    """
    layers = stage_layers(model.layers, layout.pp).inner
    biases = 2 if model.linear_bias else 1
    each = biases * (len(model.attention_gemms) + 2) + 2.0
    sparse = model.moe_layers / model.layers
    if model.experts is not None:
        shared = 2 if model.experts.shared_intermediate else 0
        each += sparse * (2 * model.experts.count / layout.ep + 1 + shared)
    return layers * each + 2


def expert_shards(layout: Layout) -> int:
    """Ranks that hold the same routed experts, and so share their optimizer states."""
    return max(1, layout.dp * layout.cp * layout.tp // (layout.ep * layout.expert_tp))
