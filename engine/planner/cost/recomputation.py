"""What the backward pass computes a second time, as shares of a layer's forward pass."""

from dataclasses import dataclass
from functools import lru_cache

from .layout import Layout
from .setting import Setting
from .stages import stage_layers


@dataclass(frozen=True, slots=True)
class Again:
    """Shares of a layer's forward pass that run again, 0 to 1.

    attention, mlp: the matrix products of the two blocks. core: scores and values. elementwise: all
    else. dispatch: of the kernels that the host launches.
    """

    attention: float = 0.0
    mlp: float = 0.0
    core: float = 0.0
    elementwise: float = 0.0
    dispatch: float = 0.0


@lru_cache(maxsize=4096)
def recomputed(setting: Setting, recompute: str, modules: tuple[str, ...]) -> Again:
    """The shares under `recompute`; `modules` say what "selective" means, see `Layout`."""
    if recompute == "none":
        return Again()
    if recompute == "full":
        return Again(1.0, 1.0, 1.0, 1.0, 1.0)
    if "op" in modules or (not modules and setting.software.op_recompute):
        # torchtitan keeps every second product's output and the attention's.
        share = op_recomputed_share(setting)
        return Again(share, share, 0.0, 1.0, 0.3)
    model = setting.model
    block = "mlp" in modules or "moe" in modules
    projections = 0.0
    if "mla_up_proj" in modules and model.latent is not None:
        up = model.heads * (model.latent.nope_dim + model.latent.value_dim) * model.latent.kv_rank
        projections = up / model.attention_weights
    small = 0.3 * sum(module in modules for module in ("moe_act", "layernorm"))
    return Again(
        attention=projections,
        mlp=1.0 if block else 0.0,
        core=1.0 if not modules or "core_attn" in modules else 0.0,
        elementwise=min(1.0, small + (0.5 if block else 0.0)),
        dispatch=0.3,
    )


def op_recomputed_share(setting: Setting) -> float:
    """Share of the layer's product FLOPs that torchtitan's op-level checkpointing does again.

    Of the products q, k, v, o, gate, up, down in order, every second one: k, o and up.
    """
    model = setting.model
    if not model.gated_mlp or model.latent is not None or model.experts is not None:
        return 0.5
    again = model.hidden * (model.kv_width + model.value_width + model.intermediate)
    return again / (model.attention_weights + model.mlp_weights)


def recomputed_layers(setting: Setting, layout: Layout) -> float:
    """Share of a stage's layers that recompute: all, unless full recomputation names fewer."""
    if layout.recompute != "full" or layout.recompute_layers < 0:
        return 1.0
    return min(1.0, layout.recompute_layers / stage_layers(setting.model.layers, layout.pp).inner)


def recomputed_flops_per_token(setting: Setting, layout: Layout, *, causal: bool = False) -> float:
    """FLOPs of one token that run a second time, counted as `ModelShape.flops_per_token` does.

    A forward pass is 2 per matrix weight and 2 per head dimension pair and attended position. The
    logits are never computed again.
    """
    model = setting.model
    again = recomputed(setting, layout.recompute, layout.recompute_modules)
    projections = model.mixer_weights
    core = model.layers * model.attended(setting.sequence, causal=causal)
    core *= model.query_width + model.value_width
    mlp = model.matmul_parameters - projections
    run = again.attention * projections + again.mlp * mlp + again.core * core
    return 2.0 * recomputed_layers(setting, layout) * run
