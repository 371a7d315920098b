"""The file of calibrations: what is kept comes back, beside what was there."""

import datetime
import stat
import tomllib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.calibrate.constants import Line, Measured, Products
from prodtop.engine.planner.calibrate.samples import DeviceSample
from prodtop.engine.planner.calibrate.saved import load_saved, save
from prodtop.engine.planner.cost import calibration
from prodtop.engine.planner.cost.calibration import constants_from, default_constants
from prodtop.engine.shape.field_errors import FieldError

PACKAGED = Path(calibration.__file__).with_suffix(".toml")
LINE = Line(fixed_s=3e-6, rate=3.5e11, error=0.02)
MEASURED = Measured(
    device=DeviceSample(
        name='NVIDIA "H200"\n', type="cuda", devices=8, memory_bytes=10, sms=132, torch="2.11"
    ),
    date=datetime.date(2026, 11, 23),
    products={"bf16": Products(flops_s=7e14, wave=0.5, error=0.01)},
    copy=LINE,
    links={"all_reduce": LINE},
    ring=LINE,
    ranks=8,
    skipped=(),
)
CONSTANTS = replace(default_constants().gpu("h200"), hbm=0.9, link=0.81)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = save(MEASURED, "h200", CONSTANTS, tmp_path / "new" / "calibration.toml")
    saved = load_saved(path)
    assert saved.calibrations == {"h200": CONSTANTS}
    assert "2026-11-23" in saved.origin("h200")
    assert "packaged" in saved.origin("a100-80")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_has_the_form_of_the_packaged_constants(tmp_path: Path) -> None:
    path = save(MEASURED, "h200", CONSTANTS, tmp_path / "calibration.toml")
    mine = tomllib.loads(path.read_text(encoding="utf-8"))
    packaged = tomllib.loads(PACKAGED.read_text(encoding="utf-8"))
    merged = {**packaged, "gpu": {**packaged["gpu"], **mine["gpu"]}}
    assert constants_from(merged, "merged").gpu("h200") == CONSTANTS
    links = mine["links"]["h200"]["all_reduce"]
    assert (links["latency_s"], links["bytes_s"]) == (LINE.fixed_s, LINE.rate)


def test_another_gpu_is_kept_beside_the_first(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    save(MEASURED, "h200", CONSTANTS, path)
    save(MEASURED, "cpu", None, path)
    newer = replace(CONSTANTS, hbm=0.7)
    save(MEASURED, "h200", newer, path)
    save(MEASURED, "a100-80", CONSTANTS, path)
    assert load_saved(path).calibrations == {"h200": newer, "a100-80": CONSTANTS}
    assert "cpu" in load_saved(path).origins


def test_no_file_is_no_calibration(tmp_path: Path) -> None:
    assert load_saved(tmp_path / "none.toml").calibrations == {}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=100),
        st.sampled_from(["gpu", "measured", "links"]).map(lambda name: f"{name} = 3"),
        st.sampled_from(["gpu", "measured", "links"]).map(lambda name: f"[{name}]\nh200 = 3"),
    )
)
def test_no_file_crashes_the_reader(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text(text, encoding="utf-8")
    with suppress(FieldError):
        saved = load_saved(path)
        assert saved.origin("h200")


def test_a_broken_file_is_one_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_text("[gpu", encoding="utf-8")
    with pytest.raises(FieldError, match=r"calibration\.toml"):
        load_saved(path)


@pytest.mark.parametrize("value", ["'x'", "nan", "1e308", "-1", "0", "[]", None])
def test_broken_constants_of_one_gpu_cost_that_gpu_alone(value: str | None, tmp_path: Path) -> None:
    path = save(MEASURED, "h200", CONSTANTS, tmp_path / "calibration.toml")
    whole = path.read_text(encoding="utf-8")
    table = whole.partition("[gpu.h200]\n")[2].partition("\n\n")[0]
    others = [line for line in table.splitlines() if not line.startswith("hbm ")]
    broken = ["[gpu.a100-80]", *others, *([] if value is None else [f"hbm = {value}"])]
    path.write_text("\n".join([whole, *broken, ""]), encoding="utf-8")
    saved = load_saved(path)
    assert saved.calibrations == {"h200": CONSTANTS}
    assert set(saved.broken) == {"a100-80"}
    assert "cannot be used" in saved.origin("a100-80")
    assert "\n" not in saved.origin("a100-80")
