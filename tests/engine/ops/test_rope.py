"""Rotary positions against the definition, in numpy, and against transformers' frequencies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import LLAMA3_ROPE, TinyShape, make_peer
from prodtop.engine.ops.rope import RotaryTable, inverse_frequencies
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Llama3Scaling
from prodtop.engine.shape.presets import PRESETS

CPU = torch.device("cpu")
CONFIG = ModelShape(
    vocabulary=8,
    hidden=32,
    intermediate=16,
    layers=1,
    heads=4,
    kv_heads=2,
    head_dim=16,
    context_tokens=64,
    rope_theta=500.0,
)
LLAMA3_SCALING = Llama3Scaling(8.0, 1.0, 4.0, 32)


def rows(count: int) -> torch.Tensor:
    """A fused projection `[rows, heads + 2 kv_heads, head_dim]`."""
    shape = count, CONFIG.heads + 2 * CONFIG.kv_heads, CONFIG.head_dim
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_every_pair_is_rotated_by_its_frequency_times_its_position() -> None:
    positions = torch.tensor([0, 1, 7, 63])
    qkv = rows(4)
    table = RotaryTable(CONFIG, 64, CPU, torch.float32)
    rotated = table.rotate(qkv, *table.at(positions)).numpy()
    frequencies = 500.0 ** (-np.arange(8) / 8)
    phases = np.exp(1j * positions.numpy()[:, None] * frequencies)[:, None]
    before, after = qkv.numpy(), rotated
    heads = CONFIG.heads + CONFIG.kv_heads
    # The two halves of a head are the real and the imaginary parts of its pairs.
    expected = (before[:, :heads, :8] + 1j * before[:, :heads, 8:]) * phases
    np.testing.assert_allclose(after[:, :heads, :8], expected.real, atol=1e-5)
    np.testing.assert_allclose(after[:, :heads, 8:], expected.imag, atol=1e-5)
    assert (after[:, heads:] == before[:, heads:]).all(), "values pass through bit for bit"


def test_scores_depend_on_the_distance_alone() -> None:
    table = RotaryTable(CONFIG, 64, CPU, torch.float32)
    both = rows(1).expand(2, -1, -1)

    def score(query: int, key: int) -> float:
        rotated = table.rotate(both, *table.at(torch.tensor([query, key])))
        return float(rotated[0, 0] @ rotated[1, CONFIG.heads])

    assert score(20, 13) == pytest.approx(score(50, 43), abs=1e-4)
    assert score(20, 13) != pytest.approx(score(20, 12), abs=1e-3)


@pytest.mark.parametrize("scaling", [None, LLAMA3_SCALING])
def test_frequencies_are_those_of_transformers(scaling: Llama3Scaling | None) -> None:
    rope = {"rope_type": "default", "rope_theta": 500.0} if scaling is None else LLAMA3_ROPE
    peer = make_peer(TinyShape(rope=rope, layers=1))
    ours = inverse_frequencies(replace(CONFIG, rope_scaling=scaling))
    torch.testing.assert_close(ours, peer.model.rotary_emb.inv_freq, rtol=1e-6, atol=0)


def test_llama3_scaling_keeps_short_waves_stretches_long_ones_and_blends_between() -> None:
    config = PRESETS["llama-3.1-8b"]
    scaled = inverse_frequencies(config)
    plain = inverse_frequencies(replace(config, rope_scaling=None))
    shrunk = (plain / scaled).numpy()
    waves = 2 * np.pi / plain.numpy()
    assert shrunk[waves < 8192 / 4] == pytest.approx(1.0)
    assert shrunk[waves > 8192] == pytest.approx(8.0)
    between = shrunk[(waves >= 8192 / 4) & (waves <= 8192)]
    assert between.size > 0
    assert ((between > 1) & (between < 8)).all()
    assert (np.diff(shrunk) >= -1e-5).all()
