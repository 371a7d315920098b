"""No control character of any source reaches the terminal: every input, through every command.

The installed command runs in a pseudo terminal, whose other end is read byte by byte.
"""

import json
import os
import pty
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hostile_text import HOSTILE, NAME, PIECES, SURROGATE, WORD, broken_lines, found_in_command
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.tui.commands.main import run
from snapshot_samples import snapshot

PRODTOP = Path(sys.executable).with_name("prodtop")
DEADLINE_S = 120.0

Prepare = Callable[[Path], None]


def nothing(_folder: Path) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """A command line, what lies in its folder before, and what is in its environment.

    `shown`: whether something of the hostile text is to be seen, without its controls.
    """

    arguments: tuple[str, ...]
    prepare: Prepare = nothing
    environment: Mapping[str, str] = field(default_factory=dict)
    shown: bool = True


def in_terminal(arguments: tuple[str, ...], folder: Path, **environment: str) -> bytes:
    """All that the installed command sends to its terminal."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [str(PRODTOP), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
    finally:
        os.close(slave)
    output = bytearray()
    try:
        while data := os.read(master, 1 << 16):
            output += data
    except OSError:
        pass  # The last end of the slave was closed.
    finally:
        os.close(master)
    assert process.wait(DEADLINE_S) in (0, 1, 2)
    return bytes(output)


def data_folder(folder: Path) -> Path:
    """Where snapshots lie: below the test's own XDG folder."""
    snapshots = folder / "xdg-data" / "prodtop" / "snapshots"
    snapshots.mkdir(parents=True)
    return snapshots


def config_folder(folder: Path) -> Path:
    config = folder / "xdg-config" / "prodtop"
    config.mkdir(parents=True)
    return config


def snapshot_of_hostile_text(folder: Path) -> None:
    """All texts of a snapshot's file, and its name, are hostile."""

    def spoiled(value: object) -> object:
        if isinstance(value, dict):
            return {key: spoiled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [spoiled(each) for each in value]
        return HOSTILE if value == "free text" else value

    tree = msgspec.to_builtins(snapshot())
    tree["label"] = tree["frame"]["model"]["name"] = tree["frame"]["device_name"] = "free text"
    tree["events"] = ["free text"] * 3
    tree["versions"] = {HOSTILE: HOSTILE}
    (data_folder(folder) / f"{NAME}.json").write_text(json.dumps(spoiled(tree)))


def broken_snapshot(folder: Path) -> None:
    (data_folder(folder) / f"{NAME}.json").write_text(json.dumps({HOSTILE: HOSTILE}))


def snapshot_named_in_bytes(folder: Path) -> None:
    name = os.fsdecode(b"\x9bPWNED.json")
    (data_folder(folder) / name).write_bytes(msgspec.json.encode(snapshot()))


def config_json(**changes: object) -> Prepare:
    """A model folder of a hostile name, whose `config.json` has hostile fields."""

    def prepare(folder: Path) -> None:
        model = folder / f"model {NAME}"
        model.mkdir()
        values = json.loads((BUNDLED_FOLDER / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(values | changes))

    return prepare


def model_with(spoil: Callable[[Path], None]) -> Prepare:
    """A whole model in a folder of a hostile name, of which a file is spoiled."""

    def prepare(folder: Path) -> None:
        model = shutil.copytree(BUNDLED_FOLDER, folder / f"model {NAME}")
        spoil(model)

    return prepare


def hostile_tokenizer(model: Path) -> None:
    path = model / "tokenizer.json"
    file = json.loads(path.read_text())
    file["decoder"] = {"type": HOSTILE}
    path.write_text(json.dumps(file))


def hostile_template(model: Path) -> None:
    refusal = "{{ raise_exception(" + json.dumps(HOSTILE) + ") }}"
    (model / "chat_template.jinja").write_text(refusal)


def hostile_tensor(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0" + HOSTILE.encode())
    (model / f"{NAME}.safetensors").write_bytes(b"")


def config_toml(text: str) -> Prepare:
    return lambda folder: _write(config_folder(folder) / "config.toml", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


TOML = json.dumps(HOSTILE)  # JSON's escapes are TOML's as well, but for surrogates.
MODEL = f"model {NAME}"
BENCH = ("bench", "--device", "cpu", "--requests", "1", "--output-tokens", "2", "--strategy")
PLAN = ("plan", "--gpus", "8", "--model")
CASES = {
    "an option": Case((f"--foo{NAME}",)),
    "a command": Case((NAME,)),
    "an option's value": Case(("--users", NAME), shown=False),
    "a choice": Case(("--load-format", NAME)),
    "a subcommand": Case(("snapshot", NAME)),
    "an argument too many": Case(("doctor", NAME)),
    "a strategy": Case(("bench", "--strategy", HOSTILE)),
    "a range": Case(("--output-tokens", HOSTILE)),
    "a model's path": Case(("bench", "--model", f"./{NAME}")),
    "bytes that are no text": Case(("bench", "--model", SURROGATE), shown=False),
    "the traceback of --debug": Case(("bench", "--debug", "--strategy", HOSTILE)),
    "an output folder": Case(("bench", "--out", f"/nowhere/{NAME}")),
    "a snapshot's name": Case(("snapshot", "show", HOSTILE)),
    "a snapshot, listed": Case(("snapshot", "list"), snapshot_of_hostile_text),
    "a snapshot, listed as JSON": Case(("snapshot", "list", "--json"), snapshot_of_hostile_text),
    "a snapshot, shown": Case(("snapshot", "show"), snapshot_of_hostile_text),
    "a snapshot, shown as JSON": Case(("snapshot", "show", "--json"), snapshot_of_hostile_text),
    "a snapshot, exported": Case(("snapshot", "export"), snapshot_of_hostile_text),
    "a snapshot, exported as JSON": Case(
        ("snapshot", "export", "--format", "json"), snapshot_of_hostile_text
    ),
    "a snapshot's page": Case(("snapshot", "export", "--format", "html"), snapshot_of_hostile_text),
    "a snapshot, compared": Case(("diff", "latest", "latest"), snapshot_of_hostile_text),
    "a snapshot, compared as JSON": Case(
        ("diff", "latest", "latest", "--json"), snapshot_of_hostile_text
    ),
    "a snapshot that is no other": Case(("diff", HOSTILE, "latest"), snapshot_of_hostile_text),
    "a rule": Case(("diff", "latest", "latest", "--fail-on", NAME), snapshot_of_hostile_text),
    "a part": Case(("diff", f"latest@{NAME}..1", "latest"), snapshot_of_hostile_text),
    "a snapshot's new name": Case(
        ("snapshot", "name", "latest", HOSTILE), snapshot_of_hostile_text
    ),
    "a snapshot, removed": Case(("snapshot", "rm", "latest"), snapshot_of_hostile_text),
    "a broken snapshot, compared": Case(("diff", "latest", "latest"), broken_snapshot),
    "a broken snapshot, listed": Case(("snapshot", "list"), broken_snapshot),
    "a broken snapshot, shown": Case(("snapshot", "show"), broken_snapshot),
    "a snapshot's name in bytes": Case(("snapshot", "list"), snapshot_named_in_bytes),
    "the data folder": Case(("snapshot", "list"), environment={"XDG_DATA_HOME": f"/tmp/{NAME}"}),
    "folders and terminal": Case(
        ("doctor",),
        environment={
            "XDG_CONFIG_HOME": f"/tmp/{NAME}",
            "XDG_DATA_HOME": f"/tmp/{NAME}",
            "XDG_STATE_HOME": f"/tmp/{NAME}",
            "TERM": NAME,
            "COLORTERM": NAME,
            "COLUMNS": "²",
            "LINES": NAME,
            "LANG": NAME,
            "HF_HOME": f"/tmp/{NAME}",
            "TERM_PROGRAM": NAME,
            "CUDA_VISIBLE_DEVICES": NAME,
        },
    ),
    "the size of the terminal": Case(
        (*PLAN, "7B"), environment={"COLUMNS": "²", "LINES": NAME}, shown=False
    ),
    "a model to plan": Case(("plan", "--model", HOSTILE)),
    "a GPU to plan with": Case(("plan", "--model", "7B", "--gpu", HOSTILE)),
    "a planner's option": Case(("plan", "capacity", "--model", "7B", "--prompt-tokens", HOSTILE)),
    "a folder to plan": Case((*PLAN, f"./{MODEL}"), config_json()),
    "its capacity": Case(("plan", "capacity", "--model", f"./{MODEL}"), config_json()),
    "its plan as JSON": Case((*PLAN, f"./{MODEL}", "--json"), config_json()),
    "an export": Case(("plan", "export", "torchtitan", *PLAN[1:], f"./{MODEL}"), config_json()),
    "an export's folder": Case(
        ("plan", "export", "accelerate", *PLAN[1:], "7B", "--out", f"/dev/null/{NAME}")
    ),
    "an engine to export to": Case(("plan", "export", NAME)),
    "a config's kind": Case((*PLAN, f"./{MODEL}"), config_json(model_type=HOSTILE)),
    "a config's field": Case((*PLAN, f"./{MODEL}"), config_json(hidden_size=HOSTILE)),
    "a tokenizer": Case((*BENCH, "single", "--model", f"./{MODEL}"), model_with(hostile_tokenizer)),
    "a chat template": Case(
        (*BENCH, "single", "--chat", "--model", f"./{MODEL}"), model_with(hostile_template)
    ),
    "a file of weights": Case(
        (*BENCH, "single", "--model", f"./{MODEL}"), model_with(hostile_tensor)
    ),
    "a model's folder, served": Case(
        (*BENCH, "single", "--model", f"./{MODEL}"), model_with(lambda _: None)
    ),
    "a theme to begin with": Case(("--theme", NAME)),
    "an unknown field of the config": Case((), config_toml(f"{TOML} = 1\n")),
    "a key of the config": Case((), config_toml(f"[keys]\n{TOML} = {TOML}\n")),
    "a strategy of the config": Case((), config_toml(f"strategy = {TOML}\n")),
    "a broken config": Case((), config_toml(f"a = {HOSTILE}\n"), shown=False),
}


def test_the_hostile_text_is_valid_toml() -> None:
    assert tomllib.loads(f"a = {TOML}")["a"] == HOSTILE


@pytest.mark.parametrize("name", CASES)
def test_no_control_reaches_the_terminal(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    case.prepare(tmp_path)
    printed = in_terminal(case.arguments, tmp_path, **case.environment)
    assert not found_in_command(printed)
    assert not broken_lines(printed)
    assert b"Traceback" not in printed or "--debug" in case.arguments
    assert b"a defect" not in printed
    if case.shown:
        assert WORD.encode() in printed, printed[-500:]


@pytest.mark.parametrize("piece", PIECES)
def test_each_kind_of_control_is_caught_alone(
    piece: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not that one hides another."""
    for arguments in (["bench", "--strategy", PIECES[piece]], [f"--foo{PIECES[piece]}"]):
        assert run(arguments) == 2
        printed = capsys.readouterr().err.encode()
        assert not found_in_command(printed)
        assert not broken_lines(printed)
        assert WORD.encode() in printed
