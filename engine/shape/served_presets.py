"""Model shapes known by name, for dummy weights and for planning before a download.

Figures are those of each model's published `config.json`.
"""

from dataclasses import replace

from .model_config import Activation, Llama3Scaling, ModelConfig, StoredForm, TensorNames

_LLAMA_31_8B = ModelConfig(
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
_LLAMA_2_7B = ModelConfig(
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
    vocabulary=32_768,
    intermediate=14_336,
    kv_heads=8,
    context_tokens=32_768,
    rope_theta=1_000_000.0,
)
_QWEN_25_7B = ModelConfig(
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
_QWEN_3_8B = ModelConfig(
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
_PHI_3_MINI = ModelConfig(
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
_GEMMA_2_2B = ModelConfig(
    vocabulary=256_000,
    hidden=2304,
    intermediate=9216,
    layers=26,
    heads=8,
    kv_heads=4,
    head_dim=256,
    context_tokens=8192,
    norm_eps=1e-6,
    sandwich_norms=True,
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
_GPT_2 = ModelConfig(
    vocabulary=50_257,
    hidden=768,
    intermediate=3072,
    layers=12,
    heads=12,
    kv_heads=12,
    head_dim=64,
    context_tokens=1024,
    layer_norm=True,
    learned_positions=True,
    activation=Activation.GELU_TANH,
    gated_mlp=False,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    tied_embeddings=True,
    eos_token_ids=frozenset({50_256}),
    stored=StoredForm(names=TensorNames.GPT2),
)

PRESETS: dict[str, ModelConfig] = {
    "llama-3.1-8b": _LLAMA_31_8B,
    "llama-3.1-70b": replace(_LLAMA_31_8B, hidden=8192, intermediate=28_672, layers=80, heads=64),
    "llama-3.2-1b": _LLAMA_32_1B,
    "llama-3.2-3b": replace(_LLAMA_32_1B, hidden=3072, layers=28, heads=24, head_dim=128),
    "llama-2-7b": _LLAMA_2_7B,
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
    "qwen2.5-0.5b": replace(
        _QWEN_25_7B,
        vocabulary=151_936,
        hidden=896,
        intermediate=4864,
        layers=24,
        heads=14,
        kv_heads=2,
        head_dim=64,
        tied_embeddings=True,
    ),
    "qwen2.5-7b": _QWEN_25_7B,
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
    "gpt2": _GPT_2,
}
