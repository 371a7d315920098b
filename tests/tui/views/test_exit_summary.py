"""What the shell is left with: the session in a few lines, as a table of situations."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from frames import frame, steady
from prodtop.engine.protocol import (
    Accounting,
    LoadSpec,
    Percentile,
    PrecisionName,
    SpeculationSpec,
    StrategyName,
    Summary,
    TraceRecording,
)
from prodtop.engine.records.tried import Choice, Tried
from prodtop.tui.state.moment import Moment
from prodtop.tui.style.glyphs import ASCII, UNICODE
from prodtop.tui.views.exit_summary import exit_summary


def tried(figures: Summary | None, users: int, drafts: int | None = None) -> Tried:
    return Tried(
        settings=Choice(
            strategy=StrategyName.HYBRID,
            precision=PrecisionName.INT8,
            load=LoadSpec(users=users),
            speculation=None if drafts is None else SpeculationSpec(drafts=drafts),
        ),
        figures=figures,
    )


def moment() -> Moment:
    served = msgspec.structs.replace(
        frame(3725.0),
        accounting=Accounting(submitted=12_345, finished=12_340, failed=2, in_system=3, rejected=7),
        generated_tokens_total=1_234_567,
    )
    return Moment(wall_s=0.0, now_s=0.0, frame=served, frame_age_s=1.0)


def labelled(lines: list[str]) -> dict[str, str]:
    return {line[2:12].strip(): line[12:] for line in lines[1:]}


def test_an_engine_that_never_served_leaves_nothing() -> None:
    nothing = Moment(wall_s=0.0, now_s=0.0)
    assert exit_summary(nothing, [], [Path("/a.json")], UNICODE) == []


def test_a_recording_is_named() -> None:
    served = moment()
    assert served.frame is not None
    for stopped, end in ((None, ""), ("No space left", " (stopped: No space left)")):
        recording = TraceRecording(path="/a/own.jsonl", requests=3, stopped=stopped)
        shown = msgspec.structs.replace(served.frame, recording=recording)
        lines = exit_summary(replace(served, frame=shown), [], [], UNICODE)
        assert labelled(lines)["recorded"] == f"/a/own.jsonl{end}"


def test_the_session_in_a_few_lines() -> None:
    lines = exit_summary(moment(), [tried(steady(900.0), 8)], [], UNICODE)
    assert lines == [
        "prodtop  01:02:06  qwen3-0.6b on NVIDIA H200",
        "  requests  12,340 finished, 2 failed, 7 rejected",
        "  tokens    1,234,567 generated",
        "  best      900 tok/s, TTFT p95 88 ms: hybrid int8, 8 users",
    ]


NO_TTFT = msgspec.structs.replace(steady(900.0), ttft_p95=None)
UNKNOWN = "-- (no settings were steady for long enough)"


@pytest.mark.parametrize(
    ("records", "best"),
    [
        ([], UNKNOWN),
        ([tried(None, 8)], UNKNOWN),
        ([tried(steady(900.0, growing=True), 8)], UNKNOWN),
        (
            [tried(steady(500.0), 8), tried(steady(900.0), 16), tried(None, 32)],
            "900 tok/s, TTFT p95 88 ms: hybrid int8, 16 users",
        ),
        (
            [tried(steady(5000.0, growing=True), 64), tried(steady(400.0), 1, drafts=4)],
            "400 tok/s, TTFT p95 88 ms: hybrid int8 4 drafts, 1 user",
        ),
        ([tried(NO_TTFT, 8)], "900 tok/s, TTFT p95 --: hybrid int8, 8 users"),
    ],
)
def test_the_best_is_of_what_was_steady(records: list[Tried], best: str) -> None:
    assert labelled(exit_summary(moment(), records, [], UNICODE))["best"] == best


def test_every_snapshot_of_the_session_is_named() -> None:
    saved = [Path("/data/a.json"), Path.home() / "b.json"]
    lines = exit_summary(moment(), [], saved, UNICODE)
    assert lines[-3].startswith("  saved     2 snapshots")
    assert [line.strip() for line in lines[-2:]] == ["/data/a.json", "~/b.json"]


def test_in_ascii_nothing_else_is_said() -> None:
    growing = msgspec.structs.replace(
        steady(900.0), ttft_p95=Percentile(value_ms=88.0, at_least=True)
    )
    lines = exit_summary(moment(), [tried(growing, 8)], [Path("/a.json")], ASCII)
    assert all(line.isascii() for line in lines)
    assert "TTFT p95 >= 88 ms" in lines[3]
