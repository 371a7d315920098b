"""Frames of an engine in this process: every figure against what the engine was made to do."""

from pathlib import Path

import msgspec
import pytest
import torch
from of_our_own import known
from prodtop.engine.load.arrivals import fit_tokens
from prodtop.engine.load.prompts import Prompt, bundled_prompts
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.probes.nvml_api import Nvml
from prodtop.engine.probes.own_gpu import OwnGpu
from prodtop.engine.protocol import (
    ENCODER,
    Frame,
    LoadSpec,
    PrecisionName,
    StrategyName,
    Window,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Sampling
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.text.cleaning import clean
from prodtop.engine.worker.frames import STREAM_HOLD_S, FrameBuilder
from prodtop.engine.worker.traffic import Traffic

LOAD = LoadSpec(
    users=2,
    prompt_tokens_min=20,
    prompt_tokens_max=20,
    output_tokens_min=12,
    output_tokens_max=12,
    temperature=0.0,
    ignore_eos=True,
)
STEP_S = 0.02


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def make_engine(model: LoadedModel, strategy: StrategyName, clock: Clock) -> Engine:
    return Engine(
        model,
        EngineSettings(max_seqs=4, token_budget=64, kv_blocks=40, context_tokens=256),
        strategy=strategy,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=clock,
    )


class Stage:
    """An engine under a load, stepped by hand; a step takes `STEP_S`."""

    def __init__(
        self,
        folder: Path,
        strategy: StrategyName,
        load: LoadSpec = LOAD,
        prompts: tuple[Prompt, ...] | None = None,
        limit: int | None = None,
    ) -> None:
        self.clock = Clock()
        self.engine = make_engine(load_model(str(folder)), strategy, self.clock)
        self.traffic = Traffic(self.engine, prompts or bundled_prompts(), load, limit)
        self.builder = FrameBuilder(self.engine, None)

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.traffic.submit_arrivals()
            completions = self.engine.step()
            self.clock.now_s += STEP_S
            self.builder.on_completions(completions, self.traffic)
            self.traffic.on_completions(completions)

    def frame(self) -> Frame:
        return self.builder.build(self.traffic)


def test_a_frame_survives_the_wire(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.HYBRID)
    stage.step(30)
    frame = stage.frame()
    assert msgspec.msgpack.decode(ENCODER.encode(frame), type=Frame) == frame


def test_a_frame_before_the_first_request_shows_nothing_instead_of_zero(tiny_folder: Path) -> None:
    frame = Stage(tiny_folder, StrategyName.CONTINUOUS).frame()
    assert frame.sequence == 1
    assert frame.throughput.mean_batch_rows is None
    assert frame.throughput.batch_waste is None
    assert frame.latency[Window.SESSION].e2e is None
    assert frame.cache.rates[Window.SESSION].prefix is None
    assert frame.cache.response_entries is None
    assert frame.stream is None
    assert frame.last_switch is None


def test_rates_and_counts_are_those_of_the_steps(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.CONTINUOUS)
    # Two users, a request of theirs is twelve steps: 50 steps a second, 8 and a third requests.
    stage.step(120)
    frame = stage.frame()
    assert frame.throughput.steps_per_s == pytest.approx(50, rel=0.1)
    assert frame.throughput.decode_tok_s == pytest.approx(100, rel=0.1)
    assert frame.throughput.prefill_tok_s == pytest.approx(20 * 100 / 12, rel=0.25)
    assert frame.throughput.requests_per_s == pytest.approx(100 / 12, rel=0.25)
    assert frame.throughput.mean_batch_rows == pytest.approx(2)
    assert frame.generated_tokens_total == 240
    assert (known(frame.accounting).submitted, known(frame.accounting).finished) == (20, 20)
    # Twelve tokens, of which the first came with the prompt.
    tpot = frame.latency[Window.SESSION].tpot
    assert tpot is not None
    assert tpot.count == 20
    assert tpot.p50_ms == pytest.approx(STEP_S * 1000, rel=0.02)
    # A user asks again one step after an answer: eleven steps of twelve in the system.
    assert frame.queue.mean_in_system == pytest.approx(2 * 11 / 12, rel=0.05)
    assert frame.queue.arrival_rate_times_residence == pytest.approx(2 * 11 / 12, rel=0.05)


def test_a_text_is_held_until_the_end_or_streams(tiny_folder: Path) -> None:
    for strategy, streams in ((StrategyName.CONTINUOUS, False), (StrategyName.STREAMING, True)):
        stage = Stage(tiny_folder, strategy)
        stage.step()
        stage.frame()
        stage.step(8)
        view = stage.frame().stream
        assert view is not None
        assert (view.held, bool(view.text)) == (not streams, streams)
        assert (view.generated_tokens, view.max_tokens, view.finished) == (9, 12, False)


def test_one_request_is_followed_to_its_end_and_its_text_stays_a_while(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.STREAMING)
    stage.step()
    followed = stage.frame().stream
    assert followed is not None
    texts = [followed.text]
    while not followed.finished:
        stage.step()
        view = stage.frame().stream
        assert view is not None
        assert (view.request_id, view.prompt) == (followed.request_id, followed.prompt)
        assert view.text.startswith(texts[-1])
        texts.append(view.text)
        followed = view
    assert followed.generated_tokens == 12

    stage.step()
    assert stage.frame().stream == followed
    stage.step(int(STREAM_HOLD_S / STEP_S) + 13)
    following = stage.frame().stream
    assert following is not None
    assert following.request_id != followed.request_id


def test_an_answer_that_nobody_followed_is_shown_with_its_own_prompt(tiny_folder: Path) -> None:
    """Answers from the cache never run, so that none of them can be followed."""
    prompts = tuple(
        Prompt(group="g", system="s", opening=f"{n} is the number that I thought of.")
        for n in range(3)
    )
    stage = Stage(tiny_folder, StrategyName.CACHED, prompts=prompts)
    answers = {clean(prompt.text): answer(stage.engine.model, prompt) for prompt in prompts}
    assert len(set(answers.values())) == 3
    shown: set[str] = set()
    for _ in range(300):
        stage.step()
        view = stage.frame().stream
        if view is not None and view.from_cache:
            assert view.text == answers[view.prompt]
            shown.add(view.prompt)
    assert len(shown) > 1


def answer(model: LoadedModel, prompt: Prompt) -> str:
    """What the model says to a prompt under the load above, served alone."""
    tokens = fit_tokens(model.tokenizer.encode(prompt.text), 20)
    engine = make_engine(model, StrategyName.SINGLE, Clock())
    engine.submit(tokens, Sampling(), 12, ignore_eos=True)
    while not (completions := engine.step()):
        pass
    return completions[0].text


def test_the_cache_says_why_no_prefix_hits(tiny_folder: Path) -> None:
    short = msgspec.structs.replace(LOAD, prompt_tokens_min=8, prompt_tokens_max=8)
    stage = Stage(tiny_folder, StrategyName.HYBRID, short)
    stage.step(40)
    note = stage.frame().cache.note
    assert note is not None
    assert "shorter than one KV block (16 tokens)" in note

    stage = Stage(tiny_folder, StrategyName.HYBRID)
    stage.step(40)
    assert stage.frame().cache.note is None


def test_the_parts_of_the_memory_add_up_and_follow_the_precision(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.CONTINUOUS)
    stage.step(3)
    full = stage.frame()
    stage.engine.set_precision(PrecisionName.INT8)
    stage.clock.now_s += 1.0
    packed = stage.frame()
    assert known(packed.memory).weights_bytes < known(full.memory).weights_bytes
    assert packed.precision is PrecisionName.INT8
    for memory in (known(full.memory), known(packed.memory)):
        parts = (
            memory.weights_bytes,
            memory.master_bytes,
            memory.kv_bytes,
            memory.workspace_bytes,
            memory.other_bytes,
        )
        assert sum(part or 0 for part in parts) == memory.used_bytes


def test_a_frame_names_the_gpu_that_the_engine_is_on(tiny_folder: Path) -> None:
    """By UUID: CUDA's number is not the driver's in a container or where GPUs are hidden."""
    clock = Clock()
    engine = make_engine(load_model(str(tiny_folder)), StrategyName.HYBRID, clock)
    traffic = Traffic(engine, bundled_prompts(), LOAD)

    def no_driver() -> Nvml:
        raise ImportError("pynvml")

    own_gpu = OwnGpu(no_driver, "GPU-1234")
    assert FrameBuilder(engine, own_gpu).build(traffic).gpu_uuid == "GPU-1234"
    assert FrameBuilder(engine, None).build(traffic).gpu_uuid is None
