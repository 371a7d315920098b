"""What other programs are given of a recording: spans that nest, times that add up, clean text."""

import csv
import json
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from frame_requests import finished
from frames import frame
from hostile_text import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import FinishedRequest, PrecisionName, StrategyName
from prodtop.engine.records.columns import COLUMNS
from prodtop.engine.records.export.formats import FORMATS
from prodtop.engine.records.export.perfetto import in_lanes, spans_of
from prodtop.engine.records.export.session import Ended, left_out
from prodtop.engine.records.recording.reader import Recording
from recording_samples import CLOCK_S, recorded_session, ticks_of, write_recording

TRICKY = '=cmd, "x"\n' + HOSTILE


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("session") / "a.ptop"
    recorded_session(path, 12, segment_s=5)
    return Recording(path)


def lines(recording: Recording, kind: str) -> list[str]:
    return list(FORMATS[kind](recording))


def trace(recording: Recording) -> list[dict[str, object]]:
    whole = json.loads("\n".join(lines(recording, "perfetto")))
    events: list[dict[str, object]] = whole["traceEvents"]
    return events


TIMES_MS = st.floats(0, 5_000)
REQUESTS = st.builds(
    FinishedRequest,
    request_id=st.integers(0, 10**6),
    strategy=st.sampled_from(StrategyName),
    precision=st.sampled_from(PrecisionName),
    prompt_tokens=st.integers(1, 4_096),
    output_tokens=st.integers(0, 4_096),
    finish_reason=st.sampled_from(["stop", "length", "aborted"]),
    arrival_at_s=st.floats(0, 20),
    e2e_ms=TIMES_MS,
    ttfb_ms=TIMES_MS,
    queue_ms=st.one_of(st.none(), TIMES_MS),
    ttft_ms=st.one_of(st.none(), TIMES_MS),
).map(lambda request: Ended(request, request.arrival_at_s, request.finish_reason))


@given(st.lists(REQUESTS, max_size=30))
def test_spans_of_a_lane_nest_and_add_up(requests: list[Ended]) -> None:
    by_lane: dict[int, list[tuple[int, int]]] = {}
    for lane, ended in in_lanes(requests):
        whole, *parts = spans_of(ended, lane)
        start, length = int(str(whole["ts"])), int(str(whole["dur"]))
        assert length == round(ended.request.e2e_ms * 1e3)
        by_lane.setdefault(lane, []).append((start, start + length))
        at = start
        for part in parts:
            assert part["ts"] == at, "one begins where the other ends"
            at += int(str(part["dur"]))
            assert int(str(part["dur"])) >= 0
        assert not parts or at == start + length, "they add up to the request's latency"
    for spans in by_lane.values():
        for (_, end), (start, _) in pairwise(spans):
            assert end <= start


@given(st.lists(REQUESTS, max_size=30))
def test_there_are_no_more_lanes_than_requests_at_once(requests: list[Ended]) -> None:
    placed = in_lanes(requests)
    ends = [(e.began_s * 1e6, e.began_s * 1e6 + max(1.0, e.request.e2e_ms * 1e3)) for e in requests]
    most = max(
        (sum(s <= start + 1 and start - 1 < e for s, e in ends) for start, _ in ends), default=0
    )
    assert len({lane for lane, _ in placed}) <= most


def test_a_trace_has_every_request_and_its_counters(recording: Recording) -> None:
    events = trace(recording)
    ended = [r for t in recording.ticks(0) for r in t.ended]
    named = [e["name"] for e in events if e["ph"] == "X" and str(e["name"]).startswith("request")]
    assert sorted(map(str, named)) == sorted(f"request {r.request_id}" for r in ended)
    assert {"decode_tok_s", "running", "gpu"} <= {e["name"] for e in events if e["ph"] == "C"}
    assert {e["name"] for e in events if e["ph"] == "i"} == {"Ready", "Switched"}
    tracks = {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"}
    assert tracks <= {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}


def test_a_mooncake_trace_has_the_arrivals_and_lengths(recording: Recording) -> None:
    told = [json.loads(line) for line in lines(recording, "mooncake")]
    ended = sorted((r for t in recording.ticks(0) for r in t.ended), key=lambda r: r.arrival_at_s)
    first_s = ended[0].arrival_at_s
    assert [(t["timestamp"], t["input_length"], t["output_length"]) for t in told] == [
        (round((r.arrival_at_s - first_s) * 1e3), r.prompt_tokens, r.output_tokens) for r in ended
    ]


def test_openmetrics_has_the_form_that_promtool_reads(recording: Recording) -> None:
    *told, end = lines(recording, "openmetrics")
    assert end == "# EOF"
    family, times = "", [0.0]
    for line in told:
        if line.startswith("# TYPE"):
            kind = re.fullmatch(r"# TYPE (prodtop_\w+) (gauge|counter)", line)
            assert kind, line
            family = kind[1] + ("_total" if kind[2] == "counter" else "")
            times = [0.0]
            continue
        sample = re.fullmatch(r"(\w+) (\S+) (\d+\.\d{3})", line)
        assert sample, line
        assert sample[1] == family
        float(sample[2])
        times.append(float(sample[3]))
        assert times[-1] > times[-2]


def test_tables_have_a_row_for_each(recording: Recording) -> None:
    requests = list(csv.DictReader(lines(recording, "csv")))
    assert len(requests) == sum(len(t.ended) for t in recording.ticks(0))
    assert float(requests[0]["e2e_ms"]) == 612.0
    rows = list(csv.DictReader(lines(recording, "series")))
    assert len(rows) == recording.last_tick + 1
    assert set(rows[0]) == {"wall_s", *COLUMNS}
    assert rows[0]["mbu"] == "", "the first poll had no frame"


@pytest.mark.parametrize("kind", FORMATS)
def test_text_of_an_engine_is_clean_in_every_format(tmp_path: Path, kind: str) -> None:
    sample = finished(5, StrategyName.HYBRID)
    hostile = msgspec.structs.replace(
        sample,
        requests=[msgspec.structs.replace(r, finish_reason=TRICKY) for r in sample.requests],
        left_out=7,
    )
    path = write_recording(tmp_path / "a.ptop", ticks_of([[frame(5), hostile]]))
    recording = Recording(path)
    assert left_out(recording) == 7
    for line in lines(recording, kind):
        assert line.isprintable()


def test_a_worker_on_another_clock_is_told_by_the_recordings(tmp_path: Path) -> None:
    """Frames of the scripted engine count from 500 s, the screen's clock from 1000 s."""
    path = write_recording(
        tmp_path / "a.ptop", ticks_of([[frame(5), finished(5, StrategyName.HYBRID)]])
    )
    (first, _) = csv.DictReader(lines(Recording(path), "csv"))
    assert CLOCK_S == 1000.0
    assert float(first["arrival_s"]) == pytest.approx(-1.0)
