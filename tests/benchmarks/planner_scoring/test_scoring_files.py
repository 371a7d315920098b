"""Tables of runs as they come: any order of columns, any line ends, cells left open or misspelt."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planner_scoring.scoring import Report, parse_rows, score
from test_scoring import ROW

_STEP = {**ROW, "tokens_per_s_per_gpu": "", "step_time_s": "3.1", "peak_mem_gb": "70"}
_ODD = st.text(max_size=12) | st.sampled_from(
    [
        *("", " ", "n/a", "-", "0", "-1", "1e300", "nan", "inf", "7", "4096", "8k", "1,024", "~3"),
        *("64 GPUs", "2x8", "1-2", "full", "fp8", "FSDP2", "A100-SXM4-40GB", "Mixtral-8x7B", "70B"),
        *("8x HDR200 per node", "2M tokens", "12 ms", "80 GiB", "a, quoted cell", "two\nlines"),
    ]
)


def written(
    rows: Sequence[dict[str, str]],
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    line_end: str = "\n",
    encoding: str = "utf-8",
    quoted: bool = False,
) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(
        file,
        columns,
        extrasaction="ignore",
        delimiter=delimiter,
        lineterminator=line_end,
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    )
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode(encoding)


def errors(report: Report) -> list[float]:
    return [one.error for one in report.scored]


@settings(deadline=None)
@given(
    st.permutations([*_STEP, "comment", "achieved tflops"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.booleans(),
)
def test_the_way_a_table_is_written_does_not_matter(
    columns: list[str], delimiter: str, line_end: str, encoding: str, quoted: bool
) -> None:
    row = {**_STEP, "comment": "a, b; c\td", "achieved tflops": "400"}
    data = written(
        [row, ROW],
        columns,
        delimiter=delimiter,
        line_end=line_end,
        encoding=encoding,
        quoted=quoted,
    )
    assert errors(score(parse_rows(data))) == errors(score([_STEP, ROW]))


def test_headers_in_capitals_and_short_lines_are_read() -> None:
    header = ",".join(f" {name.upper().replace('_', ' ')} " for name in ROW)
    cells = ",".join(f'"{cell}"' for cell in ROW.values())
    rows = parse_rows(f"{header}\n{cells}\n\n,,\nonly a source\n".encode())
    report = score(rows)
    assert len(report.scored) == 1
    assert [skipped.row for skipped in report.skipped] == [2, 3]


def test_latin_letters_are_read() -> None:
    data = written([{**ROW, "notes": "gemessen für 8 GPUs"}], [*ROW], encoding="latin-1")
    assert len(score(parse_rows(data)).scored) == 1


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.dictionaries(st.sampled_from([*_STEP, "params_b", "nodes", "interconnect", "vp"]), _ODD)
    )
)
def test_every_row_is_scored_or_listed_with_its_reason(changes: list[dict[str, str]]) -> None:
    rows = [{**_STEP, **change} for change in changes]
    report = score(rows)
    listed = {one.row for one in report.scored} | {one.row for one in report.skipped}
    assert listed == set(range(1, len(rows) + 1))
    assert all(one.reason for one in report.skipped)
    assert all(one.predicted > 0 and one.measured > 0 for one in report.scored)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        rows = parse_rows(b",".join(name.encode() for name in ROW) + b"\n" + data)
    except csv.Error:
        return
    report = score(rows)
    assert len(report.scored) + len(report.skipped) >= len(rows)


@pytest.mark.parametrize("text", ["", "\n", "source,model"])
def test_a_table_without_rows_has_none(text: str) -> None:
    assert parse_rows(text.encode()) == []
