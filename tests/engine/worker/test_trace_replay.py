"""A trace on a real engine: what is served is what the trace says, hits included, and recorded."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import LoadSpec, PrecisionName, StrategyName, TraceSpec, Window
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Request
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.traces.mooncake import write_line
from prodtop.engine.traces.trace_file import read_trace
from prodtop.engine.worker.trace_recorder import TraceRecorder
from prodtop.engine.worker.traffic import Traffic

CONTEXT_TOKENS = 2048
SETTINGS = EngineSettings(
    max_seqs=1, token_budget=512, kv_blocks=1024, context_tokens=CONTEXT_TOKENS
)
"""One at a time, and KV blocks for all: what came before is always in the cache."""
ROWS = [
    (0, 1300, 3, [0, 1, 2]),
    (100, 700, 2, [0, 3]),
    (150, 512, 4, [0]),
    (200, 1100, 2, [0, 1, 4]),
    (200, 1030, 1, [0, 1, 5]),
    (900, 600, 5, [6, 7]),
    (1000, 1300, 2, [0, 1, 2]),
    (1100, 40, 2, [8]),
]
"""Timestamp in ms, prompt and output tokens, hash ids."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 7.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def engine_of(
    folder: Path, clock: Clock, strategy: StrategyName, settings: EngineSettings = SETTINGS
) -> Engine:
    return Engine(
        load_model(str(folder)),
        settings,
        strategy=strategy,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=clock,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(write_line(*row) for row in ROWS))
    return path


def serve(
    engine: Engine, traffic: Traffic, clock: Clock, recorder: TraceRecorder | None = None
) -> list[Request]:
    """To the end of the trace: the requests in order of arrival."""
    served: list[Request] = []
    for _ in range(20_000):
        if traffic.exhausted:
            return sorted(served, key=lambda request: request.request_id)
        traffic.submit_arrivals()
        completions = traffic.on_completions(engine.step())
        served += [each.request for each in completions]
        if recorder is not None:
            recorder.on_completions(completions)
            in_system = (*engine.scheduler.running, *engine.scheduler.waiting)
            recorder.flush(clock(), in_system)
        clock.now_s += 0.004
    raise AssertionError("the trace never ended")


def load_of(path: Path, **fields: object) -> LoadSpec:
    trace = msgspec.structs.replace(TraceSpec(path=str(path)), **fields)
    return LoadSpec(trace=trace, temperature=0.8)


def expected_hits(rows: list[tuple[int, int, int, list[int]]]) -> Iterator[int]:
    """Tokens that a prefix cache of whole KV blocks finds for each prompt, from the ids alone.

    A prompt's last token is always computed.
    """
    seen: dict[int, int] = {}
    for _, prompt, _, ids in rows:
        shared = 0
        for place, each in enumerate(ids):
            tokens = min(512, prompt - 512 * place)
            shared += min(tokens, seen.get(each, 0))
            if seen.get(each, 0) < tokens:
                break
        yield min(shared, prompt - 1) // BLOCK_TOKENS * BLOCK_TOKENS
        for place, each in enumerate(ids):
            seen[each] = max(seen.get(each, 0), min(512, prompt - 512 * place))


@pytest.mark.parametrize("speed", [1.0, 1000.0])
def test_a_trace_is_served_in_its_order_and_lengths(
    tiny_folder: Path, path: Path, clock: Clock, speed: float
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CONTINUOUS)
    traffic = Traffic(engine, bundled_prompts(), load_of(path, speed=speed))
    served = serve(engine, traffic, clock)
    assert [(len(each.prompt_tokens), each.num_output_tokens) for each in served] == [
        row[1:3] for row in ROWS
    ]
    assert [each.arrival_at_s for each in served] == pytest.approx(
        [7.0 + row[0] / 1e3 / speed for row in ROWS]
    )
    progress = traffic.trace_progress()
    assert progress is not None
    assert (progress.arrived, progress.entries, progress.round) == (8, 8, 1)
    assert progress.fraction == 1.0
    assert engine.notes == ["trace rows.jsonl is at its end: 8 requests"]
    assert not traffic.prompts


def test_the_prefix_cache_finds_what_the_hashes_say(
    tiny_folder: Path, path: Path, clock: Clock
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CACHED)
    traffic = Traffic(engine, bundled_prompts(), load_of(path, speed=1000.0))
    served = serve(engine, traffic, clock)
    expected = list(expected_hits(ROWS))
    assert sum(expected) > 3000
    assert [each.cached_prompt_tokens for each in served] == expected
    stats = engine.blocks.prefix_stats
    assert (stats.hit_tokens, stats.queried_tokens) == (sum(expected), sum(r[1] for r in ROWS))


def test_a_second_round_finds_nothing_of_the_first(
    tiny_folder: Path, path: Path, clock: Clock
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CACHED)
    load = load_of(path, speed=1000.0, loop=True, most_requests=3)
    served = serve(engine, Traffic(engine, bundled_prompts(), load, limit=6), clock)
    hits = list(expected_hits(ROWS[:3]))
    assert [each.cached_prompt_tokens for each in served] == hits + hits


def test_what_was_served_is_recorded_and_plays_again_the_same(
    tiny_folder: Path, path: Path, clock: Clock, tmp_path: Path
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CACHED)
    recorder = TraceRecorder(tmp_path / "own.jsonl", clock())
    first = serve(engine, Traffic(engine, bundled_prompts(), load_of(path)), clock, recorder)
    recorder.close()
    assert recorder.state().requests == len(ROWS)
    lines = [json.loads(line) for line in recorder.path.read_text().splitlines()]
    assert [line["timestamp"] for line in lines] == [row[0] for row in ROWS]
    assert all(
        set(line) <= {"timestamp", "input_length", "output_length", "hash_ids"} for line in lines
    )

    again = engine_of(tiny_folder, clock, StrategyName.CACHED)
    second = serve(again, Traffic(again, bundled_prompts(), load_of(recorder.path)), clock)
    for one, other in zip(first, second, strict=True):
        assert len(one.prompt_tokens) == len(other.prompt_tokens)
        assert one.num_output_tokens == other.num_output_tokens
        assert one.cached_prompt_tokens == other.cached_prompt_tokens
    assert engine.blocks.prefix_stats.hit_tokens == again.blocks.prefix_stats.hit_tokens > 0
    assert not read_trace(recorder.path).notes()


def test_what_does_not_fit_is_cut_and_said(tiny_folder: Path, path: Path, clock: Clock) -> None:
    settings = EngineSettings(max_seqs=2, token_budget=512, kv_blocks=64, context_tokens=1024)
    engine = engine_of(tiny_folder, clock, StrategyName.CONTINUOUS, settings)
    traffic = Traffic(engine, bundled_prompts(), load_of(path, speed=100.0))
    (note,) = engine.notes
    assert note.startswith("trace rows.jsonl: of 4 of 8 requests the prompt is cut")
    served = serve(engine, traffic, clock)
    assert [each.num_output_tokens for each in served] == [row[2] for row in ROWS]
    assert max(each.num_tokens for each in served) == 1024
    assert (traffic.clipped.prompts, traffic.clipped.outputs) == (4, 0)
    assert engine.metrics.accounting().failed == 0


def test_the_delay_until_a_request_is_submitted_is_measured(
    tiny_folder: Path, path: Path, clock: Clock
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CONTINUOUS)
    traffic = Traffic(engine, bundled_prompts(), load_of(path))
    clock.now_s += 0.12
    traffic.submit_arrivals()
    delays = traffic.dispatch.view(Window.M1, clock())
    assert delays.count == 2
    assert (delays.least_s, delays.most_s) == pytest.approx((0.02, 0.12))


def test_a_trace_gives_way_to_another_load_and_a_broken_one_changes_nothing(
    tiny_folder: Path, path: Path, clock: Clock, tmp_path: Path
) -> None:
    engine = engine_of(tiny_folder, clock, StrategyName.CONTINUOUS)
    traffic = Traffic(engine, bundled_prompts(), load_of(path))
    clock.now_s += 0.16
    with pytest.raises(BadInputError, match="no such file"):
        traffic.set_spec(load_of(tmp_path / "none.csv"))
    users = LoadSpec(
        users=2, output_tokens_min=2, output_tokens_max=2, prompt_tokens_min=8, prompt_tokens_max=8
    )
    traffic.set_spec(users)
    assert traffic.trace_progress() is None
    # The three that had come are served, and two users ask.
    traffic.submit_arrivals()
    assert engine.metrics.accounting().submitted == 5
    traffic.set_spec(msgspec.structs.replace(users, paused=True))
    for _ in range(2000):
        if not engine.has_work:
            break
        traffic.on_completions(engine.step())
        clock.now_s += 0.01
    assert engine.metrics.accounting().finished == 5
    assert traffic.exhausted is False
    assert traffic.next_due_s() is None
