"""Model shapes known by name, for dummy weights and for planning before a download.

Figures are those of each model's published `config.json`.
"""

from .config import Llama3Scaling, ModelConfig

_LLAMA3_SCALING = Llama3Scaling(
    factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context_tokens=8192
)

PRESETS: dict[str, ModelConfig] = {
    "llama-3.1-8b": ModelConfig(
        vocabulary=128_256,
        hidden=4096,
        intermediate=14_336,
        layers=32,
        heads=32,
        kv_heads=8,
        head_dim=128,
        context_tokens=131_072,
        rope_theta=500_000.0,
        rope_scaling=_LLAMA3_SCALING,
        eos_token_ids=frozenset({128_001, 128_008, 128_009}),
    ),
    "llama-3.2-1b": ModelConfig(
        vocabulary=128_256,
        hidden=2048,
        intermediate=8192,
        layers=16,
        heads=32,
        kv_heads=8,
        head_dim=64,
        context_tokens=131_072,
        rope_theta=500_000.0,
        rope_scaling=Llama3Scaling(
            factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context_tokens=8192
        ),
        tied_embeddings=True,
        eos_token_ids=frozenset({128_001, 128_008, 128_009}),
    ),
    "llama-2-7b": ModelConfig(
        vocabulary=32_000,
        hidden=4096,
        intermediate=11_008,
        layers=32,
        heads=32,
        kv_heads=32,
        head_dim=128,
        context_tokens=4096,
        eos_token_ids=frozenset({2}),
    ),
    "tinyllama-1.1b": ModelConfig(
        vocabulary=32_000,
        hidden=2048,
        intermediate=5632,
        layers=22,
        heads=32,
        kv_heads=4,
        head_dim=64,
        context_tokens=2048,
        eos_token_ids=frozenset({2}),
    ),
}
