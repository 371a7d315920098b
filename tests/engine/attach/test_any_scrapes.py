"""Whatever a server answers: no rate is negative, nothing is no number, order does not matter."""

import math
import random
from collections.abc import Iterator

import msgspec
import pytest
from engine_samples import SAMPLES
from exposition_writer import series
from frame_figures import figures
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.attach.mapping.engines import TABLES
from prodtop.engine.attach.mapping.source import Metric
from prodtop.engine.attach.reading.increases import MOST_KEPT_BYTES
from prodtop.engine.attach.reading.server_reading import Ceilings, ServerReading
from prodtop.engine.protocol import LATENCY_EDGES_MS, EngineKind, Figure, Frame, Window
from prodtop.engine.protocol.errors import UnreadableAnswerError

WALL_S = 1_790_000_000.0

VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, 3.0, 1e-9, 1e18, 1e29, 1.7e308, -1.0, math.nan, math.inf]),
    st.floats(0, 1e12),
)

COIN = st.booleans()


def names_of(kind: EngineKind) -> list[str]:
    """All names that a table reads, and some for its labels."""
    read = TABLES[kind].needs
    names = [metric.name for metric in read.counters if not metric.where]
    names += [f"{spread.base}_{part}" for spread in read.spreads for part in ("sum", "count")]
    return sorted({*names, *(n for n in read.gauges if not n.startswith("/"))})


@st.composite
def scrapes(draw: st.DrawFn) -> list[list[str]]:
    """Some scrapes of one server: any values under its names, series that come and go."""
    kind = draw(st.sampled_from([k for k in EngineKind if names_of(k)]))
    names = names_of(kind)
    read = TABLES[kind].needs
    found = []
    for _ in range(draw(st.integers(1, 5))):
        lines = [
            series(name, {"engine": draw(st.sampled_from(["0", "1"]))}, draw(VALUES))
            for name in draw(st.lists(st.sampled_from(names), max_size=25))
        ]
        lines += [
            series(metric.name, dict(metric.where), draw(VALUES))
            for metric in read.counters
            if draw(COIN) and metric.where
        ]
        lines += [
            series(f"{spread.base}_bucket", {"le": bound}, draw(VALUES))
            for spread in read.spreads
            for bound in draw(st.lists(st.sampled_from(["0.01", "0.1", "1", "+Inf"]), max_size=4))
        ]
        if draw(COIN):
            lines.append(series("process_start_time_seconds", {}, draw(VALUES)))
        found.append(lines)
    return found


def numbers(held: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a message."""
    if isinstance(held, dict):
        for key, value in held.items():
            yield from numbers(value, f"{path}.{key}")
    elif isinstance(held, list):
        for value in held:
            yield from numbers(value, path)
    elif isinstance(held, int | float) and not isinstance(held, bool):
        yield path, float(held)


def read(found: list[list[str]], times_s: list[float]) -> Frame | None:
    reading = ServerReading("http://a", "a")
    reading.ceilings = Ceilings(1e12, 1e12)
    frame: Frame | None = None
    for lines, at_s in zip(found, times_s, strict=True):
        body = "\n".join([*lines, ""]).encode()
        try:
            reading.take(body, "text/plain", at_s, WALL_S + at_s, 0.01)
        except UnreadableAnswerError:
            continue
        before, frame = frame, reading.frame(at_s, WALL_S + at_s)
        assert frame is not None
        check(frame)
        if before is not None:
            check_growth(before, frame)
    return frame


def check_growth(before: Frame, after: Frame) -> None:
    """What is counted since the session began never falls; another engine begins a new one."""
    assert before.attached is not None
    assert after.attached is not None
    if before.attached.kind is not after.attached.kind:
        return
    for old, new in zip(grown(before), grown(after), strict=True):
        assert old is None or new is None or old <= new


def grown(frame: Frame) -> list[int | None]:
    held, counts = frame.accounting, frame.latency_counts
    ended: list[int | None] = (
        [None] * 3 if held is None else [held.finished, held.failed, held.rejected]
    )
    length = 3 * (len(LATENCY_EDGES_MS) + 1)
    bins: list[int | None] = (
        [None] * length if counts is None else [*counts.ttft, *counts.tpot, *counts.e2e]
    )
    return [frame.generated_tokens_total, frame.queue.preemptions, *ended, *bins]


MAY_FALL = ("waiting_per_s",)


def check(frame: Frame) -> None:
    """What holds of every frame."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame) == frame
    for path, value in numbers(msgspec.to_builtins(frame)):
        assert math.isfinite(value), path
        assert value >= 0 or path.endswith(MAY_FALL), path
    for rates in frame.cache.rates.values():
        for rate in (rates.prefix, rates.response):
            assert rate is None or rate <= 1
    blocks = frame.cache.blocks
    if blocks is not None:
        assert blocks.running + (blocks.evictable or 0) + blocks.free == blocks.total
    for share in (frame.roofline.mbu, frame.roofline.mfu, frame.roofline.active, frame.cache.usage):
        assert share is None or share <= 1
    if frame.accounting is not None:
        held = frame.accounting
        assert held.submitted == held.finished + held.failed + held.in_system
    for usage in frame.usage.values():
        assert usage.prefill_device_s <= usage.device_s <= usage.span_s + 1e-9
    assert frame.attached is not None
    values, origins = figures(frame), frame.attached.origins
    assert set(origins) == set(Figure)
    for figure, origin in origins.items():
        told = values[figure] is not None
        assert told == (origin.missing is None), (figure, origin, values[figure])
        assert told == bool(origin.expression), figure


@given(scrapes(), st.data())
@settings(max_examples=80, deadline=None)
def test_any_scrapes_make_sound_frames(found: list[list[str]], data: st.DataObject) -> None:
    gaps_s = data.draw(st.lists(st.floats(0, 400), min_size=len(found), max_size=len(found)))
    read(found, [sum(gaps_s[: place + 1]) for place in range(len(found))])


@given(st.sampled_from(list(SAMPLES)), st.data())
@settings(max_examples=50, deadline=None)
def test_a_damaged_answer_is_refused_or_makes_a_sound_frame(name: str, data: st.DataObject) -> None:
    """Cut, doubled, with foreign bytes in it: between two good answers."""
    told = SAMPLES[name].told
    body = bytearray(told.body(1))
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
        body = body or bytearray(b" ")
    answers = [told.body(0), bytes(body), told.body(2)]
    reading = ServerReading("http://a", "a")
    for at_s, answer in enumerate(answers):
        try:
            reading.take(answer, "text/plain", float(at_s), WALL_S + at_s, 0.01)
        except UnreadableAnswerError:
            assert at_s == 1
        frame = reading.frame(float(at_s), WALL_S + at_s)
        assert frame is not None
        check(frame)


def shuffled(body: bytes, seed: int) -> bytes:
    """The same lines in another order, their labels too."""
    rng = random.Random(seed)
    lines = body.decode().splitlines()
    rng.shuffle(lines)
    turned = []
    for line in lines:
        name, brace, rest = line.partition("{")
        if brace:
            inner, _, value = rest.rpartition("}")
            pairs = inner.split('",')
            pairs = [pair if pair.endswith('"') else f'{pair}"' for pair in pairs]
            rng.shuffle(pairs)
            line = f"{name}{{{','.join(pairs)}}}{value}"
        turned.append(line)
    return "\n".join([*turned, ""]).encode()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_order_of_lines_and_labels_does_not_matter(name: str) -> None:
    sample = SAMPLES[name]
    frames = []
    for seed in (None, 1, 2):
        reading = ServerReading("http://a", "a")
        for at_s in range(4):
            body = sample.told.body(at_s)
            answer = body if seed is None else shuffled(body, seed + at_s)
            reading.take(answer, "text/plain", float(at_s), WALL_S + at_s, 0.01)
        frames.append(reading.frame(3.0, WALL_S))
    assert frames[0] == frames[1] == frames[2]


@pytest.mark.parametrize("name", SAMPLES)
def test_names_with_colons_or_underscores_with_or_without_total_are_the_same(name: str) -> None:
    sample = SAMPLES[name]
    found = []
    for variant in (0, 1, 2):
        reading = ServerReading("http://a", "a")
        for at_s in range(4):
            body = sample.told.body(at_s).decode()
            if variant == 1:
                body = "\n".join(line.replace(":", "_", 1) for line in body.splitlines())
            if variant == 2:
                body = body.replace("_total{", "{")
            reading.take(body.encode(), "text/plain", float(at_s), WALL_S + at_s, 0.01)
        frame = reading.frame(3.0, WALL_S)
        assert frame is not None
        found.append(figures(frame))
    assert found[0] == found[1] == found[2]


def test_a_server_that_makes_up_series_and_processes_takes_no_more_memory() -> None:
    reading = ServerReading("http://a", "a")
    sizes = []
    for at_s in range(40):
        long = "x" * 4_000
        lines = [
            series("vllm:generation_tokens_total", {"model_name": f"{long}{at_s}{place}"}, 1.0)
            for place in range(250)
        ]
        lines.append(series("process_start_time_seconds", {}, WALL_S - at_s // 8))
        reading.take("\n".join(lines).encode(), "text/plain", float(at_s), WALL_S, 0.01)
        session = reading._session
        assert session is not None
        counter = session._increases.counters[Metric("vllm:generation_tokens_total")]
        followed = counter.followed._last.values()
        sizes.append(sum(len(value) for held in followed for key in held for _, value in key))
        assert session._increases.room.left_bytes >= 0
    assert 0 < sizes[-1] == max(sizes) <= MOST_KEPT_BYTES / 4


def test_names_and_urls_are_cleaned() -> None:
    reading = ServerReading("http://a\x1b[2J", "n\x07")
    hostile = 'vllm:num_requests_running{model_name="m\x1b[31m\u202e",engine="0"} 1\n'
    reading.take(hostile.encode(), "text/plain", 0.0, WALL_S, 0.01)
    reading.take_json("/version", b'{"version": "1\\u001b]0;x\\u0007"}', 0.0)
    frame = reading.frame(0.0, WALL_S)
    assert frame is not None
    text = msgspec.json.encode(frame).decode()
    assert "\\u001b" not in text
    assert "\\u0007" not in text
    assert "\u202e" not in text
    assert frame.model.name == "m[31m"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
        b"Internal Server Error",
        b'{"detail": "Not Found"}',
        b"\x1f\x8b\x08\x00\x00",
        b"[1, 2",
        b"\n" * 200_000,
        b"x" * (9 * 2**20),
    ],
    ids=range(9),
)
def test_what_is_no_answer_leaves_what_was_known(body: bytes) -> None:
    reading = ServerReading("http://a", "a")
    told = SAMPLES["vllm"].told
    for at_s in range(3):
        reading.take(told.body(at_s), "text/plain", float(at_s), WALL_S + at_s, 0.01)
    before = reading.frame(3.0, WALL_S)
    with pytest.raises(UnreadableAnswerError):
        reading.take(body, "text/html", 3.0, WALL_S, 0.01)
    after = reading.frame(3.0, WALL_S)
    assert before is not None
    assert after == msgspec.structs.replace(before, sequence=before.sequence + 1)
    assert set(before.latency) == set(Window)
