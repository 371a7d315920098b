"""The hardware data: units, the user's own file, and names as people write them."""

from contextlib import suppress
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.calibration import (
    default_constants,
    parse_constants,
)
from prodtop.engine.planner.cost.gpu_names import find_name
from prodtop.engine.planner.cost.hardware import Gpu, find_gpu, known_gpus, load_gpus, parse_gpus
from prodtop.engine.shape.field_errors import FieldError

MINE = """
[mine]
name = "Mine"
memory_bytes = 1e10
sms = 10
hbm_bytes_s = 1e12
link_bytes_s = 1e11
node_gpus = 4
network_bytes_s = 1e10
power_w = 100
peak = { bf16 = 1e14 }
"""


@pytest.mark.parametrize("gpu", known_gpus().values(), ids=known_gpus())
def test_figures_are_bytes_and_seconds(gpu: Gpu) -> None:
    """A network of 400 Gb/s is 5e10 bytes/s; a link counts one direction; all have a source."""
    assert 1e9 <= gpu.network_bytes_s <= 1e11
    assert gpu.network_bytes_s <= gpu.link_bytes_s <= 9e11
    assert 1e10 < gpu.memory_bytes < 1e12
    assert 2.9e11 < gpu.hbm_bytes_s < 1e13
    assert gpu.source
    assert gpu.names


@pytest.mark.parametrize("key", known_gpus())
def test_every_gpu_says_what_it_reaches(key: str) -> None:
    """None gets an H100's constants for want of its own."""
    assert key in default_constants().gpus


@pytest.mark.parametrize(
    ("key", "gib"),
    [
        ("h100-sxm", 79.65),
        ("h200", 140.40),
        ("b200", 179.06),
        ("b300", 268.6),
        ("gb200", 185.03),
        ("gb300", 277.5),
        ("l40s", 45.0),
        ("h100-nvl", 93.58),
        ("gh200", 95.58),
        ("l4", 22.49),
        ("a10g", 22.49),
        ("rtx5090", 31.84),
        ("mi300x", 191.98),
    ],
)
def test_memory_is_what_the_driver_reports(key: str, gib: float) -> None:
    assert known_gpus()[key].memory_bytes / 2**30 == pytest.approx(gib, abs=0.06)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("H100 SXM 80GB (DGX-H100)", "h100-sxm"),
        ("H100 SXM 96GB HBM2e (2.4TB/s, 500W cap)", "h100-sxm-96"),
        ("A100 SXM 40GB", "a100-40"),
        ("A100 SXM", "a100-80"),
        ("DGX-GB200", "gb200"),
        ("NVIDIA B200", "b200"),
        ("MI300X", "mi300x"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("h100-nvl", "h100-nvl"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("h100 96", "h100-sxm-96"),
        ("H200 NVL 141GB (PCIe)", "h200-nvl"),
        ("NVIDIA A100-SXM4-80GB", "a100-80"),
        ("A100 SXM 80GB (NDm A100 v4)", "a100-80"),
        ("NVIDIA B300 SXM6 AC", "b300"),
        ("l40", "l40"),
        ("NVIDIA L40S", "l40s"),
        ("gh200", "gh200"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("v100 16gb", "v100-16"),
        ("Tesla V100-SXM2-32GB", "v100"),
        ("H800", "h800"),
        ("A800 80 GB", "a800"),
        ("NVIDIA H20", "h20"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA RTX A6000", "a6000"),
        ("RTX 3090 24GB (280 W)", "rtx3090"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-server"),
        ("AMD Instinct MI300X OAM", "mi300x"),
        ("MI355X", "mi355x"),
        ("TPU v5p", "tpu-v5p"),
        ("Trillium v6e", "tpu-v6e"),
    ],
)
def test_a_gpu_is_found_however_it_is_written(written: str, key: str) -> None:
    assert find_gpu(written).key == key


@pytest.mark.parametrize("gpu", known_gpus().values(), ids=known_gpus())
def test_a_gpu_is_found_by_its_key_as_words_and_by_all_its_names(gpu: Gpu) -> None:
    """Every way to leave out what may be missing means this GPU and no other."""
    words = gpu.names.split()
    needed = [word for word in words if not word.endswith("?")]
    optional = [word.removesuffix("?") for word in words if word.endswith("?")]
    for count in range(len(optional) + 1):
        for some in combinations(optional, count):
            if needed or some:
                meant = [key for key, one in known_gpus().items() if means(one, *needed, *some)]
                assert meant == ([gpu.key] if needed else []), (needed, some)
    assert find_gpu(gpu.key.replace("-", " ").upper()).key == gpu.key


def means(gpu: Gpu, *words: str) -> bool:
    return find_name(" ".join(words), {gpu.key: gpu.names}) == gpu.key


@pytest.mark.parametrize(
    ("variant", "near"),
    [
        ("a100 pcie", "a100-40, a100-80"),
        ("NVIDIA A100 80GB PCIe", "a100-80"),
        ("GH200 144G HBM3e", "gh200"),
        ("rtx 4090 laptop", "rtx4090"),
        ("RTX 4090 D", "rtx4090"),
        ("RTX A6000 Ada 48GB", "a6000"),
        ("v100 pcie", "v100"),
        ("h100 80gb nvl", "h100-nvl"),
        ("H20-3e", "h20"),
        ("mi300a", "mi300x"),
        ("TPU v5", "tpu-v5e, tpu-v5p"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtx-pro-6000"),
    ],
)
def test_a_variant_without_figures_is_refused_with_the_nearest(variant: str, near: str) -> None:
    with pytest.raises(FieldError) as caught:
        find_gpu(variant)
    assert caught.value.field == "gpu"
    assert f"nearest are {near}" in caught.value.reason


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_other_name_is_refused_in_one_short_line(name: str) -> None:
    with suppress(FieldError):
        assert find_gpu(name).key
        return
    with pytest.raises(FieldError) as caught:
        find_gpu(name)
    assert str(caught.value).isprintable()


def test_the_users_own_gpu_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "gpus.toml"
    path.write_text(MINE)
    assert find_gpu("mine", load_gpus(path)).node_gpus == 4
    with pytest.raises(FieldError, match="cannot be read"):
        load_gpus(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("memory_bytes = 1e10", "memory_bytes = -1"), "mine.memory_bytes"),
        (("sms = 10", "sms = 10.5"), "mine.sms"),
        (("node_gpus = 4", ""), "mine.node_gpus"),
        (("hbm_bytes_s = 1e12", "hbm_bytes_s = nan"), "mine.hbm_bytes_s"),
        (("bf16", "bf15"), "mine.peak"),
        (("1e14", '"fast"'), "mine.peak.bf16"),
        (("[mine]", "[mine"), "hardware file"),
        (("sms = 10", 'sms = 10\nlike = "yours"'), "mine.like"),
        (("sms = 10", "sms = 10\nlike = []"), "mine.like"),
    ],
)
def test_a_broken_file_names_its_field(change: tuple[str, str], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_gpus(MINE.replace(*change), "mine.toml")
    assert caught.value.field == field


FIGURES = [line for line in MINE.splitlines() if "=" in line and '"' not in line]
ABSURD = ["1e308", "1e-308", "inf", "nan", "-1", "0", "9" * 400, "9" * 4000, "9" * 100_000, "[]"]


@pytest.mark.parametrize("absurd", ABSURD, ids=lambda text: text[:8])
@pytest.mark.parametrize("line", FIGURES, ids=lambda line: line.split()[0])
def test_figures_that_no_gpu_has_are_one_short_line(line: str, absurd: str) -> None:
    value = line.rpartition("=")[2].strip(" }")
    with pytest.raises(FieldError) as caught:
        parse_gpus(MINE.replace(line, line.replace(value, absurd)), "mine.toml")
    assert "mine.toml" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_crashes_the_readers(text: str) -> None:
    for read in (parse_gpus, parse_constants):
        with suppress(FieldError):
            read(text, "fuzz")


def test_every_efficiency_is_a_fraction() -> None:
    for key, measured in default_constants().gpus.items():
        for name, value in vars(measured).items():
            if not name.endswith("_s") and name != "gemm_wave":
                assert 0 < value <= 1, f"{key}.{name}"


def test_a_table_that_is_like_another_states_what_differs() -> None:
    twice = f'{MINE}\n[yours]\nlike = "mine"\nsms = 20\npeak = {{ fp16 = 2e14 }}\n'
    mine, yours = parse_gpus(twice, "mine.toml").values()
    assert (mine.sms, yours.sms) == (10, 20)
    assert yours.memory_bytes == mine.memory_bytes
    assert (yours.bf16_flops, yours.fp16_flops) == (0.0, 2e14)
