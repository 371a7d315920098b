"""Models known by name. Figures are those of each model's paper or published `config.json`."""

import re

from .field_errors import FieldError
from .planner_model import Experts, LatentAttention, ModelShape


def _gpt(name: str, layers: int, hidden: int, heads: int, positions: int = 2048) -> ModelShape:
    """GPT-2 and GPT-3 (Radford et al. 2019; Brown et al. 2020, table 2.1)."""
    return ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        ffn=4 * hidden,
        vocabulary=50_257,
        gated=False,
        tied=True,
        layer_norm=True,
        linear_bias=True,
        dropout=True,
        learned_positions=positions,
    )


def _llama(
    name: str,
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    vocabulary: int,
    *,
    tied: bool = False,
    head_dim: int = 128,
    qkv_bias: bool = False,
    qk_norm: bool = False,
    gated: bool = True,
    experts: Experts | None = None,
) -> ModelShape:
    return ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=ffn,
        vocabulary=vocabulary,
        gated=gated,
        tied=tied,
        qkv_bias=qkv_bias,
        qk_norm=qk_norm,
        experts=experts,
    )


_SHAPES = (
    _gpt("gpt2", 12, 768, 12, 1024),
    _gpt("gpt2-medium", 24, 1024, 16, 1024),
    _gpt("gpt2-large", 36, 1280, 20, 1024),
    _gpt("gpt2-xl", 48, 1600, 25, 1024),
    _gpt("gpt3-1.3b", 24, 2048, 16),
    _gpt("gpt3-2.7b", 32, 2560, 32),
    _gpt("gpt3-6.7b", 32, 4096, 32),
    _gpt("gpt3-13b", 40, 5120, 40),
    _gpt("gpt3-175b", 96, 12_288, 96),
    _llama("llama-2-7b", 32, 4096, 32, 32, 11_008, 32_000),
    _llama("llama-2-13b", 40, 5120, 40, 40, 13_824, 32_000),
    _llama("llama-2-70b", 80, 8192, 64, 8, 28_672, 32_000),
    _llama("llama-3-8b", 32, 4096, 32, 8, 14_336, 128_256),
    _llama("llama-3-70b", 80, 8192, 64, 8, 28_672, 128_256),
    _llama("llama-3.1-8b", 32, 4096, 32, 8, 14_336, 128_256),
    _llama("llama-3.1-70b", 80, 8192, 64, 8, 28_672, 128_256),
    _llama("llama-3.1-405b", 126, 16_384, 128, 8, 53_248, 128_256),
    _llama("llama-3.2-1b", 16, 2048, 32, 8, 8192, 128_256, tied=True, head_dim=64),
    _llama("llama-3.2-3b", 28, 3072, 24, 8, 8192, 128_256, tied=True),
    _llama("llama-3.3-70b", 80, 8192, 64, 8, 28_672, 128_256),
    _llama("mistral-7b", 32, 4096, 32, 8, 14_336, 32_000),
    _llama("mistral-nemo-12b", 40, 5120, 32, 8, 14_336, 131_072),
    _llama(
        "mixtral-8x7b",
        *(32, 4096, 32, 8, 14_336, 32_000),
        experts=Experts(count=8, active=2, ffn=14_336),
    ),
    _llama(
        "mixtral-8x22b",
        *(56, 6144, 48, 8, 16_384, 32_768),
        experts=Experts(count=8, active=2, ffn=16_384),
    ),
    _llama("qwen2.5-0.5b", 24, 896, 14, 2, 4864, 151_936, tied=True, head_dim=64, qkv_bias=True),
    _llama("qwen2.5-1.5b", 28, 1536, 12, 2, 8960, 151_936, tied=True, qkv_bias=True),
    _llama("qwen2.5-3b", 36, 2048, 16, 2, 11_008, 151_936, tied=True, qkv_bias=True),
    _llama("qwen2.5-7b", 28, 3584, 28, 4, 18_944, 152_064, qkv_bias=True),
    _llama("qwen2.5-14b", 48, 5120, 40, 8, 13_824, 152_064, qkv_bias=True),
    _llama("qwen2.5-32b", 64, 5120, 40, 8, 27_648, 152_064, qkv_bias=True),
    _llama("qwen2.5-72b", 80, 8192, 64, 8, 29_568, 152_064, qkv_bias=True),
    _llama("qwen3-0.6b", 28, 1024, 16, 8, 3072, 151_936, tied=True, qk_norm=True),
    _llama("qwen3-1.7b", 28, 2048, 16, 8, 6144, 151_936, tied=True, qk_norm=True),
    _llama("qwen3-4b", 36, 2560, 32, 8, 9728, 151_936, tied=True, qk_norm=True),
    _llama("qwen3-8b", 36, 4096, 32, 8, 12_288, 151_936, qk_norm=True),
    _llama("qwen3-14b", 40, 5120, 40, 8, 17_408, 151_936, qk_norm=True),
    _llama("qwen3-32b", 64, 5120, 64, 8, 25_600, 151_936, qk_norm=True),
    _llama(
        "qwen3-30b-a3b",
        *(48, 2048, 32, 4, 6144, 151_936),
        qk_norm=True,
        experts=Experts(count=128, active=8, ffn=768),
    ),
    _llama(
        "qwen3-235b-a22b",
        *(94, 4096, 64, 4, 12_288, 151_936),
        qk_norm=True,
        experts=Experts(count=128, active=8, ffn=1536),
    ),
    _llama("nemotron-4-340b", 96, 18_432, 96, 8, 73_728, 256_000, head_dim=192, gated=False),
    ModelShape(
        name="deepseek-v3",
        layers=61,
        hidden=7168,
        heads=128,
        kv_heads=128,
        head_dim=128,
        ffn=18_432,
        vocabulary=129_280,
        latent=LatentAttention(
            kv_rank=512, query_rank=1536, nope_dim=128, rope_dim=64, value_dim=128
        ),
        experts=Experts(
            count=256, active=8, ffn=2048, shared_ffn=2048, dense_layers=3, router_bias=True
        ),
    ),
    ModelShape(
        name="deepseek-v2-lite",
        layers=27,
        hidden=2048,
        heads=16,
        kv_heads=16,
        head_dim=128,
        ffn=10_944,
        vocabulary=102_400,
        latent=LatentAttention(kv_rank=512, query_rank=0, nope_dim=128, rope_dim=64, value_dim=128),
        experts=Experts(count=64, active=6, ffn=1408, shared_ffn=2816, dense_layers=1),
    ),
    ModelShape(
        name="moonlight-16b",
        layers=27,
        hidden=2048,
        heads=16,
        kv_heads=16,
        head_dim=128,
        ffn=11_264,
        vocabulary=163_840,
        latent=LatentAttention(kv_rank=512, query_rank=0, nope_dim=128, rope_dim=64, value_dim=128),
        experts=Experts(
            count=64, active=6, ffn=1408, shared_ffn=2816, dense_layers=1, router_bias=True
        ),
    ),
    ModelShape(
        name="gpt-oss-120b",
        layers=36,
        hidden=2880,
        heads=64,
        kv_heads=8,
        head_dim=64,
        ffn=2880,
        vocabulary=201_088,
        linear_bias=True,
        attention_sinks=True,
        window=128,
        window_every=2,
        experts=Experts(count=128, active=4, ffn=2880, router_bias=True),
    ),
    ModelShape(
        name="gpt-oss-20b",
        layers=24,
        hidden=2880,
        heads=64,
        kv_heads=8,
        head_dim=64,
        ffn=2880,
        vocabulary=201_088,
        linear_bias=True,
        attention_sinks=True,
        window=128,
        window_every=2,
        experts=Experts(count=32, active=4, ffn=2880, router_bias=True),
    ),
    _llama("generic-1b", 16, 2048, 16, 8, 8192, 65_536, tied=True),
    _llama("generic-7b", 32, 4096, 32, 8, 13_312, 65_536),
    _llama("generic-70b", 80, 8192, 64, 8, 28_672, 65_536),
)

PRESETS = {shape.name: shape for shape in _SHAPES}


def preset(name: str) -> ModelShape:
    """The shape called `name`; raises `FieldError` with the names that come closest."""
    shape = find_preset(name)
    if shape is not None:
        return shape
    key = normalised(name)
    close = [known for known in PRESETS if normalised(known)[:4] == key[:4]] or list(PRESETS)
    raise FieldError("model", f"unknown model {name!r}; known are {', '.join(close)}")


def find_preset(name: str) -> ModelShape | None:
    """The shape called `name`, written in any customary way, or nothing."""
    key = normalised(name)
    return next((shape for known, shape in PRESETS.items() if normalised(known) == key), None)


def normalised(name: str) -> str:
    """A name without case, punctuation, organisation and what says how the weights were tuned."""
    plain = re.sub(r"\(.*?\)", "", name.lower().rsplit("/", 1)[-1])
    plain = re.sub(r"\b(instruct|base|chat|sft|lora|meta|hf|v0\.\d)\b", "", plain)
    return re.sub(r"[^a-z0-9.]", "", plain)
