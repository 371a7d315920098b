"""Models known by name. Figures are those of each model's paper or published `config.json`.

Some are served and planned, some only planned (`serving_limits` says why). Of a name with several
releases it is the first of its size: `mistral-7b` is v0.2 with 32,000 tokens, v0.3 is beside it.
"""

import math
import re
from dataclasses import replace
from functools import cache

from .field_errors import FieldError
from .hybrid_configs import mamba2
from .model_shape import ModelShape
from .parts import (
    Activation,
    Experts,
    LatentAttention,
    Llama3Scaling,
    StoredForm,
    TensorNames,
    YarnScaling,
)


def _family(
    vocabulary: int, context_tokens: int, rope_theta: float, *stops: int, norm_eps: float = 1e-5
) -> ModelShape:
    """What the sizes of a family share, in that of Llama 3 8B."""
    return ModelShape(
        layers=32,
        hidden=4096,
        heads=32,
        kv_heads=8,
        head_dim=128,
        intermediate=14_336,
        vocabulary=vocabulary,
        context_tokens=context_tokens,
        rope_theta=rope_theta,
        norm_eps=norm_eps,
        eos_token_ids=frozenset(stops),
    )


def _sized(
    family: ModelShape,
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    head_dim: int = 128,
    *,
    tied: bool = False,
    experts: Experts | None = None,
) -> ModelShape:
    """A model of `family` in a size of its own."""
    return replace(
        family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=intermediate,
        tied_embeddings=tied,
        experts=experts,
    )


def _llama_3(factor: float) -> ModelShape:
    scaling = Llama3Scaling(factor, 1.0, 4.0, original_context_tokens=8192)
    family = _family(128_256, 131_072, 500_000.0, 128_001, 128_008, 128_009)
    return replace(family, rope_scaling=scaling)


_LLAMA_2 = _family(32_000, 4096, 10_000.0, 2)
_LLAMA_3 = _family(128_256, 8192, 500_000.0, 128_001, 128_009)
_LLAMA_31 = _llama_3(8.0)
_LLAMA_32 = _llama_3(32.0)
_MISTRAL = _family(32_000, 32_768, 1e6, 2)
_MISTRAL_V3 = replace(_MISTRAL, vocabulary=32_768)
_QWEN_25_SMALL = replace(
    _family(151_936, 32_768, 1e6, 151_643, 151_645, norm_eps=1e-6), qkv_bias=True
)
_QWEN_25 = replace(_QWEN_25_SMALL, vocabulary=152_064)
_QWEN_3 = replace(_family(151_936, 40_960, 1e6, 151_643, 151_645, norm_eps=1e-6), qk_norm=True)
_GENERIC = _family(65_536, 8192, 10_000.0)
_PHI_3_MINI = replace(
    _sized(_family(32_064, 4096, 10_000.0, 32_000, 32_001, 32_007), 32, 3072, 32, 32, 8192, 96),
    sliding_window=2047,
    sliding_layers=frozenset(range(32)),
    stored=StoredForm(names=TensorNames.PHI3),
)
_NEMOTRON_4 = replace(
    _family(256_000, 4096, 10_000.0, 3),
    layer_norm=True,
    gated_mlp=False,
    unserved="architecture 'NemotronForCausalLM' is not served",
)
_NEMOTRON_3_NANO = replace(
    _sized(
        _family(131_072, 262_144, 10_000.0, 2),
        *(52, 2688, 32, 2, 1856, 128),
        experts=Experts(
            count=128, active=6, intermediate=1856, shared_intermediate=3712, router_bias=True
        ),
    ),
    gated_mlp=False,
    norms_per_layer=1,
    recurrence=replace(
        mamba2(2688, 4096, 64, 128, 8, 4, conv=True, projections=False, norm=True), layers=23
    ),
    attention_layers=6,
    mlp_layers=23,
    unserved="architecture 'NemotronHForCausalLM' is not served",
)
"""Of 52 layers 23 are Mamba-2, 23 experts and 6 attention (NVIDIA 2025, Nemotron 3 Nano)."""


def _gpt(layers: int, hidden: int, heads: int, positions: int = 2048) -> ModelShape:
    """GPT-2 and GPT-3 (Radford et al. 2019; Brown et al. 2020, table 2.1)."""
    return ModelShape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        intermediate=4 * hidden,
        vocabulary=50_257,
        context_tokens=positions,
        learned_positions=positions,
        gated_mlp=False,
        activation=Activation.GELU_TANH,
        tied_embeddings=True,
        layer_norm=True,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        dropout=True,
        eos_token_ids=frozenset({50_256}),
        stored=StoredForm(names=TensorNames.GPT2),
    )


def _gemma_2(layers: int, hidden: int, heads: int, kv_heads: int, inner: int) -> ModelShape:
    family = _family(256_000, 8192, 10_000.0, 1, 107, norm_eps=1e-6)
    return replace(
        _sized(family, layers, hidden, heads, kv_heads, inner, 256, tied=True),
        norms_per_layer=4,
        sliding_window=4096,
        sliding_layers=frozenset(range(0, layers, 2)),
        attention_scale=256**-0.5,
        attention_softcap=50.0,
        logit_softcap=30.0,
        activation=Activation.GELU_TANH,
        embedding_scale=hidden**0.5,
        stored=StoredForm(offset_norms=True),
    )


_GEMMA_3_1B = replace(
    _gemma_2(26, 1152, 4, 1, 6912),
    vocabulary=262_144,
    context_tokens=32_768,
    qk_norm=True,
    rope_theta=1e6,
    local_rope_theta=10_000.0,
    sliding_window=512,
    sliding_layers=frozenset(n for n in range(26) if (n + 1) % 6),
    attention_softcap=None,
    logit_softcap=None,
    eos_token_ids=frozenset({1, 106}),
)


def _mla(query_rank: int) -> LatentAttention:
    return LatentAttention(
        kv_rank=512, query_rank=query_rank, nope_dim=128, rope_dim=64, value_dim=128
    )


_DEEPSEEK = replace(
    _family(129_280, 163_840, 10_000.0, 1, norm_eps=1e-6),
    rope_scaling=YarnScaling(40.0, original_context_tokens=4096, attention_factor=1.0),
)
_DEEPSEEK_V3 = replace(
    _sized(_DEEPSEEK, 61, 7168, 128, 128, 18_432),
    latent=_mla(1536),
    experts=Experts(
        count=256,
        active=8,
        intermediate=2048,
        shared_intermediate=2048,
        dense_layers=3,
        router_bias=True,
    ),
)
_SMALL_EXPERTS = Experts(
    count=64, active=6, intermediate=1408, shared_intermediate=2816, dense_layers=1
)
_DEEPSEEK_V2_LITE = replace(
    _sized(_DEEPSEEK, 27, 2048, 16, 16, 10_944),
    vocabulary=102_400,
    latent=_mla(0),
    experts=_SMALL_EXPERTS,
    eos_token_ids=frozenset({100_001}),
)
_MOONLIGHT = replace(
    _sized(_family(163_840, 8192, 50_000.0, 163_585), 27, 2048, 16, 16, 11_264),
    latent=_mla(0),
    experts=replace(_SMALL_EXPERTS, router_bias=True),
)


def _gpt_oss(layers: int, experts: int) -> ModelShape:
    family = _family(201_088, 131_072, 150_000.0, 199_999, 200_002, 200_012)
    mixture = Experts(count=experts, active=4, intermediate=2880, router_bias=True)
    return replace(
        _sized(family, layers, 2880, 64, 8, 2880, 64, experts=mixture),
        rope_scaling=YarnScaling(32.0, 4096, 0.1 * math.log(32.0) + 1.0, truncate=False),
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        attention_sinks=True,
        sliding_window=128,
        sliding_layers=frozenset(range(0, layers, 2)),
    )


def _experts(count: int, active: int, intermediate: int) -> Experts:
    return Experts(count=count, active=active, intermediate=intermediate)


_SHAPES = {
    "gpt2": _gpt(12, 768, 12, 1024),
    "gpt2-medium": _gpt(24, 1024, 16, 1024),
    "gpt2-large": _gpt(36, 1280, 20, 1024),
    "gpt2-xl": _gpt(48, 1600, 25, 1024),
    "gpt3-1.3b": _gpt(24, 2048, 16),
    "gpt3-2.7b": _gpt(32, 2560, 32),
    "gpt3-6.7b": _gpt(32, 4096, 32),
    "gpt3-13b": _gpt(40, 5120, 40),
    "gpt3-175b": _gpt(96, 12_288, 96),
    "llama-2-7b": _sized(_LLAMA_2, 32, 4096, 32, 32, 11_008),
    "llama-2-13b": _sized(_LLAMA_2, 40, 5120, 40, 40, 13_824),
    "llama-2-70b": _sized(_LLAMA_2, 80, 8192, 64, 8, 28_672),
    "llama-3-8b": _LLAMA_3,
    "llama-3-70b": _sized(_LLAMA_3, 80, 8192, 64, 8, 28_672),
    "llama-3.1-8b": _LLAMA_31,
    "llama-3.1-70b": _sized(_LLAMA_31, 80, 8192, 64, 8, 28_672),
    "llama-3.1-405b": _sized(_LLAMA_31, 126, 16_384, 128, 8, 53_248),
    "llama-3.2-1b": _sized(_LLAMA_32, 16, 2048, 32, 8, 8192, 64, tied=True),
    "llama-3.2-3b": _sized(_LLAMA_32, 28, 3072, 24, 8, 8192, tied=True),
    "llama-3.3-70b": _sized(_LLAMA_31, 80, 8192, 64, 8, 28_672),
    "tinyllama-1.1b": _sized(_family(32_000, 2048, 10_000.0, 2), 22, 2048, 32, 4, 5632, 64),
    "mistral-7b": _MISTRAL,
    "mistral-7b-v0.3": _MISTRAL_V3,
    "mistral-nemo-12b": _sized(_family(131_072, 131_072, 1e6, 2), 40, 5120, 32, 8, 14_336),
    "mixtral-8x7b": replace(_MISTRAL, experts=_experts(8, 2, 14_336)),
    "mixtral-8x22b": _sized(
        replace(_MISTRAL_V3, context_tokens=65_536),
        *(56, 6144, 48, 8, 16_384),
        experts=_experts(8, 2, 16_384),
    ),
    "qwen2.5-0.5b": _sized(_QWEN_25_SMALL, 24, 896, 14, 2, 4864, 64, tied=True),
    "qwen2.5-1.5b": _sized(_QWEN_25_SMALL, 28, 1536, 12, 2, 8960, tied=True),
    "qwen2.5-3b": _sized(_QWEN_25_SMALL, 36, 2048, 16, 2, 11_008, tied=True),
    "qwen2.5-7b": _sized(_QWEN_25, 28, 3584, 28, 4, 18_944),
    "qwen2.5-14b": _sized(_QWEN_25, 48, 5120, 40, 8, 13_824),
    "qwen2.5-32b": _sized(_QWEN_25, 64, 5120, 40, 8, 27_648),
    "qwen2.5-72b": _sized(_QWEN_25, 80, 8192, 64, 8, 29_568),
    "qwen3-0.6b": _sized(_QWEN_3, 28, 1024, 16, 8, 3072, tied=True),
    "qwen3-1.7b": _sized(_QWEN_3, 28, 2048, 16, 8, 6144, tied=True),
    "qwen3-4b": _sized(_QWEN_3, 36, 2560, 32, 8, 9728, tied=True),
    "qwen3-8b": _sized(_QWEN_3, 36, 4096, 32, 8, 12_288),
    "qwen3-14b": _sized(_QWEN_3, 40, 5120, 40, 8, 17_408),
    "qwen3-32b": _sized(_QWEN_3, 64, 5120, 64, 8, 25_600),
    "qwen3-30b-a3b": _sized(_QWEN_3, 48, 2048, 32, 4, 6144, experts=_experts(128, 8, 768)),
    "qwen3-235b-a22b": _sized(_QWEN_3, 94, 4096, 64, 4, 12_288, experts=_experts(128, 8, 1536)),
    "phi-3-mini": _PHI_3_MINI,
    "gemma-2-2b": _gemma_2(26, 2304, 8, 4, 9216),
    "gemma-2-9b": _gemma_2(42, 3584, 16, 8, 14_336),
    "gemma-3-1b": _GEMMA_3_1B,
    "nemotron-4-340b": _sized(_NEMOTRON_4, 96, 18_432, 96, 8, 73_728, 192),
    "nemotron-3-nano": _NEMOTRON_3_NANO,
    "deepseek-v3": _DEEPSEEK_V3,
    "deepseek-v2-lite": _DEEPSEEK_V2_LITE,
    "moonlight-16b": _MOONLIGHT,
    "gpt-oss-120b": _gpt_oss(36, 128),
    "gpt-oss-20b": _gpt_oss(24, 32),
    "generic-1b": _sized(_GENERIC, 16, 2048, 16, 8, 8192, tied=True),
    "generic-7b": _sized(_GENERIC, 32, 4096, 32, 8, 13_312),
    "generic-70b": _sized(_GENERIC, 80, 8192, 64, 8, 28_672),
}
PRESETS = {name: replace(shape, name=name) for name, shape in _SHAPES.items()}


def preset(name: str) -> ModelShape:
    """The shape called `name`.

    Raises:
        FieldError: no such model, with the names that come closest.
    """
    shape = find_preset(name)
    if shape is not None:
        return shape
    key = normalised(name)
    close = [known for known in PRESETS if normalised(known)[:4] == key[:4]] or list(PRESETS)
    raise FieldError("model", f"unknown model {name!r}; known are {', '.join(close)}")


def find_preset(name: str) -> ModelShape | None:
    """The shape called `name`, written in any customary way, or nothing.

    A release that has no shape of its own is the first of its size.
    """
    known = _by_spelling()
    return known.get(_letters(name)) or known.get(normalised(name))


@cache
def _by_spelling() -> dict[str, ModelShape]:
    first = {normalised(name): shape for name, shape in reversed(PRESETS.items())}
    return first | {_letters(name): shape for name, shape in PRESETS.items()}


def normalised(name: str) -> str:
    """A name without case, punctuation, organisation, release and how the weights were tuned."""
    return _letters(re.sub(r"\bv0\.\d\b", "", name.lower()))


def _letters(name: str) -> str:
    plain = re.sub(r"\(.*?\)", "", name.lower().rsplit("/", 1)[-1])
    plain = re.sub(r"\b(instruct|base|chat|sft|lora|meta|hf)\b", "", plain)
    return re.sub(r"[^a-z0-9.]", "", plain)
