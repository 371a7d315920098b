"""What sources' words mean: networks in bytes per second of a GPU, frameworks, FLOPs, offloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_scoring.row_words import guess_software, network_bytes_s, stated_month
from planner_scoring.rows import Run, parse_run
from prodtop.engine.planner.cost.calibration import default_constants


@pytest.mark.parametrize(
    ("words", "bytes_s"),
    [
        ("NVLink in node; RDMA 400Gb/s per GPU", 50e9),
        ("NVLink 600GB/s; 8x HDR200 IB per node", 25e9),
        ("NVLink 600GB/s; HDR IB", 25e9),
        ("RoCE 1600Gbps per node", 25e9),
        ("8x400Gb/s NDR IB per node", 50e9),
        ("EFA 400 Gbps per node", 6.25e9),
        ("3.2Tbps per server", 50e9),
        ("25 GB/s per GPU", 25e9),
        ("100 Gb/s Ethernet", 12.5e9 / 8),
        ("NVLink (single node)", None),
        ("xGMI 896 GB/s", None),
        ("", None),
    ],
)
def test_what_sources_write(words: str, bytes_s: float | None) -> None:
    found = network_bytes_s(words, 8)
    assert found == (None if bytes_s is None else pytest.approx(bytes_s))


@given(st.text(), st.integers(1, 72))
def test_any_words_give_a_rate_or_nothing(words: str, node_gpus: int) -> None:
    found = network_bytes_s(words, node_gpus)
    assert found is None or found > 0


@pytest.mark.parametrize(
    ("text", "software"),
    [
        ("vTrain ground truth (Megatron-DeepSpeed)", "megatron-deepspeed"),
        ("Narayanan et al. 2021 (SC21) Table 1", "megatron-2021"),
        ("llm-foundry MPT benchmark", "fsdp-2023"),
        ("torchtitan 2024-12", "torch"),
        ("Megatron-Bridge perf summary", "megatron-bridge"),
        ("NeMo 24.07 perf summary", "nemo"),
        ("nanotron benchmark", "nanotron"),
        ("somebody's own trainer", "torch"),
    ],
)
def test_a_description_suggests_its_software(text: str, software: str) -> None:
    assert guess_software(text) == software


def test_the_time_before_flash_attention() -> None:
    assert guess_software("NVIDIA Megatron", half=True) == "megatron-2021"
    assert guess_software("Megatron 2021 with ZeRO-3", half=True, zero=3) != "megatron-2021"
    assert guess_software("torchtitan", compiled=True) == "torch-compile"


@pytest.mark.parametrize(
    ("words", "notes", "month"),
    [
        ("NeMo 24.07 perf summary", "", "2024-07"),
        ("Answer.AI benchmarks 2024-03", "", "2024-03"),
        ("MLPerf Training v5.0 Llama-3.1-405B", "", "2025-06"),
        ("Megatron-Bridge perf summary", "26.02.01 nemo container", "2026-02"),
        ("Smith et al. 2022", "", "2022-06"),
        ("XTuner speed benchmark", "8 a100", None),
    ],
)
def test_a_source_says_its_month(words: str, notes: str, month: str | None) -> None:
    assert stated_month(words, notes) == month


def run_of(**change: str) -> Run:
    row = {"model": "llama-3.1-8b", "seq": "8192", "gpu": "H100 SXM 80GB", "num_gpus": "8"}
    row |= {"zero_stage": "3", "micro_bs": "1", "global_bs": "8", "tokens_per_s_per_gpu": "5000"}
    return parse_run(
        {**row, "recompute": "none", "precision": "bf16", **change}, default_constants()
    )


@pytest.mark.parametrize(
    ("software", "attention"),
    [("Megatron-Core 2025-08", 0.5), ("Megatron-Core 2024-06", 1.0), ("torchtitan 2025-08", 1.0)],
)
def test_flops_count_the_attention_as_the_framework_prints_it(
    software: str, attention: float
) -> None:
    change = {"tokens_per_s_per_gpu": "", "achieved_tflops_per_gpu": "400", "zero_stage": "1"}
    run = run_of(source=software, **change)
    model = run.setting.model
    whole = model.flops_per_token(8192, causal=False)
    half = model.flops_per_token(8192, causal=True)
    flops = whole if attention == 1 else half
    assert run.tokens_s_gpu == pytest.approx(400e12 / flops, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "notes", "offload"),
    [
        ("FSDP", "offload_activations=1 (activations to the CPU)", "activations"),
        ("axolotl", "gradient checkpointing with CPU offload", "activations"),
        ("FSDP", "CPU offload True", "all"),
        ("FSDP", "CPU offload False", "none"),
        ("Megatron-Core 2025-08", "activation offloading", "none"),
    ],
)
def test_offloading_by_its_words(source: str, notes: str, offload: str) -> None:
    assert run_of(source=source, notes=notes).layout.offload == offload


def test_a_variant_that_is_not_stated_is_a_guess() -> None:
    plain = run_of(source="FSDP")
    open_one = run_of(source="torchao tables", notes="torchtitan; H100 variant not stated")
    assert plain.setting.cluster.gpu.key == "h100-sxm"
    assert open_one.setting.cluster.gpu.key == "h100-sxm-96"
    assert any("power limit" in guess for guess in open_one.assumed)


def test_megatrons_own_sharding_has_a_profile() -> None:
    run = run_of(source="Megatron-Core 2025-08", zero_stage="3 (Megatron-FSDP)")
    assert run.setting.software.name == "megatron-fsdp"
