"""What snapshots and recordings give to a diff, and how a part of a recording is written."""

from pathlib import Path

import msgspec
import pytest
from frames import play
from of_our_own import known
from prodtop.engine.protocol import FinishedSample
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.records.diff.diff import Verdict, diff_of
from prodtop.engine.records.diff.read import read_side
from prodtop.engine.records.diff.snapshot_side import energy_growth
from prodtop.engine.records.recording.stretch import WHOLE, Stretch, split_name
from prodtop.engine.records.snapshot import save_snapshot
from recording_samples import recorded_session
from snapshot_samples import snapshot


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of single, continuous and hybrid."""
    path = tmp_path_factory.mktemp("recording") / "a.ptop"
    recorded_session(path, 60)
    return path


def test_a_recording_gives_every_request_and_a_reading_a_second(recording: Path) -> None:
    side = read_side(recording)
    reports = [report for poll in play(60) for report in poll]
    told = sum(len(each.requests) for each in reports if isinstance(each, FinishedSample))
    assert len(side.requests["success"]) == told
    assert len(side.requests["ttft"]) == told
    assert 58 <= len(side.series["decode_tok_s"]) <= 61
    assert side.settings["strategy"] == ["single", "continuous", "hybrid"]
    assert side.settings["model"] == ["qwen3-0.6b"]
    assert side.span_s == pytest.approx(60.25)


def test_a_part_holds_what_was_in_it_alone(recording: Path) -> None:
    parts = [read_side(recording, split_name(f"a@{part}")[1]) for part in ("..20s", "50s..")]
    assert [each.settings["strategy"] for each in parts] == [["single"], ["hybrid"]]
    assert [each.span_s for each in parts] == [20.0, pytest.approx(10.25)]
    found = {each.metric: each for each in diff_of(parts[0], parts[1]).changes}
    assert found["output_tok_s"].verdict is Verdict.UNDECIDED, "10 readings are too few"
    assert found["ttfb_mean_ms"].verdict is Verdict.BETTER
    halves = [read_side(recording, split_name(f"a@{part}")[1]) for part in ("0..24", "24..")]
    found = {each.metric: each for each in diff_of(halves[0], halves[1]).changes}
    assert found["output_tok_s"].verdict is Verdict.BETTER


def test_a_part_that_there_is_not_is_one_line(recording: Path) -> None:
    with pytest.raises(BadInputError, match="has nothing there: it is 60 s long"):
        read_side(recording, Stretch(70.0, None))


@pytest.mark.parametrize(
    ("text", "name", "stretch"),
    [
        ("latest", "latest", WHOLE),
        ("latest@0..90", "latest", Stretch(0.0, 90.0)),
        ("a@b@1m30s..2:00", "a@b", Stretch(90.0, 120.0)),
        ("a@1:02:03..", "a", Stretch(3723.0, None)),
        ("a@..1h", "a", Stretch(None, 3600.0)),
        ("me@host", "me@host", WHOLE),
        ("@..", "", Stretch()),
    ],
)
def test_names_with_parts(text: str, name: str, stretch: Stretch) -> None:
    assert split_name(text) == (name, stretch)


@pytest.mark.parametrize(
    "text", ["a@noon..", "a@5..5", "a@9..3", "a@-1..", "a@1..2..3", "a@1e9..", "a@nan.."]
)
def test_a_part_that_cannot_be_read_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError):
        split_name(text)


def test_a_snapshot_without_its_screen_gives_curves_alone(tmp_path: Path) -> None:
    curve = [(float(second), 100.0) for second in range(60)]
    for screen in (None, {"wall_s": "noon"}, {"wall_s": 60.0, "requests": {"rows": [7]}}):
        kept = snapshot(series={"decode_tok_s": curve}, screen=screen)
        side = read_side(save_snapshot(kept, "", tmp_path))
        assert side.requests == {}
        assert len(side.series["decode_tok_s"]) == 60
        assert side.counted["memory_bytes"] == known(kept.frame.memory).used_bytes


def test_a_snapshot_gives_the_requests_of_its_window(tmp_path: Path) -> None:
    row = {"state": "finished", "e2e_ms": 500.0, "ttft_ms": 40.0, "tpot_ms": 9.0, "queue_ms": 1.0}
    rows = [
        {**row, "arrival_s": 1000.0 - age_s, "state": state}
        for age_s, state in (
            (90.0, "finished"),
            (30.0, "failed"),
            (20.0, "finished"),
            (0.1, "decode"),
        )
    ]
    screen: dict[str, object] = {"wall_s": 1000.0, "requests": {"rows": rows}}
    side = read_side(save_snapshot(snapshot(screen=screen), "", tmp_path))
    assert side.requests["success"] == [0.0, 1.0]
    assert side.requests["ttft"] == [40.0]


def test_energy_is_the_growth_of_both_counters() -> None:
    joules = [(0.0, 10.0), (1.0, 15.0), (2.0, 12.0), (3.0, 14.0), (4.0, 20.0)]
    tokens = [(0.0, 100.0), (1.0, 150.0), (2.0, 200.0), (3.0, 300.0)]
    assert energy_growth(joules, tokens) == [(5.0, 50.0), (2.0, 100.0)]
    assert msgspec.json.encode(energy_growth([], tokens)) == b"[]"
