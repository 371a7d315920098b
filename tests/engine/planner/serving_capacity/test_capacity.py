"""Serving capacity: sums by hand, runs that were measured, and what must hold for every server."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.hardware import find_gpu, known_gpus
from prodtop.engine.planner.explain.serving import explain_capacity
from prodtop.engine.planner.serving_capacity.capacity import (
    BATCHES,
    Capacity,
    capacity,
    matrix,
    speeds,
)
from prodtop.engine.planner.serving_capacity.memory import memory, token_bytes
from prodtop.engine.planner.serving_capacity.prices import (
    packaged_prices,
    parse_prices,
    usd_per_million,
)
from prodtop.engine.planner.serving_capacity.roofline import decode_roofline, touched_experts
from prodtop.engine.planner.serving_capacity.server import (
    Load,
    Server,
    parse_serving,
    server,
    serving_constants,
)
from prodtop.engine.planner.serving_capacity.step import decode_step
from prodtop.engine.planner.serving_capacity.storage import SERVING_PRECISIONS, storage_of
from prodtop.engine.shape.field_errors import FieldError
from prodtop.engine.shape.presets import PRESETS, preset
from term_checks import assert_terms_hold, named

H200 = find_gpu("h200")
LLAMA = preset("llama-3.1-8b")
LOAD = Load(requests=32, prompt_tokens=512, output_tokens=256)


def on(
    gpu: str = "h200", precision: str = "bf16", gpus: int = 1, model: str = "llama-3.1-8b"
) -> Server:
    return server(preset(model), find_gpu(gpu), gpus, precision)


def weight_bytes(served: Server) -> float:
    return memory(served, LOAD).weights


def test_weights_are_the_parameters_in_their_bytes() -> None:
    assert weight_bytes(on()) == 2 * LLAMA.parameters
    assert weight_bytes(on(precision="fp32")) == 4 * LLAMA.parameters


def test_quantization_packs_the_layers_and_leaves_embedding_and_head() -> None:
    """Llama-3.1-8B's layers have 6.98e9 matrix weights; int4 adds 4 bytes to each group of 64."""
    packed = 32 * (4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14_336)
    rest = LLAMA.parameters - packed
    assert weight_bytes(on(precision="int8")) == packed + 2 * rest
    assert weight_bytes(on(precision="int4")) == packed * (0.5 + 4 / 64) + 2 * rest


def test_the_cache_of_a_token_by_hand() -> None:
    """Keys and values of 8 heads of 128 in 32 layers: 131,072 bytes in bf16."""
    assert token_bytes(on()) == 2 * 32 * 8 * 128 * 2
    assert token_bytes(on(gpus=4)) == token_bytes(on()) / 4
    latent = on(model="deepseek-v3", precision="fp8", gpus=8)
    assert token_bytes(latent) == 61 * (512 + 64) * 2


def test_more_gpus_than_key_value_heads_hold_copies() -> None:
    """Qwen3-30B has 4 key-value heads: 8 GPUs hold each twice."""
    assert token_bytes(on(model="qwen3-30b-a3b", gpus=8)) == token_bytes(
        on(model="qwen3-30b-a3b", gpus=4)
    )


def test_one_request_reads_all_weights_but_the_embedding() -> None:
    """The ceiling of 286 tokens/s that a copy of 4.29 TB/s sets for the 8B shape in bf16."""
    bound = decode_roofline(on(), 1, 1)
    assert 4.29e12 / bound.weight_bytes == pytest.approx(286, rel=0.005)


def test_a_sliding_window_bounds_the_cache() -> None:
    """In gpt-oss every second layer keeps 128 tokens."""
    server_ = on(model="gpt-oss-20b")
    long, longer = (
        memory(server_, Load(prompt_tokens=n - 16, output_tokens=16)) for n in (8192, 16_384)
    )
    per_token = token_bytes(server_)
    assert longer.sequence - long.sequence == pytest.approx(8192 * per_token / 2)


@pytest.mark.parametrize(
    ("model", "precision", "batch", "prompt", "measured"),
    [
        ("llama-3.1-8b", "bf16", 1, 128, 200.1),
        ("llama-3.1-8b", "fp8", 1, 128, 282.9),
        ("qwen3-0.6b", "bf16", 1, 128, 524.5),
    ],
)
def test_one_request_decodes_as_fast_as_it_was_measured(
    model: str, precision: str, batch: int, prompt: int, measured: float
) -> None:
    """vLLM 0.20.0 on one H200; its figure includes the prompt, 2 % of the time."""
    step = decode_step(on(model=model, precision=precision), batch, prompt + 128)
    assert batch / step.total_s == pytest.approx(measured, rel=0.08)


@pytest.mark.parametrize(
    ("precision", "requests", "measured"),
    [("bf16", 64, 9112), ("bf16", 256, 17_780), ("fp8", 64, 12_465), ("fp8", 256, 22_666)],
)
def test_throughput_is_as_it_was_measured(precision: str, requests: int, measured: float) -> None:
    """The same, 64 and 256 requests of 128 prompt and 256 output tokens."""
    load = Load(requests=requests, prompt_tokens=128, output_tokens=256)
    result = capacity(on(precision=precision), load)
    assert result.tokens_s == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(
    ("model", "gpus", "measured"),
    [
        ("llama-2-7b", 1, 104.9),
        ("llama-2-7b", 2, 168.84),
        ("llama-2-7b", 4, 254.02),
        ("llama-2-7b", 8, 328.43),
        ("llama-2-70b", 2, 21.32),
        ("llama-2-70b", 4, 38.01),
        ("llama-2-70b", 8, 62.50),
    ],
)
def test_tensor_parallel_decoding_is_as_it_was_published(
    model: str, gpus: int, measured: float
) -> None:
    """gpt-fast's README: A100-80GB, bf16, a prompt of 5 tokens, 200 generated."""
    step = decode_step(on("a100-80", gpus=gpus, model=model), 1, 105)
    assert 1 / step.total_s == pytest.approx(measured, rel=0.08)


@pytest.mark.parametrize(("gpus", "measured"), [(2, 78.75), (4, 118.23), (8, 203.69)])
def test_a_mixture_decodes_about_as_fast_as_it_was_published(gpus: int, measured: float) -> None:
    """gpt-fast's Mixtral 8x7B in bf16, on the same machine."""
    step = decode_step(on("a100-80", gpus=gpus, model="mixtral-8x7b"), 1, 105)
    assert 1 / step.total_s == pytest.approx(measured, rel=0.15)


def test_all_experts_are_met_by_a_large_batch_and_few_by_one_token() -> None:
    moe = on(model="qwen3-30b-a3b")
    assert touched_experts(moe, 1) == pytest.approx(8)
    assert touched_experts(moe, 1000) == pytest.approx(128)


def test_direct_links_reduce_small_tensors_in_one_shot() -> None:
    layers = LLAMA.layers
    fast, slow = on("h200", gpus=8), on("l40s", gpus=8)
    one_shot = serving_constants().engine.all_reduce_s
    assert decode_step(fast, 1, 1).communication_s == pytest.approx(2 * layers * one_shot, rel=0.05)
    slower, faster, alone = (decode_step(each, 64, 1) for each in (slow, fast, on()))
    assert slower.communication_s > faster.communication_s
    assert alone.communication_s == 0


def test_what_does_not_fit_has_no_speed() -> None:
    result = capacity(on("rtx4090", model="llama-3.1-70b"), LOAD, packaged_prices()["rtx4090"])
    assert not result.fits
    assert result.batch == 0
    assert result.tokens_s is None
    assert result.usd_per_million_output is None


@pytest.mark.parametrize(
    ("gpu", "precision", "gpus", "model", "reason"),
    [
        ("a100-80", "fp8", 1, "llama-3.1-8b", "no fp8 units"),
        ("v100", "bf16", 1, "llama-3.1-8b", "no bf16 tensor cores"),
        ("h200", "bf16", 16, "llama-3.1-8b", "a node of 8"),
        ("h200", "bf16", 3, "llama-3.1-8b", "32 heads cannot be split by 3"),
        ("h200", "bf15", 1, "llama-3.1-8b", "unknown precision"),
        ("h200", "bf16", 0, "llama-3.1-8b", "positive whole number"),
    ],
)
def test_an_impossible_server_is_refused(
    gpu: str, precision: str, gpus: int, model: str, reason: str
) -> None:
    with pytest.raises(FieldError, match=reason):
        on(gpu, precision, gpus, model)


@pytest.mark.parametrize("field", ["requests", "prompt_tokens", "output_tokens"])
def test_a_load_without_tokens_is_refused(field: str) -> None:
    with pytest.raises(FieldError):
        replace(LOAD, **{field: 0})  # type: ignore[arg-type]  # fields that are numbers


def test_the_matrix_takes_the_fewest_gpus_that_hold_the_load() -> None:
    cells = matrix(preset("llama-3.1-70b"), [H200, find_gpu("rtx4090")], ["bf16", "int4"], LOAD)
    counts = {(cell.gpu.key, cell.precision): cell.gpus for cell in cells}
    assert counts == {
        ("h200", "bf16"): 2,
        ("h200", "int4"): 1,
        ("rtx4090", "bf16"): 8,
        ("rtx4090", "int4"): 4,
    }


def test_the_matrix_says_why_a_cell_is_empty() -> None:
    cells = matrix(preset("llama-3.1-405b"), [find_gpu("l40s")], ["bf16"], LOAD)
    assert cells[0].result is None
    assert cells[0].reason is not None
    assert "usable" in cells[0].reason


def test_the_price_of_a_token() -> None:
    """3.6 dollars an hour are a thousandth a second."""
    assert usd_per_million(3.6, 1000) == pytest.approx(1.0)
    result = capacity(on(), LOAD, packaged_prices()["h200"])
    assert result.tokens_s is not None
    each = result.usd_per_million_output
    assert each is not None
    assert each == pytest.approx(4.59 / 3.6e-3 / result.tokens_s)
    assert result.usd_per_million_total == pytest.approx(each / 3)


def test_every_price_is_of_a_known_gpu_and_says_where_it_is_from() -> None:
    for key, price in packaged_prices().items():
        assert key in known_gpus()
        assert price.source


@pytest.mark.parametrize(
    "text", ["[h200", "[h200]\nusd_per_hour = -1\ndate = 2026-01-01\nsource = 'x'", "[h200]\n"]
)
def test_a_broken_price_list_is_one_error(text: str) -> None:
    with pytest.raises(FieldError, match=r"mine\.toml"):
        parse_prices(text, "mine.toml")


@pytest.mark.parametrize("text", ["[engine", "", "[engine]\nwave = 'much'"])
def test_broken_constants_are_one_error(text: str) -> None:
    with pytest.raises(FieldError, match=r"mine\.toml"):
        parse_serving(text, "mine.toml")


@st.composite
def capacities(draw: st.DrawFn) -> Capacity:
    model = draw(st.sampled_from(list(PRESETS.values())))
    gpu = draw(st.sampled_from(list(known_gpus().values())))
    precision = draw(st.sampled_from(SERVING_PRECISIONS))
    load = Load(
        requests=draw(st.integers(1, 2048)),
        prompt_tokens=draw(st.integers(1, 100_000)),
        output_tokens=draw(st.integers(1, 10_000)),
    )
    for gpus in draw(st.permutations((1, 2, 4, 8))):
        try:
            made = server(model, gpu, gpus, storage_of(precision, fp8_cache=draw(st.booleans())))
        except FieldError:
            continue
        return capacity(made, load, packaged_prices().get(gpu.key))
    return capacity(on(), load)


@settings(deadline=None, max_examples=60)
@given(capacities())
def test_nothing_beats_the_roofline(result: Capacity) -> None:
    """Up to what reading gains over the copy that the bandwidth's share was measured by."""
    for at in speeds(result):
        assert at.tokens_s <= at.roofline_tokens_s


@settings(deadline=None, max_examples=60)
@given(capacities())
def test_larger_batches_are_slower_per_request_and_faster_in_all(result: Capacity) -> None:
    rows = speeds(result)
    assert [row.batch for row in rows] == list(BATCHES)
    for small, large in pairwise(rows):
        assert large.step.total_s >= small.step.total_s
        assert large.tokens_s >= small.tokens_s * 0.99
        assert small.fits or not large.fits


@settings(deadline=None, max_examples=60)
@given(capacities())
def test_the_largest_batch_fills_the_memory_and_no_more(result: Capacity) -> None:
    held = result.memory
    if result.fits:
        assert held.used(held.largest_batch) <= held.usable
    assert held.used(held.largest_batch + 1) > held.usable


@settings(deadline=None, max_examples=60)
@given(capacities())
def test_every_figure_can_be_worked_out_again(result: Capacity) -> None:
    tree = explain_capacity(result)
    assert_terms_hold(tree)
    used = named("memory per GPU", tree)
    assert used.value == pytest.approx(result.memory.used(result.batch))
    assert sum(part.value for part in used.parts) == pytest.approx(used.value)
    for name in ("TTFT", "decode step") if result.running is not None else ("TTFT",):
        step = named(name, tree)
        assert sum(part.value for part in step.parts) == pytest.approx(step.value)


def test_constants_are_in_reach_of_what_they_stand_for() -> None:
    constants = serving_constants()
    assert all(0 < share <= 1 for share in constants.copy.values())
    read = constants.engine.kv_share * max(constants.copy.values())
    assert read <= 1, "faster than the memory"
