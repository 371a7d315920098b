"""Parquet, read back, is what the CSV export says: with types, and null for the unknown."""

import csv
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from prodtop.engine.files.atomic import fill_file
from prodtop.engine.protocol import FinishedRequest
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.export import parquet as module
from prodtop.engine.records.export.formats import FORMATS
from prodtop.engine.records.export.parquet import BINARY_FORMATS
from prodtop.engine.records.export.to_file import ENDINGS, KINDS, export_recording
from prodtop.engine.records.recording.reader import Recording
from recording_samples import FACTS, recorded_session

CSV_OF = {"parquet": "csv", "series-parquet": "series"}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("session") / "a.ptop"
    recorded_session(path, 12, segment_s=5)
    return Recording(path)


def as_text(value: object) -> str:
    return "" if value is None else str(value)


def same(text: str, value: object) -> bool:
    if isinstance(value, float):
        return float(text) == pytest.approx(value, abs=1e-6)
    return text == as_text(value)


@pytest.mark.parametrize("kind", BINARY_FORMATS)
@pytest.mark.parametrize("rows_of_a_group", [7, 16_384])
def test_it_is_what_the_csv_says(
    recording: Recording,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    rows_of_a_group: int,
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(module, "ROWS_OF_A_GROUP", rows_of_a_group)
    out = tmp_path / "a.parquet"
    export_recording(recording, kind, out)
    table = parquet.read_table(out)
    rows = list(csv.DictReader(FORMATS[CSV_OF[kind]](recording)))
    assert len(rows) > 20
    assert table.column_names == list(rows[0])
    for row, found in zip(rows, table.to_pylist(), strict=True):
        assert all(same(row[name], value) for name, value in found.items()), (row, found)
    groups = [
        parquet.ParquetFile(out).metadata.row_group(at).num_rows
        for at in range(parquet.ParquetFile(out).num_row_groups)
    ]
    assert max(groups) <= rows_of_a_group
    assert sum(groups) == len(rows)
    assert len(groups) == -(-len(rows) // rows_of_a_group)


def test_columns_have_the_types_of_the_message(recording: Recording, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_recording(recording, "parquet", tmp_path / "a.parquet")
    schema = parquet.read_schema(tmp_path / "a.parquet")
    types = {each.name: str(each.type) for each in schema}
    assert types["request_id"] == types["output_tokens"] == "int64"
    assert types["ttft_ms"] == types["arrival_s"] == "double"
    assert types["failed"] == types["from_response_cache"] == "bool"
    assert types["strategy"] == types["finish_reason"] == "string"
    assert set(types) - {"arrival_s"} == set(FinishedRequest.__struct_fields__) - {"arrival_at_s"}
    facts = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert facts["prodtop.prodtop"] == FACTS["prodtop"]
    assert facts["prodtop.began_wall_s"] == FACTS["began_wall_s"]
    assert facts["prodtop.model"] == "qwen3-0.6b"
    assert facts["prodtop.requests_left_out"] == "0"


@pytest.mark.parametrize("kind", BINARY_FORMATS)
def test_without_pyarrow_it_is_one_line_and_no_file(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ProdtopError, match=r"pip install 'prodtop\[parquet\]'") as caught:
        export_recording(recording, kind, tmp_path / "a.parquet")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_one_line(recording: Recording) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ProdtopError, match="cannot write /dev/full: No space left"):
        export_recording(recording, "parquet", Path("/dev/full"), through=True)


def test_what_fails_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "a"
    out.write_bytes(b"old")

    def fill(file: BinaryIO) -> None:
        file.write(b"new")
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        fill_file(out, fill)
    assert out.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_every_ending_is_of_a_format() -> None:
    assert set(ENDINGS.values()) < set(KINDS)
