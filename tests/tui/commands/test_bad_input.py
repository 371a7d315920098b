"""What the user gets wrong: one line that says so, exit code 2, and no traceback."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prodtop.tui.commands.main import run
from safetensors.torch import load_file, save_file

PRODTOP = [sys.executable, "-m", "prodtop.tui.commands.main"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "fast"], "unknown strategy 'fast': choose from single, batched"),
        (["--precision", "int3"], "unknown precision 'int3': choose from fp32, bf16"),
        (["bench", "--strategy", "single,fast"], "unknown strategy 'fast'"),
        (["bench", "--precision", ""], "unknown precision ''"),
        (["quality", "--groups", "32,48"], "groups of '48' weights: choose from 32, 64, 128, 256"),
        (["quality", "--groups", "all"], "groups of 'all' weights"),
        (["--model", "./nowhere"], "model './nowhere': there is no such file or folder"),
        (["bench", "--model", "nowhere.json"], "there is no such file or folder"),
        (["bench", "--model", " "], "--model is empty"),
        (["--output-tokens", "9:3"], "--output-tokens '9:3' is no range"),
        (["bench", "--output-tokens", "0"], "is no range"),
        (["bench", "--prompt-tokens", "few"], "--prompt-tokens 'few' is no range"),
        (["--rate", "0"], "--rate must be a number above 0"),
        (["--rate", "nan"], "--rate must be a number above 0"),
        (["bench", "--burstiness", "-1"], "--burstiness must be a number above 0"),
        (["bench", "--rate", "1", "--concurrency", "2"], "exclude each other"),
        (["--rate", "1", "--users", "2"], "exclude each other"),
        (["bench", "--requests", "0"], "'--requests'"),
        (["bench", "--zipf", "inf"], "--zipf must be a number from 0"),
        (["--rate", "9", "--max-waiting", "0"], "--max-waiting must be a number from 1"),
        (["bench", "--max-waiting-mib", "0"], "--max-waiting-mib must be a number above 0"),
        (["--speculate", "0"], "--speculate must be a number from 1, at most 16, not 0"),
        (["bench", "--speculate", "17"], "--speculate must be a number from 1, at most 16"),
        (["--temperature", "nan"], "--temperature must be a number from 0"),
        (["--users", "many"], "'--users'"),
        (["--load-format", "pickle"], "'--load-format'"),
        (["bench", "--seed", str(10**30)], "--seed must be a number from 0"),
        (["bench", "--model", "x\udcff"], "is not UTF-8 text"),
        (["--nonsense"], "No such option: --nonsense"),
        (["ready", "--run", "nothing"], "unknown item 'nothing': choose from quality"),
        (["ready", "--run", "cost"], "cost is proved by [cost] of config.toml"),
        (["ready", "--run", "guards"], "no guards are set"),
        (["ready", "--strategy", "fast"], "unknown strategy 'fast'"),
        (["ready", "--drain", "-1"], "--drain must be a number of seconds"),
        (["cost", "nothing"], "no file, snapshot or recording 'nothing'"),
        (["cost", "--price-per-hour", "0"], "--price-per-hour must be a number above 0, not 0"),
        (["cost", "--price-per-kwh", "nan"], "--price-per-kwh must be a number above 0, not nan"),
        (["cost", "--target", "-1"], "--target must be a number above 0, not -1"),
        (["nonsense"], "No such command 'nonsense'"),
        (["snapshot"], "Missing command"),
        (["review", "next"], "no review queue at"),
        (["attach", "http://"], "is no address"),
        (["attach", "http://me:secret@host:1"], "--token-file"),
        (["attach", "host:99999"], "is no address"),
        (["attach", "a:1", "a:1"], "given twice"),
        (["attach", "a:1", "--json"], "--json goes with --once"),
        (["attach", "a:1", "--select", "x"], "--select goes with"),
        (["attach", "prometheus+http://a:1", "--select", "no matcher"], "is no label matcher"),
        (["attach", "a:1", "--users", "1", "--rate", "2"], "exclude each other"),
        (["attach", "--file-sd", "a.txt"], "a discovery file ends in .json"),
        (["attach", "--file-sd", "/*/a.json"], "only the last part of a path"),
        (["attach", "--file-sd", "a.json", "--file-sd", "a.json"], "a.json is given twice"),
        (["attach", "--file-sd", "a.json", "--proxy", "9000"], "--proxy passes requests on to one"),
        (["attach", "--file-sd", "a.json", "--probe"], "--probe sends requests to servers"),
        (["attach", "--file-sd", "a.json", "--users", "3"], "a load goes to one server"),
        (["attach", "--file-sd", "none.json", "--once"], "the discovery files name no server"),
        (["attach", "prometheus+http://a:1", "--file-sd", "a.json"], "give it alone"),
        (["attach", "a:1", "--probe", "0"], "--probe: 1 to 3600 seconds"),
        (["bench", "--url", "a:1", "--strategy", "single"], "not set"),
        (["bench", "--token-file", "t"], "--token-file goes with --url"),
        (["review", "accept", "0"], "'ID'"),
        (["review", "list", "--guards", "none.toml"], "--guards none.toml"),
        (["snapshot", "show", "nothing"], "no snapshot 'nothing'"),
        (["snapshot", "show", "a\x1b[2J"], "no snapshot 'a[2J'"),
        (["--model", "bundled", "bench"], "--model stands before 'bench'"),
        (["bench", "--out", "/nowhere/cells.jsonl"], "cannot write --out /nowhere/cells.jsonl"),
        ([], "the live monitor needs a terminal"),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else "",
)
def test_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("prodtop: ")
    assert words in line


def test_debug_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--strategy", "fast", "--debug"]) == 2
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.splitlines()[-1].startswith("prodtop: unknown strategy")


def test_the_command_itself_exits_with_the_code() -> None:
    done = subprocess.run([*PRODTOP, "--strategy", "fast"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_weights_that_are_no_numbers_are_one_line(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the worker, which reads them, to the command."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"][3] = math.nan
    save_file(tensors, weights)
    arguments = ["bench", "--model", str(folder), "--device", "cpu", "--requests", "1"]
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"prodtop: {weights}: 'model.norm.weight' holds NaN or infinite values")


def test_a_malformed_config_is_found_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "xdg-config" / "prodtop"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("theme = 3\n")
    code = (
        "import sys\n"
        "sys.stdin.isatty = sys.stdout.isatty = sys.stderr.isatty = lambda: True\n"
        "from prodtop.tui.commands.main import run\n"
        "sys.exit(run([]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "config.toml" in done.stderr
    assert not (tmp_path / "xdg-state").exists()


def test_the_help_lists_what_there_is_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].split("\n")
    names = [line.split()[0] for line in listed if line.strip()]
    commands = ["attach", "bench", "quality", "compare", "whatif", "cost", "serve", "ready"]
    rest = [
        "doctor",
        "record",
        "replay",
        "diff",
        "plan",
        "snapshot",
        "recording",
        "trace",
        "review",
        "guards",
    ]
    assert names == [*commands, *rest]


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib import metadata

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"prodtop {metadata.version('prodtop')}\n"


def test_the_command_line_loads_neither_torch_nor_the_screen() -> None:
    code = (
        "import sys, prodtop.tui.commands.main\n"
        "print([name for name in ('torch', 'textual', 'rich', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
