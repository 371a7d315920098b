"""`prodtop plan calibrate`: what it prints of a calibration, and that it really measures."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from prodtop.engine.planner.calibrate.constants import Line, Measured, Products
from prodtop.engine.planner.calibrate.runner import Calibrated
from prodtop.engine.planner.calibrate.samples import DeviceSample, SkippedSample
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.cost.hardware import find_gpu
from prodtop.tui.commands.main import run
from prodtop.tui.commands.plan_calibrate import as_object, lines

MEASURED = Measured(
    device=DeviceSample(
        name="NVIDIA H200", type="cuda", devices=2, memory_bytes=10, sms=132, torch="2.11"
    ),
    date=datetime.date(2026, 11, 23),
    products={"bf16": Products(flops_s=7e14, wave=0.5, error=0.01)},
    copy=Line(fixed_s=3e-6, rate=4.29e12, error=0.02),
    links={"all_reduce": Line(fixed_s=4e-6, rate=3.6e11, error=0.03)},
    ring=Line(fixed_s=4e-6, rate=3.6e11, error=0.03),
    ranks=2,
    skipped=(SkippedSample(what="fp8", reason="none here"),),
)
H200 = find_gpu("h200")
KNOWN = Calibrated(
    measured=MEASURED, gpu=H200, calibration=default_constants().gpu("h200"), path=Path("kept.toml")
)
CPU = Calibrated(
    measured=replace(MEASURED, device=msgspec.structs.replace(MEASURED.device, type="cpu")),
    gpu=None,
    calibration=None,
    path=Path("kept.toml"),
)
UNKNOWN = Calibrated(measured=MEASURED, gpu=None, calibration=None, path=Path("kept.toml"))


def test_people_read_rates_and_what_becomes_of_them() -> None:
    text = "\n".join(lines(KNOWN))
    for words in (
        "bf16 products: 700.00 TFLOP/s (1.0% off)",
        "copy: 4,290.0 GB/s",
        "all-reduce on 2: 4.0 µs a step, 360.00 GB/s",
        "fp8 skipped: none here",
        "plans for H200 SXM 141GB use this",
        "kept in kept.toml",
    ):
        assert words in text
    assert "plans do not use them" not in text
    assert "plans do not use it" in "\n".join(lines(UNKNOWN))
    assert "a CPU: kept apart" in "\n".join(lines(CPU))


def test_scripts_read_the_constants() -> None:
    found = as_object(KNOWN)
    assert found["gpu"] == "h200"
    assert found["links"] == {"all_reduce": {"latency_s": 4e-6, "bytes_s": 3.6e11, "error": 0.03}}
    assert as_object(UNKNOWN)["constants"] is None


def test_it_measures_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without ranks that talk: those are measured where the runner is tested."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert run(["plan", "calibrate", "--device", "cpu", "--ranks", "1", "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert found["copy"]["bytes_s"] > 0
    assert found["links"] == {}
    assert Path(found["file"]).is_file()
    assert "TFLOP/s" in output.err, "progress, line by line"


def test_an_unknown_gpu_type_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "calibrate", "--gpu", "tpu"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
