"""Networks as sources describe them, in bytes per second and GPU of a node of eight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_scoring.row_words import guess_software, network_bytes_s, stated_month


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
