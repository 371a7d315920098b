"""`prodtop ready`: exit codes, what it prints, and the drills end to end on the bundled model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import msgspec
import psutil
import pytest
from frame_samples import frame
from prodtop.engine.protocol import Frame, PrecisionName
from prodtop.engine.protocol.errors import BadInputError, ProdtopError
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.readiness.identity import device_name
from prodtop.engine.readiness.items import Item, Proof
from prodtop.engine.readiness.judging import Mark
from prodtop.engine.readiness.store import add_proofs, read_proofs
from prodtop.engine.records.snapshot import list_snapshots, load_snapshot
from prodtop.tui.commands import ready_run
from prodtop.tui.commands.main import run
from prodtop.tui.commands.ready_options import command_flags, parse_items, subject_of_options
from prodtop.tui.commands.signals import InterruptedByError, RaisingSignals
from readiness_samples import GOOD

PRODTOP = [sys.executable, "-m", "prodtop.tui.commands.main"]
DEVICE = ["--device", "cpu"]
DEADLINE_S = 120.0
CONFIG = """
[guards]

[cost]
usd_per_hour = 1.5
budget_usd_per_day = 40

[slo]
ttft_ms = "off"
tpot_ms = "off"

[readiness]
quality_chunks = 2
load_requests = 8
load_clients = 2
load_output_tokens = 8
"""
"""Short drills, without a limit on latencies: other processes share the cores."""


def write_config(text: str = CONFIG) -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "prodtop"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)


def proofs_of_this_machine() -> list[Proof]:
    """Proofs of every item for the bundled model on this CPU, of a minute ago."""
    subject = subject_of_options(WorkerOptions(device="cpu"))
    return [
        Proof(item=item, subject=subject, at_wall_s=time.time() - 60, figures=GOOD[item])
        for item in Item
    ]


def items_of(printed: str) -> dict[str, str]:
    """The mark of each item, as JSON has it."""
    return {each["item"]: each["mark"] for each in json.loads(printed)["items"]}


def test_nothing_proved_is_exit_code_3_and_says_what_proves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["ready", *DEVICE]) == 3
    printed = capsys.readouterr().out
    assert printed.endswith("not ready: 8 of 8 items are open\n")
    for item in Item:
        if item is not Item.COST:
            assert f"prodtop ready --run {item}" in printed
    assert "[cost]" in printed


def test_all_proved_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    write_config()
    add_proofs(proofs_of_this_machine())
    assert run(["ready", *DEVICE]) == 0
    assert capsys.readouterr().out.endswith("ready: every item holds\n")


@pytest.mark.parametrize("item", [item for item in Item if item is not Item.COST])
def test_one_missing_proof_is_exit_code_3(item: Item, capsys: pytest.CaptureFixture[str]) -> None:
    write_config()
    add_proofs([each for each in proofs_of_this_machine() if each.item is not item])
    assert run(["ready", *DEVICE, "--json"]) == 3
    marks = items_of(capsys.readouterr().out)
    assert {name for name, mark in marks.items() if mark != Mark.HOLDS} == {item.value}
    assert marks[item.value] == Mark.MISSING


def test_the_configuration_proves_cost_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A proof of it in the file counts for nothing."""
    add_proofs(proofs_of_this_machine())
    assert run(["ready", *DEVICE, "--json"]) == 3
    assert items_of(capsys.readouterr().out)["cost"] == Mark.MISSING


@pytest.mark.parametrize(
    "table", ["[cost]\nusd_per_hour = 2.0", "[cost]\nbudget_usd_per_day = 9.0", "[targets]"]
)
def test_a_price_without_an_alert_or_an_alert_without_a_price_is_not_enough(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(table)
    assert run(["ready", *DEVICE, "--json"]) == 3
    assert items_of(capsys.readouterr().out)["cost"] == Mark.FAILED


def test_targets_with_a_price_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    write_config("[cost]\nusd_per_hour = 2.0\n[targets]")
    assert run(["ready", *DEVICE, "--json"]) == 3
    assert items_of(capsys.readouterr().out)["cost"] == Mark.HOLDS


def test_old_proofs_and_other_settings_are_exit_code_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_config(CONFIG + "max_age_days = 0.0001\n")
    add_proofs(proofs_of_this_machine())
    assert run(["ready", *DEVICE, "--json"]) == 3
    marks = items_of(capsys.readouterr().out)
    assert {mark for item, mark in marks.items() if item != "cost"} == {Mark.OLD}
    assert run(["ready", *DEVICE, "--precision", "int4", "--strategy", "single", "--json"]) == 3
    marks = items_of(capsys.readouterr().out)
    assert [item for item, mark in marks.items() if mark == Mark.OTHER] == [
        "quality",
        "batching",
        "guards",
        "load",
        "recovery",
        "drain",
    ]


def test_a_hand_edited_file_is_told_and_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ["XDG_DATA_HOME"]) / "prodtop"
    folder.mkdir(parents=True)
    (folder / "readiness.json").write_text('{"schema_version": 1, "proofs": [{"item": "load"}]}')
    assert run(["ready", *DEVICE]) == 3
    assert "1 proofs are unusable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [("nothing", "unknown item 'nothing'"), ("cost", "nothing to run"), ("guards", "no guards")],
)
def test_what_cannot_be_run_is_bad_input(text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        parse_items(text, has_guards=False)


def test_items_are_run_in_their_order_and_all_unless_named() -> None:
    assert parse_items("drain, load", has_guards=False) == (Item.LOAD, Item.DRAIN)
    every = set(Item) - {Item.COST}
    assert set(parse_items("", has_guards=True)) == every
    assert set(parse_items("", has_guards=False)) == every - {Item.GUARDS}


def test_options_reach_the_server_that_drills_start() -> None:
    values = {"max_seqs": 4, "model": "-m", "log_json": False, "chat": True, "rate": None}
    assert command_flags(values) == ["--max-seqs=4", "--model=-m", "--chat"]


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_all_drills_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    write_config()
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    arguments = ["ready", *DEVICE, "--threads", "1", "--precision", "int8", "--json"]
    code = run([*arguments, "--run"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    marks = items_of(printed.out)
    assert code == 0, (marks, printed.err)
    assert set(marks.values()) == {Mark.HOLDS}
    figures = {each["item"]: each["figures"] for each in found["items"]}
    assert figures["load"]["requests"] == 8
    assert figures["recovery"]["restarted"] == 1
    assert figures["recovery"]["recovery_s"] > 0
    assert figures["drain"]["finished"] == figures["drain"]["in_flight"] > 0
    assert figures["drain"]["refused"] > 0
    assert figures["guards"]["findings"] > 0
    assert figures["quality"]["scored_tokens"] == 510
    # It is int8 that was measured, against the checkpoint's own precision.
    assert figures["quality"]["perplexity_ratio"] != 1.0
    (snapshot,) = list_snapshots()
    assert load_snapshot(snapshot).frame.precision == "int8"
    assert all(each["age_s"] < DEADLINE_S for each in found["items"])
    # Nothing is left running.
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= before
    # What was proved holds without running anything, and for these settings alone.
    assert run(arguments) == 0
    assert run(["ready", *DEVICE]) == 3


def test_ctrl_c_ends_all_that_was_started() -> None:
    command = [*PRODTOP, "ready", *DEVICE, "--threads", "1", "--run", "recovery"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline_s = time.monotonic() + DEADLINE_S
        # The server, and its worker.
        while len(started := children_of(process.pid)) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + signal.SIGINT
    assert said.decode() == "prodtop: ended by SIGINT\n"
    assert psutil.wait_procs(started, timeout=DEADLINE_S)[1] == []
    assert read_proofs().proofs == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_later_ones_do_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with RaisingSignals() as signals:
        with pytest.raises(InterruptedByError, match=number.name) as raised:
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert signals.count == 2
    assert raised.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_figures_are_judged_by_the_limits_of_now(capsys: pytest.CaptureFixture[str]) -> None:
    write_config(CONFIG + "most_recovery_s = 1\n")
    add_proofs(proofs_of_this_machine())
    assert run(["ready", *DEVICE, "--json"]) == 3
    assert items_of(capsys.readouterr().out)["recovery"] == Mark.FAILED


class NoMeasuring:
    """An engine that serves, and cannot measure."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self) -> Frame:
        return msgspec.structs.replace(
            frame(),
            model=msgspec.structs.replace(frame().model, name="bundled"),
            precision=PrecisionName.BF16,
            device_name=device_name("cpu"),
        )

    def quality(self) -> dict[str, float]:
        raise ProdtopError("the device has no memory for another copy")


def test_a_drill_that_fails_takes_an_older_proof_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ready_run, "Measuring", NoMeasuring)
    write_config()
    add_proofs(proofs_of_this_machine())
    assert run(["ready", *DEVICE, "--json", "--run", "quality"]) == 3
    printed = capsys.readouterr()
    assert "quality: the device has no memory" in printed.err
    assert items_of(printed.out)["quality"] == Mark.FAILED


def test_an_engine_on_another_device_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = msgspec.structs.replace(frame(), device_name="another")
    monkeypatch.setattr(NoMeasuring, "begin", lambda _: other)
    monkeypatch.setattr(ready_run, "Measuring", NoMeasuring)
    assert run(["ready", *DEVICE, "--run", "quality"]) == 1
    assert "the engine runs on another" in capsys.readouterr().err
    assert read_proofs().proofs == ()
