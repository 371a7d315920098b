"""Reading traces: every format, every way in which a file is odd, and any bytes at all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irregular_files import IRREGULAR
from prodtop.engine.protocol.errors import BadInputError, ProdtopError
from prodtop.engine.traces import trace_file
from prodtop.engine.traces.mooncake import write_line
from prodtop.engine.traces.trace import Trace, TraceEntry
from prodtop.engine.traces.trace_file import check_trace, parse_trace, read_trace
from trace_samples import AZURE, BURSTGPT, ENTRIES, HASHED, MOONCAKE, PLAIN

NAME = "t.csv"


def parsed(data: bytes) -> Trace:
    return parse_trace(data, NAME)


@pytest.mark.parametrize("sample", PLAIN)
def test_each_format_is_known_by_its_first_line(sample: str, tmp_path: Path) -> None:
    data, kind, without_output = PLAIN[sample]
    path = tmp_path / "trace"
    path.write_bytes(data)
    check_trace(path)
    trace = read_trace(path)
    assert (trace.name, trace.format, trace.without_output) == ("trace", kind, without_output)
    found = list(trace.entries())
    assert [each.arrival_s for each in found] == pytest.approx([e.arrival_s for e in ENTRIES])
    assert [(each.prompt_tokens, each.output_tokens) for each in found] == [
        (each.prompt_tokens, each.output_tokens) for each in ENTRIES
    ]
    assert trace.block_tokens is None
    assert all(each.hash_ids is None for each in found)
    assert len(trace.notes()) == bool(without_output)


ODD: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "empty lines": lambda data: b"\n" + data.replace(b"\n", b"\n\n  \n"),
    "no last end of line": lambda data: data.rstrip(b"\n"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("sample", PLAIN)
def test_how_a_file_was_saved_changes_nothing(sample: str, odd: str) -> None:
    data, *_ = PLAIN[sample]
    saved = parsed(ODD[odd](data))
    assert list(saved.entries()) == list(parsed(data).entries())
    assert not saved.truncated


@pytest.mark.parametrize("sample", PLAIN)
def test_a_last_line_that_was_cut_off_is_left_out_and_said(sample: str) -> None:
    data, *_ = PLAIN[sample]
    # Before the last fields: where a number alone is shorter, nobody can know.
    cut = parsed(data[: data.rindex(b"\n", 0, -1) + 10])
    assert list(cut.entries()) == list(parsed(data).entries())[:-1]
    assert cut.truncated
    assert any("ends within a line" in note for note in cut.notes())


def test_hash_ids_are_numbered_by_their_first_appearance() -> None:
    trace = parsed(HASHED)
    assert trace.block_tokens == 512
    assert [each.hash_ids for each in trace.entries()] == [(0, 1), (0,), (0, 2, 3), (4,)]


def test_lines_out_of_order_are_sorted_with_their_hashes_and_said() -> None:
    lines = HASHED.splitlines(keepends=True)
    trace = parsed(b"".join(lines[place] for place in (2, 0, 3, 1)))
    assert [each.prompt_tokens for each in trace.entries()] == [600, 512, 1100, 20]
    first, second, third, fourth = (each.hash_ids for each in trace.entries())
    assert first is not None
    assert second is not None
    assert third is not None
    assert fourth is not None
    assert first[0] == second[0] == third[0]
    assert len({*first, *second, *third, *fourth}) == 5
    assert trace.reordered == 2
    assert any("sorted by arrival" in note for note in trace.notes())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"TIMESTAMP,ContextTokens\n", "line 1 is no beginning of a trace"),
        (b"\xff\xfe\n", "line 1 is no beginning of a trace"),
        (b'"a\n', "line 1 is no beginning of a trace"),
        (b"[1, 2]\n", "line 1 is no beginning of a trace"),
        (AZURE.splitlines(keepends=True)[0], "holds no request"),
        (BURSTGPT + b"8,ChatGPT,1,2\n", "line 6 has 4 fields, the first line 6"),
        (BURSTGPT + b"8,GPT-4,-4,2,6,a\n", "line 6 -4 prompt tokens are out of bounds"),
        (BURSTGPT + b"8,GPT-4,4,99999999,6,a\n", "line 6 99999999 output tokens are out of bounds"),
        (BURSTGPT + b"8,GPT-4,4.5,1,6,a\n", "line 6 '4.5' is no number of tokens"),
        (BURSTGPT + b"8,GPT-4,1_0,1,6,a\n", "line 6 '1_0' is no number"),
        (BURSTGPT + b"nan,GPT-4,4,1,6,a\n", "line 6 'nan' is no number"),
        (BURSTGPT + b"-1,GPT-4,4,1,6,a\n", "line 6 a time of -1 s is out of bounds"),
        (BURSTGPT + b"1e300,GPT-4,4,1,6,a\n", "line 6 a time of 1e+300 s is out of bounds"),
        (BURSTGPT + b"9e9,GPT-4,4,1,6,a\n", "its times are of two kinds"),
        (BURSTGPT + b'8,"GPT-4,4,1,6,a\n', "line 6 is no line of a CSV file"),
        (BURSTGPT + b"8,\xff,4,1,6,a\n", "line 6 is not UTF-8 text"),
        (AZURE + b"\n2023-13-16 18:17:03,1,1\n", "line 6 '2023-13-16 18:17:03' is no time"),
        (AZURE + b"yesterday,1,1\n", "line 5 'yesterday' is no time such as 2023"),
        (AZURE + b"2023-11-17 00:00:00+99:00,1,1\n", "line 5 '2023-11-17 00:00:00+99:00' is no"),
        (MOONCAKE + b"{}\n", "line 4 cannot be read: Object missing required field `timestamp`"),
        (MOONCAKE + b"{\n", "line 4 cannot be read: Input data was truncated"),
        (MOONCAKE + b'{"timestamp": 1, "input_length": "1"}\n', "line 4 cannot be read: Expected"),
        (MOONCAKE + b"[" * 100_000 + b"\n", "line 4 cannot be read"),
        (
            HASHED
            + b'{"timestamp": 1, "input_length": 5, "output_length": 1, "hash_ids": [1, 2]}\n',
            "line 5 has 2 hash ids for a prompt of 5 tokens, which has 1 blocks of 512",
        ),
        (MOONCAKE + b" " * 2**21 + b"\n", "line 4 is longer than 1 MiB"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_wrong_is_one_line_with_its_number(data: bytes, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parsed(data)
    message = str(caught.value)
    assert message.startswith(f"trace {NAME}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("read", [read_trace, check_trace])
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_file_is_refused(
    kind: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "trace.csv"
    IRREGULAR[kind](path)
    with pytest.raises(BadInputError, match=f"is {kind} and not a regular file"):
        read(path)
    with pytest.raises(BadInputError, match="there is no such file"):
        read(tmp_path / "other.csv")


def test_a_trace_of_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trace_file, "MOST_ENTRIES", 2)
    with pytest.raises(BadInputError, match="line 4 is one too many"):
        parsed(AZURE)
    monkeypatch.setattr(trace_file, "LARGEST_TRACE_BYTES", 20)
    path = tmp_path / "t.csv"
    path.write_bytes(AZURE)
    with pytest.raises(BadInputError, match="is larger than"):
        read_trace(path)


MUTATED = st.builds(
    lambda data, at, cut, put: data[: at % len(data)] + put + data[at % len(data) + cut :],
    st.sampled_from([sample[0] for sample in PLAIN.values()] + [HASHED]),
    st.integers(0, 2**16),
    st.integers(0, 40),
    st.binary(max_size=12)
    | st.sampled_from([b"\n", b",", b'"', b"{", b"}", b"-", b"1e9", b"\x00", b"\xff", b"9" * 30]),
)


@given(st.binary(max_size=300) | MUTATED)
def test_any_bytes_are_entries_or_one_line(data: bytes) -> None:
    trace, message = None, ""
    try:
        trace = parsed(data)
    except ProdtopError as error:
        message = str(error)
    if trace is None:
        assert message.isprintable()
        return
    entries = list(trace.entries())
    assert entries
    assert entries[0].arrival_s == 0
    times_s = [each.arrival_s for each in entries]
    assert times_s == sorted(times_s)
    assert all(each.prompt_tokens >= 1 and each.output_tokens >= 1 for each in entries)
    assert all(note.isprintable() for note in trace.notes())


LINES = st.lists(
    st.tuples(
        st.integers(0, 10**9), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 99)
    ),
    min_size=1,
    max_size=40,
)


@given(LINES)
def test_what_is_written_is_read_back(rows: list[tuple[int, int, int, int]]) -> None:
    """Against the json module, and Python's own stable sort."""
    data = b"".join(
        write_line(at_ms, prompt, output, range(number, number - (-prompt // 512)))
        for at_ms, prompt, output, number in rows
    )
    lines = [json.loads(line) for line in data.splitlines()]
    expected = sorted(lines, key=lambda line: line["timestamp"])
    entries = list(parsed(data).entries())
    first_ms = expected[0]["timestamp"]
    assert [each.arrival_s for each in entries] == pytest.approx(
        [(line["timestamp"] - first_ms) / 1e3 for line in expected]
    )
    assert [(e.prompt_tokens, e.output_tokens, len(e.hash_ids or ())) for e in entries] == [
        (line["input_length"], line["output_length"], len(line["hash_ids"])) for line in expected
    ]


def test_a_part_of_a_trace_counts_from_its_start() -> None:
    trace = parsed(HASHED)
    part = trace.part(0.01, 2)
    assert [
        (round(each.arrival_s, 9), each.prompt_tokens, each.hash_ids) for each in part.entries()
    ] == [(0.0, 512, (0,)), (0.02, 1100, (0, 2, 3))]
    assert list(trace.part(0.0, None).entries()) == list(trace.entries())
    with pytest.raises(BadInputError, match=r"has no request after 9 s; it ends at 0\.04 s"):
        trace.part(9, None)


def test_an_entry_says_what_its_line_said() -> None:
    assert parsed(MOONCAKE).entry(1) == TraceEntry(0.75, 33, 41, None)
