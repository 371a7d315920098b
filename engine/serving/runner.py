"""Runs a step's chunks on the model: chunks in, one sampled token for each that ends a request."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import torch

from ..model.decoder import Decoder
from ..ops.torch_ops import TorchOps
from .batch import Batch, BatchBuilder, GroupBounds
from .kv_cache import KVCache
from .logprobs import StepLogprobs
from .row_work import RowWork
from .sampler import sample
from .settings import EngineSettings
from .step_plan import Chunk, StepPlan
from .transfers import to_device

_OLDEST_CAPABILITY = (8, 0)
"""Ampere: what Triton's kernels are written for."""
_MOST_GROUP_ELEMENTS = 1 << 26
"""128 MiB at bf16, well within what is left for workspace."""


class StepResult(Protocol):
    """The result of a step, which the device may still be computing."""

    def tokens(self) -> list[int | None]:
        """The token sampled after each chunk's newest one, in the order of the chunks.

        `None` for a chunk that does not reach its request's newest token; `BROKEN_LOGITS` where the
        logits were NaN. Waits for the device.
        """
        ...

    def after_drafts(self) -> list[list[int]]:
        """The tokens sampled after each chunk's drafts; call `tokens` first."""
        ...

    def logprobs(self) -> StepLogprobs | None:
        """What was measured for requests that are not `plain`; `None` where there are none. Call
        `tokens` first."""
        ...

    def device_s(self) -> float:
        """Seconds that the device worked on it; call `tokens` first."""
        ...


@dataclass(frozen=True, slots=True)
class StepInFlight:
    """A step between its launch and the moment when its tokens are collected.

    Its requests took `cached_tokens` from the prefix cache. `drafting`: it was planned while drafts
    were wanted, whether there were any or not.
    """

    plan: StepPlan
    result: StepResult
    cached_tokens: int
    drafting: bool


class Runner(Protocol):
    """A decoder with the KV cache it writes to.

    `ahead` steps may be launched before the tokens of the first are asked for.
    """

    ahead: int
    decoder: Decoder
    kv_cache: KVCache

    @property
    def graph_bytes(self) -> int:
        """Device memory that captured graphs hold."""
        ...

    @property
    def capture_s(self) -> float:
        """Time that capturing graphs took so far: no step is computed meanwhile."""
        ...

    def launch(self, chunks: Sequence[Chunk]) -> StepResult:
        """Begin to compute the chunks. Steps run in the order of their launch."""
        ...


class DoneStep:
    """The result of a step that has ended: `StepResult`."""

    def __init__(
        self,
        tokens: list[int | None],
        after_drafts: list[list[int]],
        logprobs: StepLogprobs | None,
        device_s: float,
    ) -> None:
        self._tokens = tokens
        self._after_drafts = after_drafts
        self._logprobs = logprobs
        self._device_s = device_s

    def tokens(self) -> list[int | None]:
        return self._tokens

    def after_drafts(self) -> list[list[int]]:
        return self._after_drafts

    def logprobs(self) -> StepLogprobs | None:
        return self._logprobs

    def device_s(self) -> float:
        return self._device_s


class TorchRunner:
    """Computes each step at once, in plain PyTorch: `Runner`."""

    ahead = 0
    graph_bytes = 0
    capture_s = 0.0

    def __init__(self, decoder: Decoder, kv_cache: KVCache) -> None:
        config = decoder.config
        self.decoder = decoder
        self.kv_cache = kv_cache
        self._builder = BatchBuilder(
            config.heads // config.kv_heads,
            decoder.device,
            decoder.dtype,
            decoder.windows,
            _bounds(decoder),
        )
        self._ropes = decoder.rope, decoder.local_rope

    def launch(self, chunks: Sequence[Chunk]) -> DoneStep:
        began_s = time.perf_counter()
        batch = self._builder.build(chunks)
        work = RowWork.of(batch.sampled, batch.chunks, batch.first_rows)
        by_request: dict[int, list[int]] = {chunk.request.request_id: [] for chunk in chunks}
        for chunk, token in zip(batch.sampled, self._run(batch, work), strict=True):
            by_request[chunk.request.request_id].append(token)
        sampled = [by_request[chunk.request.request_id] for chunk in chunks]
        return DoneStep(
            [each[0] if each else None for each in sampled],
            [each[1:] for each in sampled],
            None if work is None else work.read(),
            time.perf_counter() - began_s,
        )

    @torch.inference_mode()
    def _run(self, batch: Batch, work: RowWork | None) -> list[int]:
        """The tokens sampled of each of the batch's sampled rows."""
        ops = TorchOps(batch.step, *self._ropes)
        sampled = len(batch.sampled_rows)
        all_rows = sampled == len(batch.step.tokens)
        wanted = None if all_rows else batch.sampled_rows
        if work is not None and (prompt_rows := work.prompt_rows):
            more = to_device(prompt_rows, self.decoder.device)
            wanted = torch.cat([batch.sampled_rows, more])
        hidden = self.decoder.forward(batch.step.tokens, ops, self.kv_cache.layers, wanted)
        if work is not None:
            work.measure_prompts(
                hidden[sampled:],
                lambda part: self.decoder.logits(part, ops),
                self.decoder.config.vocabulary,
            )
        if not sampled:
            return []
        logits = self.decoder.logits(hidden[:sampled], ops)
        if work is not None:
            work.edit(logits)
        tokens = sample(logits, [chunk.request for chunk in batch.sampled], batch.offsets)
        if work is not None:
            work.measure_tokens(to_device(tokens, logits.device))
        return tokens


def _bounds(decoder: Decoder) -> GroupBounds | None:
    """On a GPU this stands in for kernels, which gather nothing, and memory is planned for them.
    On a CPU one large operation is faster than several."""
    if decoder.device.type == "cpu":
        return None
    return GroupBounds(_MOST_GROUP_ELEMENTS, decoder.config.kv_cache_width)


RunnerFactory = Callable[[Decoder, KVCache, EngineSettings], Runner]


def runner_for(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> Runner:
    """Kernels and graphs on a CUDA device that has them, plain PyTorch everywhere else."""
    if not runs_kernels(decoder.device):
        return TorchRunner(decoder, kv_cache)
    from .paged_runner import PagedRunner

    runner = PagedRunner(decoder, kv_cache, settings)
    runner.warm_up.at_once()
    return runner


def runs_kernels(device: torch.device) -> bool:
    """Whether `device` is one that the Triton kernels are for, and Triton is there."""
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _OLDEST_CAPABILITY
