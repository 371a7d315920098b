"""The hardware data: units, the user's own file, and names as people write them."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.calibration import (
    default_constants,
    parse_constants,
)
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
    assert 5e11 < gpu.hbm_bytes_s < 1e13
    assert gpu.source


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
    ],
)
def test_a_gpu_is_found_however_it_is_written(written: str, key: str) -> None:
    assert find_gpu(written).key == key


def test_an_unknown_gpu_names_the_known_ones() -> None:
    with pytest.raises(FieldError, match="h100-sxm") as caught:
        find_gpu("TPU v5")
    assert caught.value.field == "gpu"


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
