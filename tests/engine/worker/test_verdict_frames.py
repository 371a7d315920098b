"""What frames say of overload, a full cache and limits: of an engine that really has them."""

from pathlib import Path

import msgspec
import pytest
import torch
from of_our_own import known
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import (
    Bound,
    Frame,
    LoadSpec,
    PrecisionName,
    PreemptionCause,
    Refusal,
    SloSpec,
    StrategyName,
    Window,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.frames import FrameBuilder
from prodtop.engine.worker.traffic import Traffic

LOAD = LoadSpec(
    users=12,
    prompt_tokens_min=20,
    prompt_tokens_max=20,
    output_tokens_min=100,
    output_tokens_max=100,
    ignore_eos=True,
)
STEP_S = 0.02


class Stage:
    """An engine under a load; a step takes `STEP_S`, and there is a frame after every tenth."""

    def __init__(
        self, folder: Path, strategy: StrategyName, *, max_seqs: int = 4, kv_blocks: int = 200
    ) -> None:
        self.now_s = 50.0
        self.engine = Engine(
            load_model(str(folder)),
            EngineSettings(
                max_seqs=max_seqs, token_budget=64, kv_blocks=kv_blocks, context_tokens=256
            ),
            strategy=strategy,
            precision=PrecisionName.FP32,
            device=torch.device("cpu"),
            clock=lambda: self.now_s,
        )
        self.builder = FrameBuilder(self.engine, None)

    def serve(self, steps: int, load: LoadSpec = LOAD) -> Frame:
        traffic = Traffic(self.engine, bundled_prompts(), load)
        for step in range(steps):
            traffic.submit_arrivals()
            completions = self.engine.step()
            self.now_s += STEP_S
            self.builder.on_completions(completions, traffic)
            traffic.on_completions(completions)
            if step % 10 == 9:
                frame = self.builder.build(traffic)
        return frame


def test_a_full_batch_is_told_as_the_cap_that_it_is(tiny_folder: Path) -> None:
    frame = Stage(tiny_folder, StrategyName.CONTINUOUS).serve(150)
    assert frame.roofline.verdict is not None
    assert frame.roofline.verdict.bound is Bound.SEQUENCE_CAP
    counts = frame.admission[Window.S10]
    # The counts are refreshed twice a second.
    assert counts.steps == pytest.approx(150, abs=30)
    assert counts.refused_share(Refusal.SEQUENCE_CAP) > 0.9
    assert (frame.queue.running, frame.queue.waiting) == (4, 8)
    assert frame.queue.running_limit == 4
    assert frame.queue.mean_waiting == pytest.approx(8, abs=0.5)
    # All came at once: whoever still waits has waited from the start.
    assert frame.queue.oldest_unstarted_s == pytest.approx(150 * STEP_S, abs=0.1)


def test_a_cache_that_is_full_is_told_with_its_preemptions(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.CONTINUOUS, kv_blocks=20, max_seqs=8)
    frame = stage.serve(150)
    assert frame.admission[Window.S10].preempted[PreemptionCause.KV_BLOCKS] > 0
    assert frame.roofline.verdict is not None
    assert frame.roofline.verdict.bound is Bound.KV_MEMORY
    assert frame.roofline.verdict.share > 0.7


def test_a_gang_is_a_cap_and_a_switch_is_no_lack_of_blocks(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.BATCHED)
    frame = stage.serve(60)
    assert frame.admission[Window.S10].refused_share(Refusal.GANG) > 0.9
    assert frame.roofline.verdict is not None
    assert frame.roofline.verdict.bound is Bound.SEQUENCE_CAP
    stage.engine.set_strategy(StrategyName.SINGLE)
    later = stage.serve(60, msgspec.structs.replace(LOAD, paused=True))
    assert later.admission[Window.SESSION].preempted == {PreemptionCause.SWITCH: 3}
    assert later.queue.running_limit == 1


def test_an_idle_engine_has_no_work_and_keeps_nobody_waiting(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.HYBRID)
    frame = stage.serve(100, msgspec.structs.replace(LOAD, paused=True))
    assert frame.roofline.verdict is not None
    assert frame.roofline.verdict.bound is Bound.NO_WORK
    assert frame.queue.oldest_unstarted_s is None
    assert frame.attainment[Window.S10].within_all is None


def test_limits_are_judged_over_who_ended_and_who_waits(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.CONTINUOUS)
    meter = stage.engine.metrics.attainment
    meter.set_slo(SloSpec(ttft_ms=1000.0, tpot_ms=None, itl_ms=None), stage.now_s)
    # Four requests have ended within the limit; four run since 2 s and are late, as four wait.
    frame = stage.serve(150)
    found = frame.attainment[Window.S10]
    assert found.ended == 4
    assert found.within["ttft"] == pytest.approx(4 / (4 + 8), abs=0.1)
    assert found.goodput_per_s == pytest.approx(4 / 3, rel=0.25)
    assert frame.slo.ttft_ms == 1000.0


def test_headlines_are_means_over_their_window(tiny_folder: Path) -> None:
    stage = Stage(tiny_folder, StrategyName.CONTINUOUS)
    stage.serve(200)
    busy = stage.serve(100, msgspec.structs.replace(LOAD, paused=True))
    averages = busy.averages[Window.SESSION]
    decoded = known(busy.generated_tokens_total) / busy.uptime_s
    assert averages.decode_tok_s == pytest.approx(decoded, rel=0.1)
