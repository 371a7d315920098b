"""What the options of ramps, bursts and traces say, and what they refuse."""

from pathlib import Path

import pytest
from prodtop.engine.protocol import BurstSpec, LoadSpec, RampSpec, TraceSpec
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.tui.commands.engine_options import OPTIONS, engine_options
from prodtop.tui.commands.main import run
from trace_samples import AZURE

BASE = WorkerOptions(load=LoadSpec(users=8, trace=TraceSpec(path="configured.csv")))


def load(**given: object) -> LoadSpec:
    return engine_options(dict.fromkeys(OPTIONS) | given, BASE).load


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "t.csv"
    path.write_bytes(AZURE)
    return str(path)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"ramp": "1:64:60"}, LoadSpec(users=64, ramp=RampSpec(start=1, seconds=60))),
        (
            {"ramp": " 2.5/s:50/s : 9"},
            LoadSpec(users=8, rate_per_s=50, ramp=RampSpec(start=2.5, seconds=9)),
        ),
        (
            {"burst": "50:5:30"},
            LoadSpec(users=8, rate_per_s=0, burst=BurstSpec(rate_per_s=50, seconds=5, every_s=30)),
        ),
        (
            {"burst": "50:5:30", "rate": 4.0},
            LoadSpec(users=8, rate_per_s=4, burst=BurstSpec(rate_per_s=50, seconds=5, every_s=30)),
        ),
        ({"rate": 4.0}, LoadSpec(users=8, rate_per_s=4)),
        ({}, BASE.load),
    ],
)
def test_the_kind_that_is_given_takes_the_place_of_the_one_before(
    given: dict[str, object], wanted: LoadSpec
) -> None:
    assert load(**given) == wanted


def test_a_trace_is_named_with_its_whole_path(trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(trace).parent)
    found = load(trace="t.csv", trace_speed=2.0, trace_loop=True, trace_start=1.0, trace_requests=5)
    assert found.trace == TraceSpec(path=trace, speed=2, loop=True, start_s=1, most_requests=5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ramp", "1:2"], "--ramp '1:2' is no ramp: write A:B:SECONDS"),
        (["--ramp", "1/s:2:9"], "is no ramp"),
        (["--ramp", "1:2.5:9"], "2.5 is no number of users"),
        (["--ramp", "1:nan:9"], "nan is no number of users"),
        (["--ramp", "1:2:0"], "--ramp must be a number from 0.001"),
        (["--ramp", "1:2:9", "--rate", "3"], "--ramp and --rate exclude each other"),
        (["--burst", "1:2"], "--burst '1:2' is no burst: write RATE:SECONDS:EVERY"),
        (["--burst", "9:5:5"], "--burst of 5 s every 5 s has no end"),
        (["--burst", "9:inf:5"], "--burst must be a number"),
        (["--burst", "9:1:5", "--ramp", "1:2:9"], "exclude each other"),
        (["--trace", "none.csv"], "there is no such file"),
        (["--trace-speed", "2"], "--trace-speed needs --trace FILE"),
        (["--trace-loop"], "--trace-loop needs --trace FILE"),
        (["--trace", "TRACE", "--rate", "2"], "--trace and --rate exclude each other"),
        (["--trace", "TRACE", "--burst", "9:1:5"], "exclude each other"),
        (["--trace", "TRACE", "--users", "2"], "--trace and --users exclude each other"),
        (["bench", "--trace", "TRACE", "--concurrency", "2"], "exclude each other"),
        (["--trace", "TRACE", "--trace-speed", "0"], "--trace-speed must be a number from 0.001"),
        (["bench", "--trace", "TRACE", "--trace-start", "99"], "has no request after 99 s"),
        (["--trace", __file__], "is no beginning of a trace"),
        (["--record-trace", __file__], "is there already: record to a new file"),
        (["--record-trace", "/none/a.jsonl"], "cannot record to /none/a.jsonl"),
        (["trace", "record", __file__], "is there already"),
        (["trace", "show", "none.csv"], "there is no such file"),
        (["trace", "show", __file__], "is no beginning of a trace"),
        (["trace"], "Missing command"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], words: str, trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([trace if each == "TRACE" else each for each in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_malformed_later_line_is_the_workers_to_find(trace: str) -> None:
    """The screen is not held up by reading all of it."""
    with Path(trace).open("ab") as file:
        file.write(b"nonsense\n")
    assert load(trace=trace).trace is not None
    with pytest.raises(BadInputError, match="no such file"):
        load(trace=trace + "x")
