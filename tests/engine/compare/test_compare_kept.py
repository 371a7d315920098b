"""What is kept comes back; what is broken is one error that names file and line."""

import msgspec
import pytest
from comparisons import WORK, around, cell, comparison, measured, result, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.compare.kept import decode, encode, not_asked, resumed
from prodtop.engine.compare.quality_lines import retentions
from prodtop.engine.protocol import Interval, LevelQuality, PrecisionName
from prodtop.engine.protocol.errors import BadInputError

FULL = comparison(
    measured(cell("single"), around(10.0)),
    Measured(
        cell=cell("hybrid", "int4", users=3, max_seqs=4, drafts=2),
        repeats=[result(samples=[sample(0.5), sample(0.7, e2e_ms=None)], energy_j=None)],
        failure="the worker died: killed",
    ),
    Measured(cell=cell("cached", "fp8"), skipped="no fp8: “why”"),
    Measured(cell=cell("streaming", rate=2.5)),
)
LINES = encode(FULL).splitlines(keepends=True)


def test_everything_comes_back() -> None:
    assert decode(encode(FULL), "file") == FULL
    assert decode(encode(comparison()), "file") == comparison()


@given(st.integers(1, len(LINES) - 1))
def test_a_file_that_was_cut_between_lines_has_the_lines_before(count: int) -> None:
    found = decode(b"".join(LINES[:count]), "file")
    assert [each.cell for each in found.cells] == [each.cell for each in FULL.cells]
    assert sum(len(each.repeats) for each in found.cells) <= count - 1


@given(st.integers(0, len(LINES) - 1), st.binary(max_size=30))
def test_a_broken_line_is_named(number: int, noise: bytes) -> None:
    noise = noise.replace(b"\n", b"").replace(b"\r", b"")
    lines = [*LINES]
    lines[number] = b"{" + noise + b"\n"
    with pytest.raises(BadInputError, match=f"file:{number + 1}:"):
        decode(b"".join(lines), "file")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (LINES[0].replace(b'version":1', b'version":9'), "schema version 9"),
        (LINES[0] + b'{"cell":99,"skipped":"x"}\n', "file:2: there is no cell 99"),
        (LINES[0] + b'{"cell":-1,"skipped":"x"}\n', "file:2: there is no cell -1"),
        (LINES[0] + b"[" * 100_000 + b"\n", "file:2:"),
        (encode(comparison(Measured(cell=cell()), Measured(cell=cell()))), "twice"),
    ],
)
def test_what_no_comparison_holds_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        decode(content, "file")


def test_resuming_takes_the_repeats_and_tries_failures_again() -> None:
    asked = Comparison(
        work=WORK, cells=[Measured(cell=FULL.cells[1].cell), Measured(cell=cell("batched"))]
    )
    found = resumed(asked, FULL, "--out")
    assert [each.cell for each in found.cells] == [each.cell for each in asked.cells]
    assert found.cells[0].repeats == FULL.cells[1].repeats
    assert found.cells[0].failure is None
    assert found.cells[1].repeats == []
    others = not_asked(asked, FULL)
    assert [each.cell for each in others] == [FULL.cells[n].cell for n in (0, 2, 3)]


@pytest.mark.parametrize("field", WORK.__struct_fields__)
def test_resuming_other_work_is_refused_and_names_the_field(field: str) -> None:
    other = msgspec.structs.replace(WORK, **{field: "another"})
    with pytest.raises(BadInputError, match=field):
        resumed(Comparison(work=other, cells=[]), FULL, "--out")


def quality_line(precision: PrecisionName, ratio: Interval | None) -> bytes:
    level = LevelQuality(
        precision=precision, reference=PrecisionName.FP32, weights_bytes=1, scored_tokens=1,
        perplexity=Interval(value=5.0, low=4.0, high=6.0), ratio=ratio, divergence=None,
        text=None, greedy=None, scored_tok_s=1.0,
    )  # fmt: skip
    fields: dict[str, object] = msgspec.to_builtins(level)
    del fields["type"]
    return msgspec.json.encode({**fields, "kind": "level"}) + b"\n"


def test_retention_is_what_the_level_says() -> None:
    ratio = Interval(value=1.25, low=1.2, high=1.3)
    lines = b'{"kind":"errors","totals":{}}\n'
    lines += quality_line(PrecisionName.FP32, None) + quality_line(PrecisionName.INT4, ratio)
    assert retentions(lines, "q") == {PrecisionName.FP32: 1.0, PrecisionName.INT4: 0.8}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"kind":"errors"}\n', b"\xff\n", b'{"kind":"level","precision":"fp1"}\n',
     quality_line(PrecisionName.INT4, Interval(value=0.0, low=0.0, high=0.0))],
)  # fmt: skip
def test_no_quality_is_one_error(content: bytes) -> None:
    with pytest.raises(BadInputError, match="q"):
        retentions(content, "q")
