"""`prodtop plan capacity`: the matrix, the details of one GPU type, JSON, and bad input."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.tui.commands.main import run


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of the test's own, so that no config or calibration of this machine counts."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["plan", "capacity", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def cells(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found = json.loads(printed([*arguments, "--json"], capsys))
    assert isinstance(found["cells"], list)
    return list(found["cells"])


def speed(cell: dict[str, object]) -> float:
    found = cell["output_tokens_s"]
    assert isinstance(found, float)
    return found


def test_the_matrix_has_every_gpu_with_its_price_and_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = printed(["--model", "llama-3.1-8b"], capsys)
    for words in (
        "H200 SXM 141GB",
        "1 × ",
        "fp8 on A100 SXM 80GB: A100 SXM 80GB has no fp8 units",
        "$4.59 an hour",
        "2026-10-07",
        "no price known for",
        "the packaged constants",
        "every figure is an estimate",
    ):
        assert words in output


def test_one_gpu_type_shows_memory_and_speed_by_batch(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed(["--gpu", "h200", "--precision", "bf16,fp8"], capsys)
    for words in ("weights", "largest", "calibrated of roofline", "256 "):
        assert words in output


def test_every_figure_opens_into_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    output = printed(["--gpu", "h200", "--precision", "bf16", "--explain"], capsys)
    assert "MLP up = " in output
    assert "roofline step = " in output
    assert "cost = " in output


def test_json_has_the_figures_of_each_cell(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--gpu", "h200,a100-80", "--precision", "bf16,fp8", "--requests", "8"]
    one, two, three, refused = cells(arguments, capsys)
    assert (one["gpu"], one["precision"], one["gpus"]) == ("h200", "bf16", 1)
    assert speed(two) > speed(one)
    assert three["fits"] is True
    assert refused["fits"] is False
    assert "fp8" in str(refused["reason"])


def test_what_does_not_fit_is_missing_and_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "llama-3.1-405b", "--gpu", "rtx4090", "--precision", "bf16"]
    (cell,) = cells(arguments, capsys)
    assert cell["fits"] is False
    assert "output_tokens_s" not in cell
    assert "usable" in str(cell["reason"])


def test_the_users_price_wins(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folders / "XDG_CONFIG_HOME" / "prodtop" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[prices.h200]\nusd_per_hour = 2\ndate = 2026-11-01\nsource = 'our contract'\n")
    output = printed(["--gpu", "h200", "--precision", "bf16"], capsys)
    assert "$2.00 an hour (our contract, 2026-11-01)" in output
    output = printed(["--gpu", "h200", "--precision", "bf16", "--price", "1.5"], capsys)
    assert "$1.50 an hour (--price" in output


def test_a_calibration_of_this_machine_is_used_and_named(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = replace(default_constants().gpu("h200"), hbm=0.4)
    lines = [f"{name} = {value!r}" for name, value in vars(slow).items()]
    file = folders / "XDG_DATA_HOME" / "prodtop" / "calibration.toml"
    file.parent.mkdir(parents=True)
    measured = '[measured.h200]\nname = "NVIDIA H200"\ndate = 2026-11-23\n'
    (before,) = cells(["--gpu", "h200", "--precision", "bf16"], capsys)
    file.write_text("[gpu.h200]\n" + "\n".join(lines) + "\n" + measured)
    (after,) = cells(["--gpu", "h200", "--precision", "bf16"], capsys)
    assert speed(after) < speed(before)
    output = printed(["--gpu", "h200", "--precision", "bf16"], capsys)
    assert "calibrated on NVIDIA H200, 2026-11-23" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpu", "tpu"], "--gpu: unknown GPU"),
        (["--precision", "int3"], "--precision: unknown precision"),
        (["--model", "nosuch"], "--model: unknown model"),
        (["--requests", "0"], "--requests: "),
        (["--prompt-tokens", "many"], "--prompt-tokens: "),
        (["--output-tokens", "-1"], "--output-tokens: "),
        (["--gpus", "0"], "--gpus: "),
        (["--gpus", "some"], "--gpus: "),
        (["--price", "-1"], "--price: "),
        (["--int4-group", "0"], "--int4-group: "),
        (["--hardware", "/no/such.toml"], "--hardware: /no/such.toml: cannot be read"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "capacity", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert words in output.err
    assert output.err.count("\n") == 1


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "--model",
                "--gpu",
                "--gpus",
                "--precision",
                "--requests",
                "--prompt-tokens",
                "--price",
            ]
        ),
        st.one_of(st.text(max_size=12), st.integers(-3, 10**30).map(str), st.floats().map(repr)),
        min_size=1,
    )
)
def test_no_option_crashes_it(options: dict[str, str]) -> None:
    arguments = [f"{name}={value}" for name, value in options.items()]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run(["plan", "capacity", "--gpu", "h200", *arguments]) in (0, 2)
