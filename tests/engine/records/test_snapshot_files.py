"""Snapshots: written whole, read back equal, and refused in one line when they are not ours."""

import json
import math
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import Divergence, Interval, TextPerplexity
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.snapshot import (
    SCHEMA_VERSION,
    SnapshotError,
    list_snapshots,
    load_snapshot,
    save_snapshot,
)
from snapshot_samples import compared, quality, snapshot


def test_a_snapshot_reads_back_equal(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(), "<svg/>", tmp_path)
    assert load_snapshot(path) == snapshot()
    assert path.with_suffix(".svg").read_text() == "<svg/>"


@given(
    series=st.dictionaries(
        st.text("abc _%é", max_size=8),
        st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats())),
        max_size=3,
    )
)
@settings(deadline=None, max_examples=30)
def test_any_series_survives_but_for_points_that_are_no_numbers(
    tmp_path_factory: pytest.TempPathFactory, series: dict[str, list[tuple[float, float]]]
) -> None:
    path = save_snapshot(snapshot(series=series), "", tmp_path_factory.mktemp("snapshots"))
    finite = {
        name: [(at_s, value) for at_s, value in points if abs(value) < float("inf")]
        for name, points in series.items()
    }
    assert load_snapshot(path).series == finite


def test_the_files_are_the_owners_alone_and_named_after_what_they_show(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "snapshots"
    path = save_snapshot(snapshot(), "<svg/>", folder)
    assert path.name.endswith("-hybrid-fp32.json")
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 2


def test_two_within_a_second_are_two(tmp_path: Path) -> None:
    paths = {save_snapshot(snapshot(), "", tmp_path) for _ in range(3)}
    assert len(paths) == 3
    assert set(list_snapshots(tmp_path)) == paths


def test_no_folder_is_no_snapshots(tmp_path: Path) -> None:
    assert list_snapshots(tmp_path / "none") == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ProdtopError, match="cannot write a snapshot to"):
        save_snapshot(snapshot(), "", blocked / "snapshots")


def saved_with(tmp_path: Path, **changes: object) -> Path:
    """A snapshot file some of whose top-level fields were changed by hand."""
    path = save_snapshot(snapshot(), "", tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_a_newer_schema_is_named(tmp_path: Path) -> None:
    path = saved_with(tmp_path, schema_version=SCHEMA_VERSION + 1, frame="of the future")
    with pytest.raises(SnapshotError, match="written by a newer prodtop") as caught:
        load_snapshot(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"schema_version": 1}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_malformed_file_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"broken\.json is no snapshot") as caught:
        load_snapshot(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot read"):
        load_snapshot(tmp_path / "missing.json")


def test_escapes_in_a_file_do_not_reach_the_screen(tmp_path: Path) -> None:
    path = saved_with(tmp_path, label="a\x1b]52;c;x\x07b", events=["\x9b2J\nline"])
    loaded = load_snapshot(path)
    assert loaded.label == "a]52;c;xb"
    assert loaded.events == ["2J line"]


def test_the_text_of_a_stream_keeps_its_lines(tmp_path: Path) -> None:
    loaded = load_snapshot(save_snapshot(snapshot(text="one\ntwo\x1b"), "", tmp_path))
    assert loaded.frame.stream is not None
    assert loaded.frame.stream.text == "one\ntwo"


def test_the_schema_version_is_in_the_file(tmp_path: Path) -> None:
    content = msgspec.json.decode(save_snapshot(snapshot(), "", tmp_path).read_bytes())
    assert content["schema_version"] == SCHEMA_VERSION


def test_quality_reads_back_equal_and_a_file_without_it_is_read(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(quality=quality()), "", tmp_path)
    assert load_snapshot(path).quality == quality()
    fields = json.loads(path.read_text())
    del fields["quality"]
    path.write_text(json.dumps(fields))
    assert load_snapshot(path).quality is None


def test_a_sweep_reads_back_equal_and_a_file_without_it_is_read(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(comparison=compared()), "", tmp_path)
    assert load_snapshot(path).comparison == compared()
    fields = json.loads(path.read_text())
    del fields["comparison"]
    path.write_text(json.dumps(fields))
    assert load_snapshot(path).comparison is None


anything = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(anything, anything, anything), st.floats(0, allow_infinity=False))
@example((1e22, 1e300, 5e-324), 1e38)
@settings(deadline=None, max_examples=30)
def test_whatever_a_broken_level_loses_is_saved_and_read(
    tmp_path_factory: pytest.TempPathFactory, ends: tuple[float, float, float], kl: float
) -> None:
    value, low, high = ends
    interval = Interval(value=value, low=low, high=high)
    found = Divergence(
        kl_mean=interval, kl_median=kl, kl_p99=kl, kl_p999=kl, kl_max=kl,
        same_top=interval, rms_dp=0.5,
    )  # fmt: skip
    level = msgspec.structs.replace(
        quality().levels[0],
        perplexity=interval,
        ratio=interval,
        divergence=found,
        text=TextPerplexity(word=value, byte=low, bits_per_byte=high),
    )
    broken = msgspec.structs.replace(quality(), levels=[level])
    path = save_snapshot(snapshot(quality=broken), "", tmp_path_factory.mktemp("snapshots"))
    assert load_snapshot(path).quality == broken


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, value: float) -> None:
    """JSON has no word for it: it would be read as missing, where nothing may be missing."""
    level = msgspec.structs.replace(quality().levels[0], scored_tok_s=value)
    broken = msgspec.structs.replace(quality(), levels=[level])
    served = msgspec.structs.replace(snapshot().frame, uptime_s=value)
    for moment in (snapshot(quality=broken), snapshot(frame=served)):
        with pytest.raises(ProdtopError, match=r"cannot save this moment: \w+ is"):
            save_snapshot(moment, "", tmp_path)
    assert list(tmp_path.iterdir()) == []
