"""The worker as a real process: how it starts, serves, dies, and ends."""

import os
import shutil
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import torch
from of_our_own import known
from prodtop.engine.protocol import (
    FRAME_INTERVAL_S,
    BenchDone,
    BenchSpec,
    ChildDied,
    ChildStarted,
    Fault,
    FinishedSample,
    Frame,
    LoadSpec,
    PrecisionName,
    Ready,
    RunBench,
    SetLoad,
    SetPrecision,
    SetStrategy,
    StrategyName,
    Switched,
    Window,
)
from safetensors.torch import load_file, save_file
from worker_harness import (
    LOAD,
    WatchedEngine,
    bare_worker,
    fatal_faults,
    tiny_options,
)

CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]


@pytest.fixture(scope="module")
def engine(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedEngine]:
    """One worker for all the tests that leave it serving."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        watched = WatchedEngine(tiny_options(tiny_folder))
    with watched:
        yield watched


def switched(engine: WatchedEngine, kind: str, new: str) -> Switched:
    report = engine.until(
        lambda report: isinstance(report, Switched) and (report.kind, report.new) == (kind, new)
    )
    assert isinstance(report, Switched)
    return report


def serves_on(engine: WatchedEngine) -> Frame:
    """A frame after which more requests have finished than before it."""
    finished = known(engine.frame().accounting).finished
    return engine.frame(lambda frame: known(frame.accounting).finished > finished + 3)


# Serving


def test_a_worker_says_what_it_serves_and_then_does(
    engine: WatchedEngine, tiny_folder: Path
) -> None:
    serves_on(engine)
    (ready,) = [report for report in engine.reports if isinstance(report, Ready)]
    assert ready.model.name == tiny_folder.name
    assert (ready.model.layers, ready.model.context_tokens) == (2, 256)
    assert ready.device == "cpu"
    assert ready.device_name
    assert ready.load_s > 0
    assert set(ready.versions) >= {"prodtop", "torch"}
    first_frame = next(i for i, each in enumerate(engine.reports) if isinstance(each, Frame))
    assert engine.reports.index(ready) < first_frame

    finished = [
        request
        for report in engine.reports
        if isinstance(report, FinishedSample)
        for request in report.requests
    ]
    assert finished
    for request in finished:
        assert LOAD.output_tokens_min <= known(request.output_tokens) <= LOAD.output_tokens_max
        assert request.finish_reason == "length"
        assert 0 < request.ttfb_ms <= request.e2e_ms


def test_a_frame_is_complete(engine: WatchedEngine) -> None:
    frame = engine.frame(
        lambda frame: (
            known(frame.throughput.decode_tok_s) > 0
            and frame.latency[Window.S10].tpot is not None
            and frame.stream is not None
            and frame.stream.generated_tokens > 2
        )
    )
    assert set(frame.latency) == set(frame.cache.rates) == set(Window)
    assert [status.name for status in frame.precisions] == list(PrecisionName)
    assert [each.name for each in frame.precisions if each.reason] == [PrecisionName.FP8]
    assert frame.load == LOAD
    assert known(frame.memory).weights_bytes > 0
    assert known(frame.memory).kv_bytes > 0
    assert frame.roofline.mbu is not None
    assert frame.roofline.mfu is not None
    assert frame.queue.mean_in_system is not None
    assert frame.throughput.mean_batch_rows is not None
    assert frame.stream is not None
    assert frame.stream.prompt
    for window in Window:
        latency = frame.latency[window]
        for name in msgspec.structs.fields(latency):
            assert getattr(latency, name.name) is not None, name.name


def test_the_followed_text_grows_and_keeps_its_prompt(engine: WatchedEngine) -> None:
    engine.client.send(SetStrategy(name=StrategyName.STREAMING))
    engine.client.send(SetLoad(load=msgspec.structs.replace(LOAD, output_tokens_min=24)))
    engine.frame(lambda frame: frame.stream is not None and frame.stream.finished)
    views = [f.stream for f in engine.next_frames(25) if f.strategy is StrategyName.STREAMING]
    prompts: dict[int, set[str]] = {}
    for view in views:
        assert view is not None
        assert not view.held
        prompts.setdefault(view.request_id, set()).add(view.prompt)
    assert prompts
    assert all(len(texts) == 1 and "" not in texts for texts in prompts.values())
    assert any(view is not None and view.text for view in views)
    engine.client.send(SetLoad(load=LOAD))
    engine.frame(lambda frame: frame.load == LOAD)


def test_frames_come_at_most_ten_times_a_second(engine: WatchedEngine) -> None:
    frames = engine.next_frames(12)
    gaps_s = [b.at_s - a.at_s for a, b in pairwise(frames)]
    assert min(gaps_s) >= FRAME_INTERVAL_S


@pytest.mark.parametrize("name", [*StrategyName, StrategyName.SINGLE])
def test_every_strategy_is_one_command_away(engine: WatchedEngine, name: StrategyName) -> None:
    old = engine.frame().strategy
    engine.client.send(SetStrategy(name=name))
    if old is not name:
        report = switched(engine, "strategy", name)
        assert report.old == old
        assert report.took_s >= 0
    frame = engine.frame(lambda frame: frame.strategy is name)
    effect = frame.last_switch
    assert effect is None or effect.kind != "strategy" or effect.new == name
    serves_on(engine)


@pytest.mark.parametrize("name", CPU_PRECISIONS)
def test_every_precision_is_one_command_away(engine: WatchedEngine, name: PrecisionName) -> None:
    old = engine.frame().precision
    engine.client.send(SetPrecision(name=name))
    if old is not name:
        assert switched(engine, "precision", name).old == old
    engine.frame(lambda frame: frame.precision is name)
    frame = serves_on(engine)
    assert frame.precision is name
    assert known(frame.accounting).failed == 0


def test_asking_for_what_is_there_is_no_switch(engine: WatchedEngine) -> None:
    frame = engine.frame()
    before = len(engine.reports)
    engine.client.send(SetStrategy(name=known(frame.strategy)))
    engine.client.send(SetPrecision(name=known(frame.precision)))
    engine.client.send(SetLoad(load=known(frame.load)))
    engine.next_frames(3)
    assert not any(isinstance(report, Switched) for report in engine.reports[before:])


def test_fp8_on_a_cpu_is_refused_with_the_reason(engine: WatchedEngine) -> None:
    before = engine.frame()
    engine.client.send(SetPrecision(name=PrecisionName.FP8))
    assert engine.note() == (
        "fp8 cannot run here: fp8 needs a GPU with fp8 tensor cores (compute capability 8.9)"
    )
    after = serves_on(engine)
    assert after.precision is before.precision
    assert known(after.memory).weights_bytes == known(before.memory).weights_bytes


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (LoadSpec(users=-1), "users must be"),
        (LoadSpec(rate_per_s=-2.0), "rate_per_s must be"),
        (LoadSpec(prompt_tokens_min=8, prompt_tokens_max=256), "leave no room in a context of 256"),
        (
            LoadSpec(output_tokens_min=9, output_tokens_max=3),
            "output_tokens_min is above",
        ),
    ],
    ids=["users", "rate", "prompts", "outputs"],
)
def test_an_impossible_load_is_refused_and_the_old_one_stays(
    engine: WatchedEngine, load: LoadSpec, words: str
) -> None:
    before = engine.frame().load
    engine.client.send(SetLoad(load=load))
    assert words in engine.note()
    assert serves_on(engine).load == before


def test_a_load_can_pause_and_go_on(engine: WatchedEngine) -> None:
    engine.client.send(SetLoad(load=msgspec.structs.replace(LOAD, paused=True)))
    switched(engine, "load", "no load")
    idle = engine.frame(lambda frame: known(frame.accounting).in_system == 0)
    assert all(
        frame.accounting == idle.accounting and not known(frame.cache.blocks).running
        for frame in engine.next_frames(4)
    )
    engine.client.send(SetLoad(load=LOAD))
    switched(engine, "load", "3 users")
    serves_on(engine)


# Measuring cells while serving


def test_a_bench_leaves_the_session_as_it_was(engine: WatchedEngine) -> None:
    before = engine.frame()
    spec = BenchSpec(
        strategies=[StrategyName.BATCHED, StrategyName.HYBRID],
        precisions=[PrecisionName.FP32, PrecisionName.FP8],
        requests=3,
        load=LOAD,
        max_seqs=2,
        drafts=2,
    )
    begin = len(engine.reports)
    engine.client.send(RunBench(spec=spec))
    engine.until(lambda report: isinstance(report, BenchDone))
    names = [type(report).__name__ for report in engine.reports[begin:]]
    assert (names.count("CellResult"), names.count("CellSkipped")) == (2, 2)
    after = serves_on(engine)
    assert (after.strategy, after.precision) == (before.strategy, before.precision)
    assert after.load == before.load
    assert (after.max_seqs, after.speculation) == (before.max_seqs, before.speculation)
    assert after.last_switch is None or after.last_switch.new != StrategyName.BATCHED


def test_a_bench_that_cannot_run_says_why_and_the_session_goes_on(engine: WatchedEngine) -> None:
    load = LoadSpec(prompt_tokens_min=300, prompt_tokens_max=300)
    spec = BenchSpec(
        strategies=[StrategyName.BATCHED], precisions=[PrecisionName.INT8], requests=1, load=load
    )
    before = engine.frame()
    engine.client.send(RunBench(spec=spec))
    fault = engine.until(lambda report: isinstance(report, Fault))
    assert isinstance(fault, Fault)
    assert not fault.fatal
    assert "prompts of 300 tokens leave no room" in fault.message
    engine.until(lambda report: isinstance(report, BenchDone))
    after = serves_on(engine)
    assert (after.strategy, after.precision) == (before.strategy, before.precision)


# Dying


def test_a_killed_worker_comes_back_and_every_request_is_accounted_for(tiny_folder: Path) -> None:
    options = tiny_options(tiny_folder, strategy=StrategyName.SINGLE)
    with WatchedEngine(options) as engine:
        engine.client.send(SetStrategy(name=StrategyName.CONTINUOUS))
        engine.client.send(SetPrecision(name=PrecisionName.INT8))
        before = engine.frame(
            lambda frame: (
                frame.precision is PrecisionName.INT8 and known(frame.accounting).finished > 0
            )
        )
        assert engine.client.worker_pid is not None
        os.kill(engine.client.worker_pid, signal.SIGKILL)
        death = engine.until(lambda report: isinstance(report, ChildDied))
        assert isinstance(death, ChildDied)
        assert death.reason == "killed by SIGKILL"
        assert death.restart_in_s is not None
        last = known(engine.frames[-1].accounting)
        assert death.failed_requests == last.in_system > 0

        engine.until(lambda report: isinstance(report, ChildStarted))
        # `engine` checks that no counter goes back from one frame to the next.
        again = engine.frame()
        assert (
            known(again.accounting).failed
            == known(before.accounting).failed + death.failed_requests
            == known(before.accounting).failed + death.failed_requests
        )
        assert (again.strategy, again.precision) == (StrategyName.CONTINUOUS, PrecisionName.INT8)
        serves_on(engine)


# Not starting


def without_a_tensor(folder: Path, broken: Path) -> Path:
    shutil.copytree(folder, broken)
    tensors = load_file(broken / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    return broken


LONG_PROMPTS = LoadSpec(prompt_tokens_min=10, prompt_tokens_max=5000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "nowhere"}, "no model 'nowhere'"),
        ({"model": "BROKEN"}, "has no tensor 'model.layers.1.mlp.up_proj.weight'"),
        ({"device": "cuda"}, "no usable NVIDIA GPU"),
        ({"load": LONG_PROMPTS}, "prompts of 5000 tokens leave no room in a context of 256"),
        ({"load": LONG_PROMPTS, "idle": True}, "prompts of 5000 tokens leave no room"),
    ],
    ids=["model", "tensor", "device", "prompts", "prompts of a bench"],
)
def test_what_cannot_be_served_is_one_line_and_exit_code_2(
    changes: dict[str, object], words: str, tiny_folder: Path, tmp_path: Path
) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    if changes.get("model") == "BROKEN":
        changes = {"model": str(without_a_tensor(tiny_folder, tmp_path / "broken"))}
    options = msgspec.structs.replace(tiny_options(tiny_folder), **changes)
    with bare_worker(options, tmp_path / "log") as worker:
        (fault,) = fatal_faults(worker.last_words())
        assert worker.end() == fault.exit_code == 2
    assert words in fault.message
    assert "\n" not in fault.message
