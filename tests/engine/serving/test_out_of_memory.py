"""What happens when the device has no memory for a step."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from engine_harness import ROOMY, CheckedEngine, model_of
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.protocol import StrategyName
from prodtop.engine.serving.kv_cache import KVCache
from prodtop.engine.serving.request import Status
from prodtop.engine.serving.runner import DoneStep, TorchRunner
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.step_plan import Chunk

PROMPT = tuple(range(5, 45))


class FullDevice(TorchRunner):
    """A runner whose device is full for steps that `too_large` says so of."""

    too_large: Callable[[Sequence[Chunk]], bool]

    def launch(self, chunks: Sequence[Chunk]) -> DoneStep:
        if self.too_large(chunks):
            raise torch.OutOfMemoryError
        return super().launch(chunks)


def engine_with(
    folder: Path, name: StrategyName, too_large: Callable[[Sequence[Chunk]], bool]
) -> CheckedEngine:
    def runner(decoder: Decoder, cache: KVCache, settings: EngineSettings) -> FullDevice:
        made = FullDevice(decoder, cache)
        made.too_large = too_large
        return made

    return CheckedEngine(model_of(folder), name, settings=ROOMY, runner_for=runner)


@pytest.mark.parametrize("name", StrategyName)
def test_only_the_batch_at_hand_fails_and_later_ones_are_smaller(
    name: StrategyName, tiny_folder: Path
) -> None:
    served = engine_with(tiny_folder, name, lambda chunks: len(chunks) > 3)
    requests = [served.ask(PROMPT, 4, ignore_eos=True) for _ in range(40)]
    served.drain()
    failed = [request for request in requests if request.status is Status.ABORTED]
    accounting = served.engine.metrics.accounting()
    assert (accounting.finished, accounting.failed) == (40 - len(failed), len(failed))
    assert served.engine.exported.counted().by_reason["error"] == len(failed)
    assert served.engine.blocks.counts().running == 0
    if name is StrategyName.SINGLE:
        assert not failed
        assert not served.engine.notes
        return
    assert 0 < len(failed) < 40
    assert served.engine.scheduler.running_limit <= 3
    told = [int(re.findall(r"(\d+) requests? failed", note)[0]) for note in served.engine.notes]
    assert sum(told) == len(failed)


def test_one_request_alone_that_does_not_fit_leaves_the_next_its_place(tiny_folder: Path) -> None:
    served = engine_with(
        tiny_folder,
        StrategyName.CONTINUOUS,
        lambda chunks: sum(chunk.num_tokens for chunk in chunks) > 30,
    )
    long = served.ask(PROMPT, 4)
    served.drain()
    short = served.ask(PROMPT[:8], 4, ignore_eos=True)
    served.drain()
    assert (long.status, short.status) == (Status.ABORTED, Status.FINISHED)
    assert short.num_output_tokens == 4
    assert "1 request failed" in served.engine.notes[0]
