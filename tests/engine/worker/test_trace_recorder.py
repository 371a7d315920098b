"""The recorder alone: the order of lines, what it forgets, and what stops it."""

import errno
import json
import os
from pathlib import Path

import pytest
from prodtop.engine.files.growing_file import GrowingFile
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving.request import Completion, Request, Sampling
from prodtop.engine.traces import growing_trace
from prodtop.engine.traces.growing_trace import FLUSH_INTERVAL_S
from prodtop.engine.worker.trace_recorder import TraceRecorder


def ended(
    number: int, arrival_at_s: float, prompt: list[int] | None = None, output: int = 3
) -> Completion:
    tokens = [number + 1] * 10 if prompt is None else prompt
    request = Request(number, tokens, max(output, 1), Sampling(), arrival_at_s)
    request.tokens += [9] * output
    return Completion(request, "secret text", None)


def recorder_in(folder: Path) -> TraceRecorder:
    return TraceRecorder(folder / "own.jsonl", 0.0)


def lines_of(recorder: TraceRecorder) -> list[dict[str, object]]:
    return [json.loads(line) for line in recorder.path.read_text().splitlines()]


def test_lines_wait_for_older_requests_and_come_in_the_order_of_arrival(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    slow = ended(0, 10.0)
    recorder.on_completions([ended(2, 12.0), ended(1, 11.0)])
    recorder.flush(FLUSH_INTERVAL_S, [slow.request])
    assert lines_of(recorder) == []
    recorder.on_completions([slow])
    recorder.flush(1.5 * FLUSH_INTERVAL_S, [])
    assert lines_of(recorder) == [], "not every moment"
    recorder.flush(2 * FLUSH_INTERVAL_S, [])
    assert [line["timestamp"] for line in lines_of(recorder)] == [0, 1000, 2000]
    recorder.on_completions([ended(3, 13.5)])
    recorder.close()
    assert [line["timestamp"] for line in lines_of(recorder)] == [0, 1000, 2000, 3500]
    assert recorder.state().requests == 4


def test_a_request_without_a_token_is_no_line(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.on_completions([ended(0, 1.0, output=0), ended(1, 2.0, output=1)])
    recorder.close()
    assert [line["output_length"] for line in lines_of(recorder)] == [1]


def test_blocks_are_numbered_by_what_leads_to_them(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    one, two = [1] * 512, [2] * 512
    prompts = [one + two, one + [5] * 100, two + two, one + two + [7], one + [5] * 99]
    recorder.on_completions([ended(at, float(at), prompt) for at, prompt in enumerate(prompts)])
    recorder.close()
    ids = [line["hash_ids"] for line in lines_of(recorder)]
    assert ids == [[0, 1], [0, 2], [3, 4], [0, 1, 5], [0, 6]]
    assert "secret" not in recorder.path.read_text()


def test_what_is_remembered_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_trace, "MOST_HASHES", 2)
    monkeypatch.setattr(growing_trace, "MOST_HELD", 3)
    recorder = recorder_in(tmp_path)
    blocks = [[1], [2], [1], [3], [2], [1]]
    recorder.on_completions([ended(at, float(at), prompt) for at, prompt in enumerate(blocks)])
    oldest = ended(99, -1.0)
    recorder.flush(FLUSH_INTERVAL_S, [oldest.request])
    assert len(lines_of(recorder)) == 3, "no more than three are held"
    recorder.close()
    # 2 was used longest ago when 3 came, and 1 when 2 came again.
    assert [line["hash_ids"] for line in lines_of(recorder)] == [[0], [1], [0], [2], [3], [4]]


def test_a_full_disk_ends_the_recording_once_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorder_in(tmp_path)
    recorder.on_completions([ended(0, 1.0)])
    assert recorder.flush(1.0, []) is None
    before = recorder.path.read_bytes()

    def full(_file: GrowingFile, _lines: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(GrowingFile, "append", full)
    recorder.on_completions([ended(1, 2.0)])
    note = recorder.flush(2.0, [])
    assert note is not None
    assert "ends here, serving goes on: No space left on device" in note
    recorder.on_completions([ended(2, 3.0)])
    assert recorder.flush(3.0, []) is None
    recorder.close()
    assert recorder.path.read_bytes() == before
    assert recorder.state().stopped == "No space left on device"
    assert recorder.state().requests == 1


def test_a_recording_stops_before_it_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_trace, "LARGEST_TRACE_BYTES", 100)
    recorder = recorder_in(tmp_path)
    recorder.on_completions([ended(0, 1.0)])
    assert recorder.flush(1.0, []) is None
    recorder.on_completions([ended(1, 2.0)])
    assert recorder.flush(2.0, []) is not None
    assert len(lines_of(recorder)) == 1


@pytest.mark.parametrize("name", ["none/own.jsonl", "own\0.jsonl"])
def test_a_file_that_cannot_be_made_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="cannot record to"):
        TraceRecorder(tmp_path / name, 0.0)
