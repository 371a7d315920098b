"""No request waits for a compiler: after its warm-up a runner's steps ask for no other kernels.

Triton compiles a kernel anew for arguments that it tells apart: pointers that lie at a multiple of
16 bytes or not, integers that are 1, a multiple of 16 or neither. A step's fields lie anywhere.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoints import VOCABULARY
from engine_harness import ROOMY, CheckedEngine, model_of
from known_outputs import ALWAYS
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.serving.paged_runner import PagedRunner
from prodtop.engine.serving.request import Sampling
from without_interpreter import output_of

IN_EVERY_STEP = {
    "_embed_kernel",
    "_measure_kernel",
    "_prefill_kernel",
    "_rotate_kernel",
    "_sample_kernel",
}
DECODE = {"decode_kernel", "decode_mma_kernel"}
CASES = [
    "bundled:bf16:5",
    "bundled:int8:1",
    "gpt2:int8:3",
    "gemma-3-1b:int4:40",
    "gemma-2-2b:fp16:12",
    "llama-3.1-8b:fp8:64",
    "qwen3-0.6b:bf16:17",
]
"""Model, precision and most sequences."""


def test_mixed_steps_ask_for_no_kernel_that_the_warm_up_did_not_have() -> None:
    output = output_of("kernels_after_warm_up.py", *CASES)
    lines = [json.loads(line) for line in output.splitlines()]
    assert all(set(line["warm"]) >= IN_EVERY_STEP for line in lines)
    assert all(DECODE & set(line["warm"]) for line in lines)
    assert set().union(*(line["warm"] for line in lines)) >= DECODE
    late = {case: line["late"] for case, line in zip(CASES, lines, strict=True) if line["late"]}
    assert not late
    assert not [line["misread"] for line in lines if line["misread"]]


@pytest.mark.gpu
@pytest.mark.parametrize("drafts", [None, ALWAYS], ids=["plain", "drafts"])
def test_ragged_requests_wait_for_no_compiler(
    drafts: SpeculationSpec | None, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knobs = pytest.importorskip("triton").knobs
    compiled: list[str] = []
    served = CheckedEngine(
        model_of(tiny_folder),
        StrategyName.CONTINUOUS,
        PrecisionName.BF16,
        settings=replace(ROOMY, speculation=drafts),
        device=torch.device("cuda", 0),
    )
    assert isinstance(served.engine.runner, PagedRunner)

    def note(**launch: object) -> None:
        compiled.append(str(launch["repr"]))

    monkeypatch.setattr(knobs.runtime, "jit_post_compile_hook", note)
    settings = [Sampling(), Sampling(temperature=1.0), Sampling(temperature=1.0, top_k=5)]
    for number in range(30):
        prompt = tuple(7 * number * place % VOCABULARY for place in range(1, 2 + 3 * number))
        served.ask(prompt, 1 + number % 9, sampling=settings[number % 3], ignore_eos=True)
        if number % 4 == 0:
            served.step()
    served.drain()
    assert compiled == []
