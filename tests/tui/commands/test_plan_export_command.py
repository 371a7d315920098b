"""`prodtop plan export`: the configuration alone on stdout, in a folder, or in JSON."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.export.engines import ENGINES
from prodtop.tui.commands.main import run

SMALL = ["--model", "llama-3.2-1b", "--gpus", "8", "--batch", "64"]


def test_stdout_is_the_file_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "llama-3.1-8b", "--gpus", "16", "--batch", "64", "--steps", "5"]
    assert run(["plan", "export", "torchtitan-0.2.2", *arguments]) == 0
    output = capsys.readouterr()
    found = tomllib.loads(output.out)
    degrees = found["parallelism"]
    split = [degrees[f"{kind}_parallel_degree"] for kind in ("tensor", "pipeline", "context")]
    data = [degrees[f"data_parallel_{kind}_degree"] for kind in ("replicate", "shard")]
    product = 1
    for degree in split + data:
        product *= degree
    assert product == 16
    assert found["training"]["steps"] == 5
    assert "estimated" in output.err
    assert "torchrun --nnodes 2" in output.err


@pytest.mark.parametrize("engine", ENGINES)
def test_json_has_the_text_the_launch_and_the_estimate(
    engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", "llama-3.1-8b", "--gpus", "8", "--batch", "64"]
    assert run(["plan", "export", engine, *model, "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    found = json.loads(output.out)
    assert found["schema_version"] == 1
    assert found["version"]
    assert found["text"].endswith("\n")
    if engine == "accelerate":
        assert found["launch"].startswith("accelerate launch ")
        assert "num_processes: 8" in found["text"]
    else:
        assert "torchrun --standalone --nproc_per_node 8 " in found["launch"]
    assert found["estimate"]["step_s"] > 0
    assert found["estimate"]["layout"]["zero"] in (0, 1, 2, 3)


def test_a_folder_gets_the_file_and_its_launch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "run"
    assert run(["plan", "export", "deepspeed", *SMALL, "--out", str(folder)]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert json.loads((folder / "prodtop_deepspeed.json").read_text())["train_batch_size"] == 64
    launch = (folder / "launch.sh").read_text()
    assert launch.startswith("torchrun --standalone --nproc_per_node 8 train.py")
    assert "launch.sh" in output.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nemo"], "unknown engine 'nemo': choose from torchtitan,"),
        (["deepspeed", *SMALL, "--pp", "2"], "--pp: DeepSpeed"),
        (["torchtitan", "--model", "7B"], "--model: torchtitan"),
        (["torchtitan", *SMALL, "--steps", "0"], "--steps: must be a positive whole number"),
        (
            ["torchtitan", *SMALL, "--learning-rate", "-1"],
            "--learning-rate: must be a number above 0",
        ),
        (["deepspeed", *SMALL, "--script", " "], "--script: must be the name of a file"),
        (["megatron", *SMALL, "--out", "/dev/null/x"], "cannot write --out /dev/null/x: "),
        (["megatron", *SMALL, "--framework", "fastest"], "--framework: "),
        (["megatron", "--model", "llama-3.1-70b", "--gpus", "1"], "--memory-gib: "),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "export", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith(f"prodtop: {words}")


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    engine=st.sampled_from([*ENGINES, "", "\x1b[2J"]),
    option=st.sampled_from(["--gpus", "--tp", "--steps", "--learning-rate", "--zero", "--script"]),
    value=st.one_of(st.integers(-(2**70), 2**70).map(str), st.text(max_size=8)),
)
def test_nothing_crashes(
    engine: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "export", engine, *SMALL, f"{option}={value}", "--json"]) in (0, 2)
    output = capsys.readouterr()
    assert len(output.err.splitlines()) <= 1
    assert "\x1b" not in output.err
