"""Requests through a real server to a real worker, and what happens when one of them dies."""

import os
import signal
from collections.abc import Iterator

import pytest
from linked_engine import LinkedEngine, tiny_checkpoint
from of_our_own import known
from prodtop.engine.protocol import (
    BenchDone,
    BenchSpec,
    ChildDied,
    Drain,
    Drained,
    Frame,
    LoadSpec,
    PrecisionName,
    RunBench,
    SetPrecision,
    SetStrategy,
    StrategyName,
    Switched,
)
from prodtop.engine.protocol.options import WorkerOptions

LONG = 2500
DRAINED = 800
"""Tokens of a request that is still served when something happens to it."""
SEVERAL = 300
"""Tokens of one that goes on for some time, and ends."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> WorkerOptions:
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(options: WorkerOptions) -> Iterator[LinkedEngine]:
    with LinkedEngine(options) as linked:
        linked.until_serving()
        yield linked


def all_free(frame: Frame) -> bool:
    """Nothing is in the system, and nothing holds KV blocks but cached prefixes."""
    return not known(frame.accounting).in_system and not known(frame.cache.blocks).running


def test_a_request_comes_back_with_tokens(engine: LinkedEngine) -> None:
    outputs = list(engine.generate(max_tokens=8).begun())
    tokens = [token for output in outputs for token in output.get("token_ids", [])]
    assert len(tokens) == 8
    last = outputs[-1]
    assert last["finish_reason"] == "length"
    times = last["times"]
    assert times["arrival_at_s"] <= times["queued_at_s"] <= times["scheduled_at_s"]
    assert times["first_token_at_s"] < times["last_token_at_s"]
    assert engine.get("/in_flight") == [0, 0]


def test_the_worker_says_what_it_serves(engine: LinkedEngine, options: WorkerOptions) -> None:
    told = engine.get("/serving")
    assert (told["context_tokens"], told["max_seqs"]) == (4096, options.max_seqs)
    assert told["tokenizer"] == {"kind": "folder", "path": options.model, "vocabulary": 320}
    assert told["streams"] is True
    assert told["kv_tokens"] >= told["context_tokens"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt_tokens": [5] * 4096}, "prompt_tokens"),
        ({"prompt_tokens": [320]}, ""),
        ({"stop_token_ids": [-1]}, "stop_token_ids"),
        ({"sampling": {"min_tokens": -1}}, ""),
    ],
)
def test_what_cannot_be_served_is_refused_and_counted(
    engine: LinkedEngine, fields: dict[str, object], param: str
) -> None:
    before = known(engine.frame().accounting)
    (told,) = engine.generate(**fields).begun()
    assert told["kind"] == "RefusedError"
    assert told["param"] == param or not param
    after = known(
        engine.frame(lambda frame: known(frame.accounting).failed > before.failed).accounting
    )
    assert after.submitted == before.submitted + 1
    assert sum(after.refused.values()) == sum(before.refused.values()) + 1


def test_a_client_that_leaves_ends_its_request(engine: LinkedEngine) -> None:
    before = known(engine.frame(all_free).accounting)
    generation = engine.generate(max_tokens=LONG).begun()
    engine.frame(lambda frame: frame.queue.running == 1)
    generation.close()
    after = engine.frame(
        lambda frame: all_free(frame) and known(frame.accounting).failed > before.failed
    )
    assert known(after.accounting).failed == before.failed + 1
    assert engine.get("/in_flight") == [0, 0]


def test_a_switch_loses_no_request_and_is_told(engine: LinkedEngine) -> None:
    """The output goes on as it would have under one strategy: the model is the same at fp32."""
    alone = engine.generate(max_tokens=SEVERAL).begun().tokens()
    generation = engine.generate(max_tokens=SEVERAL, prompt_tokens=[5, 6, 7]).begun()
    for command in (
        SetStrategy(name=StrategyName.CONTINUOUS),
        SetPrecision(name=PrecisionName.INT8),
        SetPrecision(name=PrecisionName.FP32),
        SetStrategy(name=StrategyName.HYBRID),
    ):
        engine.client.send(command)
        engine.until_report(lambda report: isinstance(report, Switched))
    assert len(generation.tokens()) == len(alone) == SEVERAL
    engine.until(lambda: engine.get("/serving")["strategy"] == "hybrid")
    assert known(engine.frame(all_free).accounting).in_system == 0


def test_requests_are_refused_for_now_while_cells_are_measured(engine: LinkedEngine) -> None:
    running = engine.generate(max_tokens=SEVERAL, prompt_tokens=[9, 9]).begun()
    engine.frame(lambda frame: frame.queue.running == 1)
    before = known(engine.frame().accounting)
    load = LoadSpec(users=1, output_tokens_min=64, output_tokens_max=64, ignore_eos=True)
    spec = BenchSpec(
        strategies=[StrategyName.SINGLE],
        precisions=[PrecisionName.FP32],
        requests=12,
        warmup=0,
        load=load,
    )
    engine.client.send(RunBench(spec=spec))
    # What ran before is seen to its end.
    assert len(running.tokens()) == SEVERAL
    (told,) = engine.generate().begun()
    assert told["kind"] == "EngineDownError"
    assert "measuring" in told["error"]
    engine.until_report(lambda report: isinstance(report, BenchDone))
    after = engine.frame(lambda frame: known(frame.accounting).rejected > before.rejected)
    assert known(after.accounting).rejected == before.rejected + 1
    assert known(after.accounting).failed == before.failed


def test_a_killed_worker_fails_its_requests_and_the_next_one_serves(engine: LinkedEngine) -> None:
    engine.until(lambda: engine.get("/metrics") is not None)
    before = engine.get("/metrics")
    generation = engine.generate(max_tokens=LONG).begun()
    engine.frame(lambda frame: frame.queue.running == 1)
    worker = engine.client.worker_pid
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    *_, told = generation
    assert told["kind"] == "EngineDownError"
    assert engine.generate().status == 503
    assert engine.get("/in_flight") == [0, 0]

    engine.until_serving()
    assert len(engine.generate().begun().tokens()) == 8
    after = engine.get("/metrics")
    assert after["by_reason"]["error"] == 1
    for name, value in before["counters"].items():
        assert after["counters"][name] >= value
    assert after["started_at_wall_s"] == before["started_at_wall_s"]


def test_a_killed_server_is_there_again_and_the_worker_ends_its_requests(
    engine: LinkedEngine,
) -> None:
    before = known(engine.frame(all_free).accounting)
    generations = [engine.generate(max_tokens=LONG).begun() for _ in range(3)]
    engine.frame(lambda frame: frame.queue.running == 3)
    port, server = engine.port, engine.client.server_pid
    assert server is not None
    os.kill(server, signal.SIGKILL)
    death = engine.until_report(lambda report: isinstance(report, ChildDied))
    assert isinstance(death, ChildDied)
    assert (death.child, death.reason) == ("server", "killed by SIGKILL")
    after = engine.frame(
        lambda frame: all_free(frame) and known(frame.accounting).failed > before.failed
    )
    assert known(after.accounting).failed == before.failed + len(generations)

    engine.until_serving()
    assert engine.port == port
    assert len(engine.generate().begun().tokens()) == 8


def test_a_lost_link_is_replaced_while_both_live(engine: LinkedEngine) -> None:
    """The server closes its end, as after a message that it does not understand."""
    pids = engine.client.worker_pid, engine.client.server_pid
    generation = engine.generate(max_tokens=LONG).begun()
    engine.get("/lose")
    *_, told = generation
    assert told["kind"] == "EngineDownError"
    engine.until_serving()
    assert len(engine.generate().begun().tokens()) == 8
    assert (engine.client.worker_pid, engine.client.server_pid) == pids
    engine.frame(all_free)


def test_a_drain_lets_requests_end_and_takes_no_new_one(options: WorkerOptions) -> None:
    with LinkedEngine(options) as engine:
        engine.until_serving()
        generation = engine.generate(max_tokens=DRAINED).begun()
        engine.frame(lambda frame: frame.queue.running == 1)
        engine.client.send(Drain(limit_s=600.0))
        engine.until(lambda: engine.generate(max_tokens=1).status == 503)
        assert len(generation.tokens()) == DRAINED
        engine.until(lambda: any(isinstance(report, ChildDied) for report in engine.reports))
        assert Drained(aborted=0) in engine.reports
        (ended,) = (report for report in engine.reports if isinstance(report, ChildDied))
        assert (ended.child, ended.restart_in_s) == ("server", None)


def test_a_drain_aborts_and_counts_what_takes_too_long(options: WorkerOptions) -> None:
    with LinkedEngine(options) as engine:
        engine.until_serving()
        generations = [engine.generate(max_tokens=LONG).begun() for _ in range(2)]
        engine.frame(lambda frame: frame.queue.running == 2)
        engine.client.send(Drain(limit_s=0.0))
        engine.until(lambda: any(isinstance(report, Drained) for report in engine.reports))
        assert Drained(aborted=2) in engine.reports
        assert [list(each)[-1]["kind"] for each in generations] == ["EngineDownError"] * 2
        engine.frame(lambda frame: all_free(frame) and known(frame.accounting).failed == 2)
