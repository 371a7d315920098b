"""Lines of a recording that say how their requests went: written, read again, and foreign ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.traces.mooncake import read_line, write_line
from prodtop.engine.traces.rows import LineError, Measured
from prodtop.engine.traces.trace_file import parse_trace, read_rows
from trace_samples import AZURE, BURSTGPT, ENTRIES, MOONCAKE

PROMPT = 700
_MS = st.none() | st.floats(0, 1e9).map(lambda ms: round(ms, 3))
MEASURED = st.builds(
    Measured,
    ttft_ms=_MS,
    tpot_ms=_MS,
    e2e_ms=_MS,
    cached_tokens=st.none() | st.integers(0, PROMPT),
    ok=st.none() | st.booleans(),
)


@given(MEASURED)
def test_what_is_written_is_read_again(measured: Measured) -> None:
    row = read_line(write_line(5, PROMPT, 9, [0, 1], measured))
    assert row.measured == (None if measured == Measured() else measured)
    assert row._replace(measured=None) == read_line(write_line(5, PROMPT, 9, [0, 1]))


@given(MEASURED)
def test_what_others_read_of_a_line_is_the_same(measured: Measured) -> None:
    plain = json.loads(write_line(5, PROMPT, 9, [0, 1]))
    assert plain.items() <= json.loads(write_line(5, PROMPT, 9, [0, 1], measured)).items()
    whole = parse_trace(write_line(5, PROMPT, 9, [0, 1], measured), "t")
    (entry,) = whole.entries()
    assert (entry.prompt_tokens, entry.output_tokens, entry.hash_ids) == (PROMPT, 9, (0, 1))


@pytest.mark.parametrize(
    "field",
    [
        {"ttft_ms": -1},
        {"tpot_ms": -0.1},
        {"e2e_ms": 1e300},
        {"cached_length": PROMPT + 1},
        {"cached_length": -1},
        {"ok": "yes"},
        {"e2e_ms": "fast"},
    ],
)
def test_what_cannot_be_is_refused(field: dict[str, object]) -> None:
    line = json.loads(write_line(5, PROMPT, 9, [0, 1])) | field
    with pytest.raises(LineError):
        read_line(json.dumps(line).encode())


@pytest.mark.parametrize("data", [AZURE, BURSTGPT, MOONCAKE])
def test_foreign_rows_are_those_of_the_trace_and_tell_nothing(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(data)
    rows = [row for row in read_rows(path) if row.output_tokens]
    assert [(row.prompt_tokens, row.output_tokens) for row in rows] == [
        (each.prompt_tokens, each.output_tokens) for each in ENTRIES
    ]
    assert all(row.measured is None for row in rows)


def test_rows_of_a_file_that_is_none_are_refused_and_a_cut_off_end_is_left_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t"
    with pytest.raises(BadInputError, match="there is no such file"):
        list(read_rows(path))
    path.write_bytes(b"")
    with pytest.raises(BadInputError, match="is empty"):
        list(read_rows(path))
    path.write_bytes(MOONCAKE + b'{"timestamp": 4')
    assert len(list(read_rows(path))) == len(ENTRIES)
    path.write_bytes(MOONCAKE + b'{"timestamp": 4\n')
    with pytest.raises(BadInputError, match="line 4"):
        list(read_rows(path))
