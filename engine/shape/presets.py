"""Models known by name. Figures are those of each model's paper or published `config.json`.

Some are served and planned, some only planned (`serving_limits` says why). Of a name with several
releases it is the first of its sizes: `mistral-7b` is v0.2, with 32,000 tokens, and v0.3 beside it.
"""

import re
from dataclasses import replace

from .field_errors import FieldError
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


_LLAMA_31_8B = ModelShape(
    vocabulary=128_256,
    hidden=4096,
    intermediate=14_336,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    context_tokens=131_072,
    rope_theta=500_000.0,
    rope_scaling=Llama3Scaling(
        factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context_tokens=8192
    ),
    eos_token_ids=frozenset({128_001, 128_008, 128_009}),
)
_LLAMA_31_70B = replace(_LLAMA_31_8B, hidden=8192, intermediate=28_672, layers=80, heads=64)
_LLAMA_3_8B = replace(
    _LLAMA_31_8B,
    context_tokens=8192,
    rope_scaling=None,
    eos_token_ids=frozenset({128_001, 128_009}),
)
_LLAMA_32_1B = replace(
    _LLAMA_31_8B,
    hidden=2048,
    intermediate=8192,
    layers=16,
    head_dim=64,
    rope_scaling=Llama3Scaling(
        factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context_tokens=8192
    ),
    tied_embeddings=True,
)
_LLAMA_2_7B = ModelShape(
    vocabulary=32_000,
    hidden=4096,
    intermediate=11_008,
    layers=32,
    heads=32,
    kv_heads=32,
    head_dim=128,
    context_tokens=4096,
    eos_token_ids=frozenset({2}),
)
_MISTRAL_7B = replace(
    _LLAMA_2_7B,
    intermediate=14_336,
    kv_heads=8,
    context_tokens=32_768,
    rope_theta=1_000_000.0,
)
_QWEN_25_7B = ModelShape(
    vocabulary=152_064,
    hidden=3584,
    intermediate=18_944,
    layers=28,
    heads=28,
    kv_heads=4,
    head_dim=128,
    context_tokens=32_768,
    norm_eps=1e-6,
    rope_theta=1_000_000.0,
    qkv_bias=True,
    eos_token_ids=frozenset({151_643, 151_645}),
)
_QWEN_25_05B = replace(
    _QWEN_25_7B,
    vocabulary=151_936,
    hidden=896,
    intermediate=4864,
    layers=24,
    heads=14,
    kv_heads=2,
    head_dim=64,
    tied_embeddings=True,
)
_QWEN_25_14B = replace(
    _QWEN_25_7B, hidden=5120, intermediate=13_824, layers=48, heads=40, kv_heads=8
)
_QWEN_3_8B = ModelShape(
    vocabulary=151_936,
    hidden=4096,
    intermediate=12_288,
    layers=36,
    heads=32,
    kv_heads=8,
    head_dim=128,
    context_tokens=40_960,
    norm_eps=1e-6,
    qk_norm=True,
    rope_theta=1_000_000.0,
    eos_token_ids=frozenset({151_643, 151_645}),
)
_PHI_3_MINI = ModelShape(
    vocabulary=32_064,
    hidden=3072,
    intermediate=8192,
    layers=32,
    heads=32,
    kv_heads=32,
    head_dim=96,
    context_tokens=4096,
    sliding_window=2047,
    sliding_layers=frozenset(range(32)),
    eos_token_ids=frozenset({32_000, 32_001, 32_007}),
    stored=StoredForm(names=TensorNames.PHI3),
)
_GEMMA_2_2B = ModelShape(
    vocabulary=256_000,
    hidden=2304,
    intermediate=9216,
    layers=26,
    heads=8,
    kv_heads=4,
    head_dim=256,
    context_tokens=8192,
    norm_eps=1e-6,
    norms_per_layer=4,
    sliding_window=4096,
    sliding_layers=frozenset(range(0, 26, 2)),
    attention_scale=256**-0.5,
    attention_softcap=50.0,
    logit_softcap=30.0,
    activation=Activation.GELU_TANH,
    embedding_scale=2304**0.5,
    tied_embeddings=True,
    eos_token_ids=frozenset({1, 107}),
    stored=StoredForm(offset_norms=True),
)
_GEMMA_3_1B = replace(
    _GEMMA_2_2B,
    vocabulary=262_144,
    hidden=1152,
    intermediate=6912,
    heads=4,
    kv_heads=1,
    context_tokens=32_768,
    qk_norm=True,
    rope_theta=1_000_000.0,
    local_rope_theta=10_000.0,
    sliding_window=512,
    sliding_layers=frozenset(n for n in range(26) if (n + 1) % 6),
    attention_softcap=None,
    logit_softcap=None,
    embedding_scale=1152**0.5,
    eos_token_ids=frozenset({1, 106}),
)
_NEMOTRON_4_340B = ModelShape(
    vocabulary=256_000,
    hidden=18_432,
    intermediate=73_728,
    layers=96,
    heads=96,
    kv_heads=8,
    head_dim=192,
    context_tokens=4096,
    gated_mlp=False,
    rotary_dim=96,
    eos_token_ids=frozenset({3}),
)
_DEEPSEEK_V3 = ModelShape(
    vocabulary=129_280,
    hidden=7168,
    intermediate=18_432,
    layers=61,
    heads=128,
    kv_heads=128,
    head_dim=128,
    context_tokens=163_840,
    norm_eps=1e-6,
    latent=LatentAttention(kv_rank=512, query_rank=1536, nope_dim=128, rope_dim=64, value_dim=128),
    experts=Experts(
        count=256,
        active=8,
        intermediate=2048,
        shared_intermediate=2048,
        dense_layers=3,
        router_bias=True,
    ),
    eos_token_ids=frozenset({1}),
)
_DEEPSEEK_V2_LITE = ModelShape(
    vocabulary=102_400,
    hidden=2048,
    intermediate=10_944,
    layers=27,
    heads=16,
    kv_heads=16,
    head_dim=128,
    context_tokens=163_840,
    norm_eps=1e-6,
    latent=LatentAttention(kv_rank=512, query_rank=0, nope_dim=128, rope_dim=64, value_dim=128),
    experts=Experts(
        count=64, active=6, intermediate=1408, shared_intermediate=2816, dense_layers=1
    ),
    eos_token_ids=frozenset({100_001}),
)
_MOONLIGHT_16B = replace(
    _DEEPSEEK_V2_LITE,
    vocabulary=163_840,
    intermediate=11_264,
    context_tokens=8192,
    norm_eps=1e-5,
    rope_theta=50_000.0,
    experts=Experts(
        count=64,
        active=6,
        intermediate=1408,
        shared_intermediate=2816,
        dense_layers=1,
        router_bias=True,
    ),
    eos_token_ids=frozenset({163_585}),
)


def _gpt_oss(layers: int, experts: int) -> ModelShape:
    return ModelShape(
        vocabulary=201_088,
        hidden=2880,
        intermediate=2880,
        layers=layers,
        heads=64,
        kv_heads=8,
        head_dim=64,
        context_tokens=131_072,
        rope_theta=150_000.0,
        rope_scaling=YarnScaling(
            factor=32.0,
            original_context_tokens=4096,
            attention_factor=1.3465735902799727,
            truncate=False,
        ),
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        attention_sinks=True,
        sliding_window=128,
        sliding_layers=frozenset(range(0, layers, 2)),
        experts=Experts(count=experts, active=4, intermediate=2880, router_bias=True),
        eos_token_ids=frozenset({199_999, 200_002, 200_012}),
    )


def _generic(layers: int, hidden: int, intermediate: int, *, tied: bool = False) -> ModelShape:
    """A Llama of no published model, for plans of one yet to be designed."""
    return ModelShape(
        vocabulary=65_536,
        hidden=hidden,
        intermediate=intermediate,
        layers=layers,
        heads=hidden // 128,
        kv_heads=8,
        head_dim=128,
        tied_embeddings=tied,
    )


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
    "llama-2-7b": _LLAMA_2_7B,
    "llama-2-13b": replace(
        _LLAMA_2_7B, hidden=5120, intermediate=13_824, layers=40, heads=40, kv_heads=40
    ),
    "llama-2-70b": replace(
        _LLAMA_2_7B, hidden=8192, intermediate=28_672, layers=80, heads=64, kv_heads=8
    ),
    "llama-3-8b": _LLAMA_3_8B,
    "llama-3-70b": replace(_LLAMA_3_8B, hidden=8192, intermediate=28_672, layers=80, heads=64),
    "llama-3.1-8b": _LLAMA_31_8B,
    "llama-3.1-70b": _LLAMA_31_70B,
    "llama-3.1-405b": replace(
        _LLAMA_31_8B, hidden=16_384, intermediate=53_248, layers=126, heads=128
    ),
    "llama-3.2-1b": _LLAMA_32_1B,
    "llama-3.2-3b": replace(_LLAMA_32_1B, hidden=3072, layers=28, heads=24, head_dim=128),
    "llama-3.3-70b": _LLAMA_31_70B,
    "tinyllama-1.1b": replace(
        _LLAMA_2_7B,
        hidden=2048,
        intermediate=5632,
        layers=22,
        kv_heads=4,
        head_dim=64,
        context_tokens=2048,
    ),
    "mistral-7b": _MISTRAL_7B,
    "mistral-7b-v0.3": replace(_MISTRAL_7B, vocabulary=32_768),
    "mistral-nemo-12b": replace(
        _MISTRAL_7B, vocabulary=131_072, hidden=5120, layers=40, context_tokens=131_072
    ),
    "mixtral-8x7b": replace(_MISTRAL_7B, experts=Experts(count=8, active=2, intermediate=14_336)),
    "mixtral-8x22b": replace(
        _MISTRAL_7B,
        vocabulary=32_768,
        hidden=6144,
        intermediate=16_384,
        layers=56,
        heads=48,
        context_tokens=65_536,
        experts=Experts(count=8, active=2, intermediate=16_384),
    ),
    "qwen2.5-0.5b": _QWEN_25_05B,
    "qwen2.5-1.5b": replace(
        _QWEN_25_05B, hidden=1536, intermediate=8960, layers=28, heads=12, head_dim=128
    ),
    "qwen2.5-3b": replace(
        _QWEN_25_05B, hidden=2048, intermediate=11_008, layers=36, heads=16, head_dim=128
    ),
    "qwen2.5-7b": _QWEN_25_7B,
    "qwen2.5-14b": _QWEN_25_14B,
    "qwen2.5-32b": replace(_QWEN_25_14B, intermediate=27_648, layers=64),
    "qwen2.5-72b": replace(_QWEN_25_14B, hidden=8192, intermediate=29_568, layers=80, heads=64),
    "qwen3-0.6b": replace(
        _QWEN_3_8B, hidden=1024, intermediate=3072, layers=28, heads=16, tied_embeddings=True
    ),
    "qwen3-1.7b": replace(
        _QWEN_3_8B, hidden=2048, intermediate=6144, layers=28, heads=16, tied_embeddings=True
    ),
    "qwen3-4b": replace(_QWEN_3_8B, hidden=2560, intermediate=9728, tied_embeddings=True),
    "qwen3-8b": _QWEN_3_8B,
    "qwen3-14b": replace(_QWEN_3_8B, hidden=5120, intermediate=17_408, layers=40, heads=40),
    "qwen3-32b": replace(_QWEN_3_8B, hidden=5120, intermediate=25_600, layers=64, heads=64),
    "qwen3-30b-a3b": replace(
        _QWEN_3_8B,
        hidden=2048,
        intermediate=6144,
        layers=48,
        kv_heads=4,
        experts=Experts(count=128, active=8, intermediate=768),
    ),
    "qwen3-235b-a22b": replace(
        _QWEN_3_8B,
        layers=94,
        heads=64,
        kv_heads=4,
        experts=Experts(count=128, active=8, intermediate=1536),
    ),
    "phi-3-mini": _PHI_3_MINI,
    "gemma-2-2b": _GEMMA_2_2B,
    "gemma-2-9b": replace(
        _GEMMA_2_2B,
        hidden=3584,
        intermediate=14_336,
        layers=42,
        heads=16,
        kv_heads=8,
        sliding_layers=frozenset(range(0, 42, 2)),
        embedding_scale=3584**0.5,
    ),
    "gemma-3-1b": _GEMMA_3_1B,
    "nemotron-4-340b": _NEMOTRON_4_340B,
    "deepseek-v3": _DEEPSEEK_V3,
    "deepseek-v2-lite": _DEEPSEEK_V2_LITE,
    "moonlight-16b": _MOONLIGHT_16B,
    "gpt-oss-120b": _gpt_oss(36, 128),
    "gpt-oss-20b": _gpt_oss(24, 32),
    "generic-1b": _generic(16, 2048, 8192, tied=True),
    "generic-7b": _generic(32, 4096, 13_312),
    "generic-70b": _generic(80, 8192, 28_672),
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
    for spelled in (_letters, normalised):
        for known, shape in PRESETS.items():
            if spelled(known) == spelled(name):
                return shape
    return None


def normalised(name: str) -> str:
    """A name without case, punctuation, organisation, release and how the weights were tuned."""
    return _letters(re.sub(r"\bv0\.\d\b", "", name.lower()))


def _letters(name: str) -> str:
    plain = re.sub(r"\(.*?\)", "", name.lower().rsplit("/", 1)[-1])
    plain = re.sub(r"\b(instruct|base|chat|sft|lora|meta|hf)\b", "", plain)
    return re.sub(r"[^a-z0-9.]", "", plain)
