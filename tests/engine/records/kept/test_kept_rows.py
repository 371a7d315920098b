"""The list of what is kept: a row for every file, whatever it holds, read within bounds."""

import json
import os
import sqlite3
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.records.kept.rows import (
    CURVE_POINTS,
    LARGEST_LISTED_BYTES,
    MOST_FILES,
    KeptRow,
    Kind,
    find_kept,
    read_row,
    thinned,
)
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.engine.records.snapshot_files import name_snapshot
from recording_samples import recorded_session
from snapshot_samples import snapshot


def row_of(path: Path, kind: Kind = Kind.SNAPSHOT) -> KeptRow:
    status = path.lstat()
    return read_row(path, kind, status.st_mtime, status.st_size)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("recording") / "a.ptop"
    recorded_session(path, 50)
    return path.read_bytes()


def test_a_snapshot_says_what_it_shows(tmp_path: Path) -> None:
    curve = [(float(place), float(place % 97)) for place in range(1000)]
    path = save_snapshot(snapshot(series={"decode_tok_s": curve}), "", tmp_path)
    facts = row_of(path).facts
    assert facts is not None
    assert (facts.label, facts.model, facts.device) == ("before lunch", "tiny", "a processor")
    assert (facts.strategy, facts.precision, facts.decode_tok_s) == ("hybrid", "fp32", 123.4)
    assert facts.ttft_p95_ms == 20.0
    assert len(facts.curves["decode_tok_s"]) == CURVE_POINTS
    assert max(facts.curves["decode_tok_s"]) == 96.0, "no peak is lost"
    assert facts.events == ["ready"]
    assert facts.length_s is None


def test_a_recording_says_what_it_holds(tmp_path: Path, recording: bytes) -> None:
    path = tmp_path / "a.ptop"
    path.write_bytes(recording)
    facts = row_of(path, Kind.RECORDING).facts
    assert facts is not None
    assert (facts.model, facts.strategy, facts.precision) == ("qwen3-0.6b", "hybrid", "bf16")
    assert facts.length_s == pytest.approx(50.25)
    assert facts.requests == 402
    assert facts.curves["decode_tok_s"]
    assert "Switched" in facts.events
    assert not facts.in_use


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=300))
@settings(max_examples=40)
def test_thinning_keeps_the_greatest_and_the_order(values: list[float]) -> None:
    thin = thinned(values)
    assert len(thin) <= CURVE_POINTS
    assert max(thin, default=None) == max(values, default=None)
    places = iter(values)
    assert all(any(value == each for each in places) for value in thin)


def damaged(content: bytes, at: int, cut: int, put: bytes) -> bytes:
    at %= max(1, len(content))
    return content[:at] + put + content[at + cut :]


damage = st.tuples(st.integers(0, 1 << 20), st.integers(0, 60), st.binary(max_size=20))


@given(damage)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_hand_edited_snapshot_is_a_row(
    tmp_path_factory: pytest.TempPathFactory, how: tuple[int, int, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("snapshots")
    path = save_snapshot(snapshot(), "", folder)
    path.write_bytes(damaged(path.read_bytes(), *how))
    row = row_of(path)
    assert (row.facts is None) == bool(row.problem)
    assert row.problem.isprintable()


@given(damage)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_recording_is_a_row(
    tmp_path_factory: pytest.TempPathFactory, recording: bytes, how: tuple[int, int, bytes]
) -> None:
    path = tmp_path_factory.mktemp("recordings") / "a.ptop"
    path.write_bytes(damaged(recording, *how))
    row = row_of(path, Kind.RECORDING)
    assert (row.facts is None) == bool(row.problem)
    assert row.problem.isprintable()


HOSTILE = {
    "empty": b"",
    "no JSON": b"\x00\xff" * 99,
    "deep": b"[" * 100_000,
    "of a newer version": b'{"schema_version": 2, "frame": "of the future"}',
    "a version that is none": b'{"schema_version": -1}',
    "a huge number": b'{"schema_version": 1, "saved_wall_s": 1e308}',
    "escapes": b'{"schema_version": "\x1b]0;x\x07"}',
    "a terabyte of zeros": b'{"schema_version": 1' + b"0" * 4000 + b"}",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_foreign_file_is_a_row_with_the_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    row = row_of(path)
    assert row.facts is None
    assert row.problem
    assert row.problem.isprintable()
    if b'version": 2' in content:
        assert "newer prodtop" in row.problem


def test_escapes_in_names_and_contents_are_taken_out(tmp_path: Path) -> None:
    made = save_snapshot(snapshot(), "", tmp_path)
    fields = json.loads(made.read_text())
    fields["label"] = "a\x1b[2Jb"
    fields["frame"]["model"]["name"] = "m\x9b31m"
    fields["events"] = ["e\x1b]52;c;x\x07"]
    path = tmp_path / "evil\x1b[31m.json"
    path.write_text(json.dumps(fields))
    row = row_of(path)
    assert row.facts is not None
    assert row.id == "evil[31m"
    said = [row.facts.label, row.facts.model, *row.facts.events]
    assert said == ["a[2Jb", "m31m", "e]52;c;x"]


def test_what_is_larger_than_any_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch()
    os.truncate(path, LARGEST_LISTED_BYTES + 1)
    assert "larger than 16 MiB" in row_of(path).problem


def test_a_file_that_is_none_is_a_row(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert "a FIFO" in row_of(tmp_path / "a.json").problem
    (tmp_path / "b.json").symlink_to(tmp_path / "nowhere")
    assert row_of(tmp_path / "b.json").problem == "gone meanwhile"


def test_a_bomb_in_a_recording_is_a_row(tmp_path: Path, recording: bytes) -> None:
    path = tmp_path / "a.ptop"
    path.write_bytes(recording)
    bomb = zlib.compress(b"\x00" * (200 << 20), 9)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE segments SET peaks = ?, packed = ?", (bomb, bomb))
    connection.close()
    row = row_of(path, Kind.RECORDING)
    assert row.facts is None
    assert row.problem


def test_the_newest_files_are_listed_and_the_others_are_counted(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 3):
        path = tmp_path / f"{number}.json"
        path.touch()
        os.utime(path, (number, number))
    found = find_kept(tmp_path, tmp_path / "none")
    assert len(found.files) == MOST_FILES
    assert found.left_out == 3
    assert found.files[0][0].stem == str(MOST_FILES + 2)
    assert find_kept(tmp_path / "none", tmp_path / "none").files == []
    blocked = find_kept(tmp_path / "0.json", tmp_path / "none")
    assert "Not a directory" in blocked.problem


def test_a_name_is_shown_for_the_file(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(), "", tmp_path)
    name_snapshot(path, "the slow one")
    facts = row_of(path).facts
    assert facts is not None
    assert facts.label == "the slow one"
