"""The parser of expositions: Prometheus' own is the oracle, and nothing breaks it."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.exposition import (
    MOST_BYTES,
    MOST_LABELS,
    MOST_LINES,
    MOST_VALUE,
    Exposition,
    ExpositionError,
)
from prodtop.engine.attach.mapping.names import canonical
from prodtop.engine.text.cleaning import clean
from prometheus_client.parser import text_string_to_metric_families

NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
LABEL_VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\x85"), max_size=8
)
VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**6), 10**12).map(float)
)
SERIES = st.tuples(NAMES, st.dictionaries(LABEL_NAMES, LABEL_VALUES, max_size=4), VALUES)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def written(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def line_of(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {written(value)}" if labels else f"{name} {written(value)}"


@given(st.lists(SERIES, max_size=12))
def test_reads_what_prometheus_reads(found: list[tuple[str, dict[str, str], float]]) -> None:
    text = "".join(f"{line_of(*each)}\n" for each in found)
    expected: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if abs(sample.value) <= MOST_VALUE:
                labels = tuple(sorted((k, clean(v)) for k, v in sample.labels.items()))
                held = expected.setdefault(sample.name, {})
                held[labels] = max(sample.value, held.get(labels, sample.value))
    scrape = Exposition(text.encode())
    for name in scrape.names:
        raw = scrape.raw_name(name)
        assert scrape.samples(name) == expected.get(raw, {})
    assert {canonical(name) for name in expected} <= set(scrape.names)


@given(st.binary(max_size=400))
def test_no_bytes_break_it(body: bytes) -> None:
    scrape = Exposition(body)
    for name in list(scrape.names):
        for labels, value in scrape.samples(name).items():
            assert math.isfinite(value)
            assert all(clean(text) == text for _, text in labels)


@given(st.lists(SERIES, min_size=1, max_size=6), st.data())
def test_a_damaged_exposition_does_not_break_it(
    found: list[tuple[str, dict[str, str], float]], data: st.DataObject
) -> None:
    body = bytearray("".join(f"{line_of(*each)}\n" for each in found).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    scrape = Exposition(bytes(body))
    assert all(math.isfinite(v) for n in list(scrape.names) for v in scrape.samples(n).values())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('a{b="c"} 1', {(("b", "c"),): 1.0}),
        ('a{b="c",} 1', {(("b", "c"),): 1.0}),
        ('  a { b = "c" , d="e" }  1  ', {(("b", "c"), ("d", "e")): 1.0}),
        ("a 1 1700000000000", {(): 1.0}),
        ("a 1e3\r", {(): 1000.0}),
        ("a{} 2", {(): 2.0}),
        ('a{b="}{,\\""} 3', {(("b", '}{,"'),): 3.0}),
        ('a{le="1"} 4 # {trace_id="x"} 0.5 1.0', {(("le", "1"),): 4.0}),
        ('{"a"} 5', {(): 5.0}),
        ('{"a", b="c"} 6', {(("b", "c"),): 6.0}),
        ('a{"b.c"="d"} 7', {(("b.c", "d"),): 7.0}),
        ("a_total 8", {(): 8.0}),
        ("ray_a 9", {(): 9.0}),
        ("a NaN", {}),
        ("a +Inf", {}),
        ("a 1e31", {}),
        ("a 1_000", {}),
        ("a one", {}),
        ("a 1 2 3", {}),
        ("a", {}),
        ('a{b="c} 1', {}),
        ('a{b="c" d="e"} 1', {}),
        ('a{b="c",b="d"} 1', {}),
        ("a{b=c} 1", {}),
        ('a{b="c"} ', {}),
    ],
)
def test_a_line(line: str, expected: dict[object, float]) -> None:
    assert Exposition(f"{line}\n".encode()).samples("a") == expected


def test_escapes_of_a_terminal_are_gone() -> None:
    body = 'a{b="\x1b[31mred\x1b]0;t\x07\u202e",c="x\\ny"} 1\n'.encode()
    ((labels, _),) = Exposition(body).samples("a").items()
    assert labels == (("b", "[31mred]0;t"), ("c", "x y"))


def test_of_two_values_of_one_series_the_greater_is_taken_in_any_order() -> None:
    lines = ['a{b="1",c="2"} 1', 'a{c="2",b="1"} 3', 'a{b="1",c="2"} 2']
    for order in (lines, lines[::-1]):
        assert list(Exposition("\n".join(order).encode()).samples("a").values()) == [3.0]


def test_of_two_ways_to_write_a_metric_one_is_taken_in_any_order() -> None:
    lines = ["vllm:a_total 1", "vllm_a 2"]
    for order in (lines, lines[::-1]):
        scrape = Exposition("\n".join(order).encode())
        assert (scrape.samples("vllm_a"), scrape.raw_name("vllm_a")) == ({(): 1.0}, "vllm:a_total")


def test_bounds_are_held() -> None:
    with pytest.raises(ExpositionError, match="MiB"):
        Exposition(b"a" * (MOST_BYTES + 1))
    with pytest.raises(ExpositionError, match="lines"):
        Exposition(b"\n" * (MOST_LINES + 1))
    many = ",".join(f'l{place}="x"' for place in range(MOST_LABELS + 1))
    assert Exposition(f"a{{{many}}} 1".encode()).samples("a") == {}
    assert Exposition(b'a{b="' + b"x" * 20_000 + b'"} 1').samples("a") == {}


def process_time_s(body: bytes) -> float:
    began_s = time.process_time()
    scrape = Exposition(body)
    for name in list(scrape.names):
        scrape.samples(name)
    return time.process_time() - began_s


@pytest.mark.parametrize(
    "unit",
    [b'a{b="', b'a{b="\\', b'a{"', b"a{{{{", b'a{b="c",', b'a{"b"', b"a   ", b'{"a"'],
)
def test_time_grows_no_faster_than_an_answer(unit: bytes) -> None:
    """On one line, and on many, of what nearly is a sample."""
    for glue in (b"", b"\n"):
        short, long = (unit + glue) * 1_000, (unit + glue) * 8_000
        best = [min(process_time_s(body) for _ in range(3)) for body in (short, long)]
        assert best[1] < 40 * max(best[0], 2e-4)
