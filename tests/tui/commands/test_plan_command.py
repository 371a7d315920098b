"""`prodtop plan`: answers, JSON, and what bad input gets."""

import contextlib
import io
import json
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.cost.memory import GIB
from prodtop.engine.planner.cost.setting import setting
from prodtop.engine.planner.question.options import FORM, SEARCH_OPTIONS
from prodtop.engine.planner.question.question import Reader, ReferenceData, read_question
from prodtop.tui.commands.main import run
from prodtop.tui.commands.plan import search_layouts


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["plan", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def planned(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(printed([*arguments, "--json"], capsys))
    assert isinstance(found, dict)
    return found


SMALL = ["--model", "generic-1b", "--gpus", "8", "--batch", "64"]


def test_the_tables_show_layouts_breakdown_strategies_and_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = printed([*SMALL, "--tokens", "20B", "--price", "2"], capsys)
    for words in (
        "8 × H100 SXM 80GB",
        "Fastest layouts",
        "optimizer states",
        "matrix products",
        "Pipeline",
        "Memory against time",
        "Why: ",
        "The runner-up would win",
        "Training on 2e+10 tokens",
        "every figure is an estimate",
    ):
        assert words in output


def test_the_command_starts_from_what_the_tab_starts_from() -> None:
    options = {option.key: option.default for option in SEARCH_OPTIONS}
    form = {key: line.first for key, line in FORM.items()}
    same = ("model", "gpu", "gpus", "sequence", "precision", "optimizer", "offload", "framework")
    assert {key: options[key] for key in same} == {key: form[key] for key in same}
    assert options["framework"] == setting_of_the_engine()
    question = read_question(Reader(options), ReferenceData())
    assert str(question.constraints.batch) == form["batch"]


def test_every_option_is_a_parameter_of_the_command() -> None:
    parameters = signature(search_layouts).parameters
    assert set(parameters) - {option.key for option in SEARCH_OPTIONS} == {
        *("context", "json", "debug"),
    }


def setting_of_the_engine() -> str:
    default = signature(setting).parameters["software"].default
    assert isinstance(default, str)
    return default


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    found = planned([*SMALL, "--memory-gib", "60", "--tokens", "20B", "--price", "2"], capsys)
    assert found["limit_bytes"] == 60 * GIB
    best = found["best"]
    assert isinstance(best, list)
    steps = [one["step_s"] for one in best]
    assert steps == sorted(steps)
    for one in best:
        time_parts = dict(one["time_s"])
        memory_parts = dict(one["memory_bytes"])
        assert time_parts.pop("total_s") == pytest.approx(sum(time_parts.values()))
        assert memory_parts.pop("total") == pytest.approx(sum(memory_parts.values()))
        layout = one["layout"]
        assert layout["dp"] * layout["tp"] * layout["pp"] * layout["cp"] == 8
        assert layout["dp"] * layout["micro_batch"] * layout["micro_batches"] == 64
        training = one["training"]
        assert training["seconds"] == pytest.approx(20e9 / one["tokens_s"])
        assert training["cost"] == pytest.approx(2 * training["gpu_hours"])
    strategies = found["strategies"]
    assert isinstance(strategies, list)
    assert [one["key"] for one in strategies] == ["data", "model", "pipeline", "tensor", "3d"]


def test_fixed_degrees_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    fixed = "--tp 2 --pp 2 --dp 2 --cp 1 --zero 1 --micro-batch 2 --recompute full --vp 1"
    found = planned([*SMALL, *fixed.split()], capsys)
    best = found["best"]
    assert isinstance(best, list)
    assert {one["shorthand"] for one in best} <= {
        "dp2 tp2 pp2 zero1 full mb2 ×16",
        "dp2 tp2 pp2 zero1/2 full mb2 ×16",
    }


@pytest.mark.parametrize("model", ["llama-3.1-8b", "7B", "0.5b", "file"])
def test_a_model_is_a_preset_a_count_or_a_file(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if model == "file":
        config = {
            "model_type": "llama",
            "hidden_size": 1024,
            "intermediate_size": 2816,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "vocab_size": 32_000,
        }
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        model = str(file)
    found = planned(["--model", model, "--gpus", "16", "--batch", "32"], capsys)
    assert found["best"]


def test_what_does_not_fit_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "70B", "--gpus", "2", "--gpu", "l40s", "--batch", "8"]
    output = printed(arguments, capsys)
    assert "nothing fits: " in output
    assert "GPUs it fits: " in output
    found = planned(arguments, capsys)
    assert found["best"] == found["front"] == []
    leanest = found["leanest"]
    assert isinstance(leanest, dict)
    assert leanest["memory_bytes"]["total"] > 48 * GIB
    limiting = found["limiting"]
    assert isinstance(limiting, dict)
    assert limiting["field"] == "memory"


def test_your_own_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[mine]\nname = "Mine"\nmemory_bytes = 68719476736\nsms = 100\nhbm_bytes_s = 2e12\n'
        "link_bytes_s = 2e11\nnode_gpus = 4\nnetwork_bytes_s = 2.5e10\npower_w = 400\n"
        "peak = { bf16 = 4e14 }\n"
    )
    chosen = ["--hardware", str(file), "--gpu", "mine"]
    found = planned([*SMALL, *chosen], capsys)
    assert found["limit_bytes"] == 64 * GIB
    assert run(["plan", *SMALL, *chosen, "--precision", "fp8"]) == 2
    assert "--precision: Mine has no fp8 units" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nonesuch"], "--model: unknown model 'nonesuch'"),
        (["--model", "/nowhere/config.json"], "--model: cannot be read"),
        (["--model", "1e30"], "--model: parameters: must lie between"),
        (["--gpu", "abacus"], "--gpu: unknown GPU 'abacus'"),
        (["--gpus", "0"], "--gpus: must be a positive whole number"),
        (["--gpus", "-8"], "--gpus: must be a positive whole number"),
        (["--gpus", "many"], "--gpus: must be a positive whole number, found 'many'"),
        (["--gpus", str(10**40)], "--gpus: "),
        (["--gpus", "2000000"], "--gpus: at most 1,048,576"),
        (["--batch", "0"], "--batch: must be a positive whole number"),
        (["--gpus", "31", "--batch", "9"], "--batch: 9 sequences cannot be split over dp 31"),
        (["--sequence", "long"], "--sequence: must be a positive whole number, found 'long'"),
        (["--sequence", "0"], "--sequence: must be a positive whole number"),
        (["--tokens", "-5"], "--tokens: must be a number above 0, found '-5'"),
        (["--tokens", "0"], "--tokens: must be a number above 0"),
        (["--memory-gib", "nan"], "--memory-gib: must be a number above 0"),
        (["--price", "-1"], "--price: must be a number above 0"),
        (["--network-gb-s", "inf"], "--network-gb-s: must be a number above 0"),
        (["--node-gpus", "0"], "--node-gpus: must be a positive whole number"),
        (["--precision", "int3"], "--precision: unknown 'int3', known are bf16"),
        (["--gpu", "a100", "--precision", "fp8"], "--precision: A100"),
        (["--optimizer", "lion"], "--optimizer: unknown 'lion', known are adamw"),
        (["--framework", "caffe"], "--framework: unknown framework 'caffe'"),
        (["--recompute", "some"], "--recompute: unknown 'some'"),
        (["--schedule", "zigzag"], "--schedule: unknown 'zigzag'"),
        (["--offload", "moon"], "--offload: unknown 'moon'"),
        (["--tp", "3"], "--tp: 32 GPUs cannot be split by 3"),
        (["--tp", "5", "--gpus", "40"], "--tp: 32 heads cannot be split by 5"),
        (["--pp", "64", "--gpus", "64"], "--pp: 64 pipeline chunks need as many layers"),
        (["--dp", "8", "--tp", "8"], "--dp: tp 8 × pp 1 × cp 1 leave dp 4, not 8"),
        (["--ep", "2"], "--ep: the model has no experts"),
        (["--zero", "7"], "--zero: the stage is 0, 1, 2 or 3"),
        (["--micro-batch", "3"], "--micro-batch: "),
        (["--vp", "3"], "--vp: "),
        (["--top", "0"], "--top: must be a positive whole number"),
        (["--top", "101"], "--top: at most 100"),
        (["--hardware", "/nowhere/gpus.toml"], "--hardware: "),
        (["--tp", "2", "capacity"], "--tp stands before 'capacity'"),
        (["export"], "Missing argument"),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_that_names_the_option(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("prodtop: ")
    assert words in line


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"hidden_size": -1}', '{"hidden_size": 1e400}', '{"n_layer": true}', "\0"],
)
def test_a_broken_config_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    assert run(["plan", "--model", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prodtop: --model: ")


_NUMBERS = ["0", "1", "2", "3", "4", "8", "16", "-1", "10**3", "1e3", "nan", "inf", "", "x", "٣"]
_HUGE = ["9" * 15, "9" * 40, "-" + "9" * 40]
_VALUES: dict[str, list[str]] = {
    "--model": ["generic-1b", "gpt2", "mixtral-8x7b", "deepseek-v3", "7B", "0", "1e14", "1e-3"],
    "--gpu": ["h100", "rtx4090", "gb200", "", "?"],
    "--gpus": ["1", "2", "8", "12", "31", "0", "-4", *_HUGE],
    "--sequence": ["1", "7", "1k", "128k", "0", "-1", "1e15", "1e400", "x"],
    "--tokens": ["1", "1e300", "0", "-2", "15T"],
    "--precision": ["bf16", "fp8", "tf32", "fp16", "BF16", "?"],
    "--optimizer": ["adamw", "muon", "?"],
    "--framework": ["torch", "deepspeed", "megatron-2021", "?"],
    "--recompute": ["none", "selective", "full", "?"],
    "--schedule": ["sequential", "gpipe", "1f1b", "interleaved", "?"],
    "--offload": ["none", "optimizer", "all", "?"],
    "--memory-gib": ["1e-9", "24", "1e300", "nan", "-1", "1e400"],
    "--network-gb-s": ["1e-9", "25", "1e300", "-1"],
    "--price": ["1e-9", "2", "1e308", "nan"],
    **{
        option: [*_NUMBERS, *_HUGE]
        for option in (
            *("--batch", "--node-gpus", "--dp", "--tp", "--pp", "--vp", "--cp", "--ep"),
            *("--expert-tp", "--zero", "--dp-shard", "--micro-batch", "--top"),
        )
    },
}
_OPTIONS = st.dictionaries(st.sampled_from(sorted(_VALUES)), st.integers(0, 99), max_size=6)


@settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(chosen=_OPTIONS, odd=st.text(max_size=8), as_json=st.booleans())
def test_no_value_crashes_it(chosen: dict[str, int], odd: str, as_json: bool) -> None:
    arguments = ["plan", "--gpus", "4", *(["--json"] if as_json else [])]
    for option, place in chosen.items():
        values = [*_VALUES[option], odd]
        arguments += [f"{option}={values[place % len(values)]}"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    if code == 0:
        assert err.getvalue() == ""
        assert "NaN" not in out.getvalue()
    else:
        assert code == 2
        assert out.getvalue() == ""
        (line,) = err.getvalue().splitlines()
        assert line.startswith("prodtop: ")


def test_the_planner_is_loaded_only_when_it_is_asked() -> None:
    code = (
        "import sys\n"
        "from prodtop.tui.commands.main import run\n"
        "run(['plan', '--help'])\n"
        "slow = ('torch', 'textual', 'rich', 'numpy', 'prodtop.engine.planner.search.search')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_other_commands_do_not_load_its_options() -> None:
    code = (
        "import sys\n"
        "from prodtop.tui.commands.main import run\n"
        "run(['bench', '--help'])\n"
        "print('prodtop.engine.planner.question.options' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False"


def test_a_slip_of_the_pen_is_told_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plna"]) == 2
    assert "Did you mean 'plan'" in capsys.readouterr().err


def test_planning_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from prodtop.tui.commands.main import run\n"
        "run(['plan', '--gpus', '4'])\n"
        "print([name for name in ('torch', 'textual') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
