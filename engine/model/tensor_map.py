"""Which tensor of a checkpoint goes where in the master copy, for each family of names."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..precision.projection import (
    AnyProjection,
    Int4Projection,
    awq_weight,
    awq_zeros,
    gptq_weight,
    gptq_zeros,
)
from ..shape.model_shape import ModelShape
from ..shape.parts import Int4Method, TensorNames
from .weights import LayerWeights, MasterWeights, NormWeights

Convert = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a checkpoint's tensor of `shape` goes: into `target`, as `convert` makes it.

    `convert` raises ValueError for values that cannot be used. Without a target they are only
    looked at. `packed` values are int32; an `optional` tensor may be missing.
    """

    target: Tensor | None
    shape: tuple[int, ...]
    convert: Convert | None = None
    packed: bool = False
    optional: bool = False

    def fill(self, tensor: Tensor) -> None:
        """Convert `tensor`, `[*shape]`, into the target. Raises ValueError for unusable values."""
        values = tensor if self.convert is None else self.convert(tensor)
        if self.target is not None:
            self.target.copy_(values)


Placements = Iterator[tuple[str, Placement]]


def tensor_placements(weights: MasterWeights) -> Placements:
    """Every tensor name of `weights`' checkpoint, as `canonical_name` writes it, and its place."""
    if weights.config.stored.names is TensorNames.GPT2:
        yield from _gpt2_placements(weights)
    else:
        yield from _llama_placements(weights)


_IMAGE_PARTS = ("vision_tower.", "multi_modal_projector.")
_TEXT_PREFIXES = ("language_model.", "model.language_model.")
_HEAD = "lm_head."


def is_image_part(name: str) -> bool:
    """What a model that sees images has beside its text model."""
    return name.removeprefix("model.").startswith(_IMAGE_PARTS)


def is_derived(name: str, config: ModelShape) -> bool:
    """What follows from the shape: masks, and the frequencies of rotary positions."""
    if config.stored.names is TensorNames.GPT2:
        return name.endswith((".attn.bias", ".attn.masked_bias"))
    return name.endswith("rotary_emb.inv_freq")


def canonical_name(name: str, config: ModelShape) -> str:
    """A tensor's name with the prefixes that `tensor_placements` gives.

    Exporters add some, and leave out that of the decoder (`model.`, or `transformer.` of GPT-2).
    """
    if config.stored.names is TensorNames.GPT2:
        return name.removeprefix("transformer.")
    for prefix in _TEXT_PREFIXES:
        name = name.removeprefix(prefix)
    bare = name.removeprefix("model.")
    return bare if bare.startswith(_HEAD) else f"model.{bare}"


def _llama_placements(weights: MasterWeights) -> Placements:
    config = weights.config
    yield _whole("model.embed_tokens.weight", weights.embedding)
    yield from _norm("model.norm", weights.final_norm, config)
    if not config.tied_embeddings:
        yield _whole("lm_head.weight", weights.head)
    fused = config.stored.names is TensorNames.PHI3
    query, key_value = config.heads * config.head_dim, config.kv_heads * config.head_dim
    qkv = {"q_proj": query, "k_proj": key_value, "v_proj": key_value}
    gate_up = {"gate_proj": config.intermediate, "up_proj": config.intermediate}
    for index, layer in enumerate(weights.layers):
        prefix = f"model.layers.{index}"
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        for name, norm in _llama_norms(layer, config).items():
            if norm is not None:
                yield from _norm(f"{prefix}.{name}", norm, config)
        yield from _parts(
            layer.qkv,
            {"qkv_proj": config.qkv_rows} if fused else qkv,
            attention,
            config,
            rows=_rotary_rows(config),
        )
        yield from _parts(layer.output, {"o_proj": config.hidden}, attention, config)
        yield from _parts(
            layer.gate_up, {"gate_up_proj": config.gate_up_rows} if fused else gate_up, mlp, config
        )
        yield from _parts(layer.down, {"down_proj": config.hidden}, mlp, config)


def _llama_norms(layer: LayerWeights, config: ModelShape) -> Mapping[str, NormWeights | None]:
    """A layer's norms by their names. Gemma calls by Llama's second name what follows attention."""
    heads = {"self_attn.q_norm": layer.query_norm, "self_attn.k_norm": layer.key_norm}
    if not config.sandwich_norms:
        return heads | {
            "input_layernorm": layer.attention_norm,
            "post_attention_layernorm": layer.mlp_norm,
        }
    return heads | {
        "input_layernorm": layer.attention_norm,
        "post_attention_layernorm": layer.attention_output_norm,
        "pre_feedforward_layernorm": layer.mlp_norm,
        "post_feedforward_layernorm": layer.mlp_output_norm,
    }


def _gpt2_placements(weights: MasterWeights) -> Placements:
    config = weights.config
    yield _whole("wte.weight", weights.embedding)
    if weights.positions is not None:
        yield _whole("wpe.weight", weights.positions)
    yield from _norm("ln_f", weights.final_norm, config)
    if not config.tied_embeddings:
        yield _whole("lm_head.weight", weights.head)
    for index, layer in enumerate(weights.layers):
        prefix = f"h.{index}"
        yield from _norm(f"{prefix}.ln_1", layer.attention_norm, config)
        yield from _norm(f"{prefix}.ln_2", layer.mlp_norm, config)
        yield from _parts(layer.qkv, {"attn.c_attn": config.qkv_rows}, prefix, config)
        yield from _parts(layer.output, {"attn.c_proj": config.hidden}, prefix, config)
        yield from _parts(layer.gate_up, {"mlp.c_fc": config.gate_up_rows}, prefix, config)
        yield from _parts(layer.down, {"mlp.c_proj": config.hidden}, prefix, config)


def _whole(name: str, target: Tensor, convert: Convert | None = None) -> tuple[str, Placement]:
    return name, Placement(target, tuple(target.shape), convert)


def _norm(name: str, norm: NormWeights, config: ModelShape) -> Placements:
    yield _whole(f"{name}.weight", norm.weight, _add_one if config.stored.offset_norms else None)
    if norm.bias is not None:
        yield _whole(f"{name}.bias", norm.bias)


def _add_one(weight: Tensor) -> Tensor:
    return weight.float() + 1.0


def _parts(
    fused: AnyProjection,
    rows_by_name: Mapping[str, int],
    prefix: str,
    config: ModelShape,
    rows: Tensor | None = None,
) -> Placements:
    """The tensors that lie one after the other in a fused projection.

    `rows` is the order in which a part's outputs are kept; `None` is their own.
    """
    reorder = None if rows is None else partial(torch.index_select, dim=0, index=rows)
    start = 0
    for part, count in rows_by_name.items():
        name, span = f"{prefix}.{part}", slice(start, start + count)
        if isinstance(fused, Int4Projection):
            yield from _int4_part(name, fused, span, config, reorder)
        elif config.stored.names is TensorNames.GPT2:
            yield (
                f"{name}.weight",
                Placement(fused.weight[span], (fused.weight.shape[1], count), torch.t),
            )
        else:
            yield _whole(f"{name}.weight", fused.weight[span], reorder)
        if fused.bias is not None:
            yield _whole(f"{name}.bias", fused.bias[span], reorder)
        elif isinstance(fused, Int4Projection):
            # AutoGPTQ wrote a bias of zeros for layers that have none.
            yield f"{name}.bias", Placement(None, (count,), _zeros_alone, optional=True)
        start += count


def _int4_part(
    name: str, fused: Int4Projection, span: slice, config: ModelShape, reorder: Convert | None
) -> Placements:
    form = config.stored.int4
    awq = form is not None and form.method is Int4Method.AWQ
    old = form is not None and form.method is Int4Method.GPTQ
    q, scale, zero = fused.q[span], fused.scale[span], fused.zero[span]
    outputs, columns = q.shape[0], 2 * q.shape[1]
    groups = scale.shape[1]
    weight_shape = (columns, outputs // 8) if awq else (columns // 8, outputs)
    weight = awq_weight if awq else gptq_weight
    zeros = awq_zeros if awq else partial(gptq_zeros, offset=int(old))

    def into(target: Tensor, shape: tuple[int, ...], *steps: Convert, packed: bool) -> Placement:
        return Placement(target, shape, _chain(*steps, *([reorder] if reorder else [])), packed)

    yield f"{name}.qweight", into(q, weight_shape, weight, packed=True)
    yield f"{name}.qzeros", into(zero, (groups, outputs // 8), zeros, packed=True)
    yield f"{name}.scales", into(scale, (groups, outputs), torch.t, packed=False)
    if not awq:
        check = partial(_groups_in_order, group=fused.group)
        ordered = form is None or not form.reordered
        yield f"{name}.g_idx", Placement(None, (columns,), check, packed=True, optional=ordered)


def _chain(*steps: Convert) -> Convert:
    def convert(tensor: Tensor) -> Tensor:
        for step in steps:
            tensor = step(tensor)
        return tensor

    return convert


def _groups_in_order(groups: Tensor, group: int) -> Tensor:
    if not torch.equal(groups, torch.arange(groups.numel(), dtype=groups.dtype) // group):
        raise ValueError(
            "gives the inputs groups out of order (`desc_act`), which is not supported"
        )
    return groups


def _zeros_alone(bias: Tensor) -> Tensor:
    if bias.count_nonzero():
        raise ValueError("is a bias that config.json does not ask for")
    return bias


def _rotary_rows(config: ModelShape) -> Tensor | None:
    """The order of the fused query, key and value rows where only part of a head turns.

    The decoder turns dimension `i` of a head with `i + head_dim / 2`, a checkpoint `i` with
    `i + rotary_dim / 2`: the same pairs, once queries and keys are both reordered.
    """
    width, head_dim = config.rotary_dim, config.head_dim
    if width is None or width == head_dim:
        return None
    still = torch.arange(width, head_dim)
    first, second = torch.arange(width // 2), torch.arange(width // 2, width)
    half = still.numel() // 2
    head = torch.cat((first, still[:half], second, still[half:]))
    turned = config.heads + config.kv_heads
    starts = torch.arange(turned).unsqueeze(1) * head_dim
    values = torch.arange(turned * head_dim, config.qkv_rows)
    return torch.cat(((starts + head).flatten(), values))
