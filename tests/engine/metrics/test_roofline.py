"""The formulas against figures worked out by hand for Llama-3.1-8B."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.roofline import (
    attended_positions,
    fraction_of_ceiling,
    step_bytes,
    step_flops,
)
from prodtop.engine.shape.presets import PRESETS

LLAMA_8B = PRESETS["llama-3.1-8b"]
GPT_2 = PRESETS["gpt2"]

# A layer: q and o 4096², k and v 4096·1024, gate, up and down 4096·14336.
LAYER_PARAMETERS = 2 * 16_777_216 + 2 * 4_194_304 + 3 * 58_720_256
HEAD_PARAMETERS = 525_336_576


def test_matmul_parameters_of_an_8b() -> None:
    assert LLAMA_8B.matmul_parameters == 32 * LAYER_PARAMETERS == 6_979_321_856
    assert LLAMA_8B.head_weights == HEAD_PARAMETERS
    # With the embedding and the 65 norms these are all 8,030,261,248 parameters of the model.
    rest = HEAD_PARAMETERS + 65 * 4096
    assert 6_979_321_856 + HEAD_PARAMETERS + rest == 8_030_261_248


def test_keys_and_values_of_one_token_take_128_kib_in_bf16() -> None:
    assert 2 * LLAMA_8B.kv_elements_per_token == 128 * 1024


def test_one_decoded_token_at_context_1000() -> None:
    # Attention: 4 · 32 layers · 4096 wide = 524,288 FLOPs for each position looked at.
    expected = 2 * 6_979_321_856 + 2 * HEAD_PARAMETERS + 524_288 * 1000
    assert step_flops(LLAMA_8B, tokens=1, attended=1000, logit_rows=1) == expected
    assert expected == 15_533_604_864


def test_a_plain_mlp_has_two_matrices() -> None:
    """GPT-2: 12 layers of 4 · 768² in attention and 8 · 768² in the MLP, and a head of 50,257."""
    expected = 2 * (12 * 12 * 768**2 + 768 * 50_257) + 4 * 12 * 768 * 100
    assert step_flops(GPT_2, tokens=1, attended=100, logit_rows=1) == expected


def test_a_prefill_computes_logits_for_its_last_token_alone() -> None:
    attended = attended_positions(0, 128)
    assert attended == 128 * 129 // 2
    found = step_flops(LLAMA_8B, tokens=128, attended=attended, logit_rows=1)
    assert found == 128 * 13_958_643_712 + 524_288 * 8256 + 1_050_673_152


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 50))
def test_attended_positions_are_those_of_a_causal_mask(start: int, count: int) -> None:
    looked_at = sum(position + 1 for position in range(start, start + count))
    assert attended_positions(start, count) == looked_at


def test_the_ceiling_of_an_8b_at_one_request_on_an_h200() -> None:
    """286 tokens per second: 15 GB of weights over the measured 4.29 TB/s, little KV."""
    weight_bytes = 2 * (6_979_321_856 + HEAD_PARAMETERS)
    read = step_bytes(weight_bytes, 2 * LLAMA_8B.kv_elements_per_token, 256)
    assert read == weight_bytes + 256 * 131_072
    assert fraction_of_ceiling(200.1 * read, 4.29e12) == pytest.approx(0.70, abs=0.005)


@pytest.mark.parametrize("ceiling", [None, 0.0])
def test_without_a_ceiling_there_is_no_fraction(ceiling: float | None) -> None:
    assert fraction_of_ceiling(1e12, ceiling) is None
