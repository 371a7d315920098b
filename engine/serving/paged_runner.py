"""Runs steps on CUDA, one ahead of the host: as graphs, or kernel by kernel for long prompts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels.attention.gathered_keys import GatheredKeys
from ..kernels.common.gpu_limits import gpu_limits
from ..kernels.common.kernel_hashes import settle_hashes
from ..kernels.common.step_input import copy_step_input
from ..kernels.linear.prepare import reserve_unpacked
from ..kernels.sampling.sampling import HostTokens, SamplerScratch, SamplerSettings, sample_tokens
from ..model.decoder import Decoder
from ..ops.step_layout import DeviceStep, HostStep, StepLayout
from ..ops.triton_ops import OpsContext, TritonOps
from .kv_cache import BLOCK_TOKENS, KVCache
from .logprobs import StepLogprobs
from .row_work import RowWork
from .settings import EngineSettings
from .step_builder import BuiltStep, StepBuilder
from .step_graphs import StepGraphs, empty_step
from .step_plan import Chunk
from .step_sizes import StepSizes, smallest_holding
from .transfers import to_device
from .warm_up import WarmUp

_ALIGNED_WORDS = 64
_RING = 3
"""Pinned buffers: one for the step being filled in, one for each of the two in flight."""


@dataclass(frozen=True, slots=True)
class LaunchedStep:
    """The result of a launched step: `StepResult`.

    `order` is each chunk's place among `host_tokens` `[sampled]`, or -1; the tokens after its
    `drafts` come right behind it. `work` has the logprobs that were asked for.
    """

    order: list[int]
    drafts: list[int] | None
    host_tokens: Tensor
    work: RowWork | None
    began: torch.cuda.Event | None
    arrived: torch.cuda.Event | None

    def tokens(self) -> list[int | None]:
        if self.arrived is not None:
            self.arrived.synchronize()
        values: list[int] = self.host_tokens.tolist()
        return [values[place] if place >= 0 else None for place in self.order]

    def after_drafts(self) -> list[list[int]]:
        if self.drafts is None:
            return [[] for _ in self.order]
        values: list[int] = self.host_tokens.tolist()
        return [
            values[place + 1 : place + 1 + count]
            for place, count in zip(self.order, self.drafts, strict=True)
        ]

    def logprobs(self) -> StepLogprobs | None:
        return None if self.work is None else self.work.read()

    def device_s(self) -> float:
        if self.began is None or self.arrived is None:
            return 0.0
        elapsed_ms: float = self.began.elapsed_time(self.arrived)
        return elapsed_ms / 1e3


class PagedRunner:
    """A decoder on a device that works through launches by itself: `Runner`.

    The tokens that a step samples stay on the device for the next one, so that it can be launched
    before they are known here. Without `graphs` every step is launched kernel by kernel (what the
    tests do on a CPU, under Triton's interpreter).
    """

    ahead = 1

    def __init__(
        self,
        decoder: Decoder,
        kv_cache: KVCache,
        settings: EngineSettings,
        *,
        graphs: bool = True,
    ) -> None:
        max_seqs, context_tokens = settings.max_seqs, settings.context_tokens
        self.decoder = decoder
        self.kv_cache = kv_cache
        device = decoder.device
        config = decoder.config
        gathered = GatheredKeys.of(
            context_tokens,
            settings.token_budget,
            config.heads,
            config.kv_heads,
            config.head_dim,
            decoder.dtype,
            device,
        )
        kv_dtype = kv_cache.layers[0].dtype
        self._context = OpsContext(config, context_tokens, device, kv_dtype, gathered)
        width = -(-context_tokens // BLOCK_TOKENS)
        self._builder = StepBuilder(max_seqs, width, self._context.prefill_tiles)
        self._sizes = StepSizes(
            max_seqs=max_seqs,
            token_budget=settings.token_budget,
            weights=decoder.config.linear_parameters,
            sampled_rows=settings.sampled_rows,
            width=width,
            tile_queries=self._context.tile_queries,
        )
        largest = StepLayout(
            rows=settings.token_budget,
            sequences=max_seqs,
            decode=0,
            sampled=settings.sampled_rows,
            width=width,
            tiles=settings.token_budget,
            key_tiles=0 if gathered is None else gathered.key_tiles,
        )
        words = max(largest.words, self._sizes.largest.words)
        self._most_rows = max(largest.rows, self._sizes.largest.rows)
        self._on_gpu = device.type == "cuda"
        self._pdl = self._on_gpu and gpu_limits(device).dependent_launch
        # Rows are aligned as whole tensors are: the same kernel takes each of them in. The first is
        # for steps that only warm up or are captured: nobody reads their tokens.
        self._inputs = self._host(-(-words // _ALIGNED_WORDS) * _ALIGNED_WORDS, torch.int32)
        self._outputs = self._host(settings.sampled_rows, torch.int64)
        self._turn = 0
        self._sampled = torch.zeros(settings.sampled_rows, dtype=torch.int64, device=device)
        self._carried: dict[int, int] = {}
        self._scratch = SamplerScratch.of(settings.sampled_rows, device)
        if self._on_gpu:
            settle_hashes()
            reserve_unpacked(decoder.projections(), decoder.dtype, self._most_rows)
        self.graphs: StepGraphs | None = None
        if graphs:
            self.graphs = StepGraphs(self._sizes.largest, self._compute, self._sampled)

    @property
    def graph_bytes(self) -> int:
        """Device memory that captured graphs hold."""
        return 0 if self.graphs is None else self.graphs.storage_bytes

    @property
    def capture_s(self) -> float:
        """Time that capturing graphs took so far."""
        return 0.0 if self.graphs is None else self.graphs.capture_s

    @property
    def warm_up(self) -> WarmUp:
        """What is done before the first step, so that no request waits for a compiler."""
        return WarmUp(
            decoder=self.decoder,
            kv_dtype=self.kv_cache.layers[0].dtype,
            sizes=self._sizes,
            most_rows=self._most_rows,
            sampled_rows=len(self._sampled),
            gathers=self._context.gathered is not None,
            run=self._run_empty,
        )

    @torch.inference_mode()
    def _run_empty(self, kinds: Iterable[StepLayout], decoder: Decoder) -> None:
        """Steps of empty rows through `decoder`: neither the cache nor `_sampled` is changed."""
        kept = self._sampled.clone()
        self._take_in(0, torch.empty(_ALIGNED_WORDS, dtype=torch.int32, device=decoder.device))
        for layout in kinds:
            words = empty_step(layout, decoder.device)
            for filtered in (False, True) if layout.rows == 1 else (False,):
                self._compute(DeviceStep.over(words, layout), filtered, decoder=decoder)
        self._sampled.copy_(kept)

    @torch.inference_mode()
    def launch(self, chunks: Sequence[Chunk]) -> LaunchedStep:
        began = self._event()
        self._turn = 1 + self._turn % _RING
        built = self._build(chunks)
        layout, filtered = built.layout, _filtered(built)
        work = RowWork.of(built.sampled, built.chunks, built.first_rows)
        graph = None
        if self.graphs is not None and built.padded and work is None:
            graph = self.graphs.get(layout, filtered)
        if graph is not None:
            self._upload(built, graph.words)
            graph.replay()
        else:
            words = torch.empty(layout.words, dtype=torch.int32, device=self.decoder.device)
            self._upload(built, words)
            self._compute(DeviceStep.over(words, layout), filtered, work)
        return self._delivered(chunks, built, work, began)

    def _build(self, chunks: Sequence[Chunk]) -> BuiltStep:
        if self.graphs is None:
            return self._builder.mixed(chunks, self._carried)
        if all(chunk.num_tokens == 1 for chunk in chunks):
            return self._builder.decode(chunks, self._carried, self._sizes.decode(len(chunks)))
        return self._builder.mixed(chunks, self._carried, self._sizes.mixed)

    def _upload(self, built: BuiltStep, words: Tensor) -> None:
        host: NDArray[np.int32] = self._inputs[self._turn, : built.layout.words].numpy()
        built.fill(host)
        HostStep.over(host, built.layout).ring_row[0] = self._turn
        self._take_in(self._turn, words)

    def _take_in(self, turn: int, words: Tensor) -> None:
        copy_step_input(self._inputs[turn, : len(words)], words)

    def _compute(
        self,
        step: DeviceStep,
        filtered: bool,
        work: RowWork | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        """One step from its input on the device to `_sampled`. What a graph captures, but for the
        `work` on single requests. `decoder`: in place of the runner's, one of fewer layers."""
        layout, decoder = step.layout, decoder or self.decoder
        plan = None
        if layout.decode:
            # That of the next graph's size: few plans, and no kernel but the graphs' own.
            sequences = smallest_holding(layout.decode, self._sizes.decode_rows)
            plan = self._context.decode_plan(sequences)
        ops = TritonOps(self._context, step, plan, sampled=self._sampled, pdl=self._pdl)
        each_row = layout.decode == layout.sampled == layout.rows
        wanted = None if each_row else step.sampled_rows
        if work is not None and (prompt_rows := work.prompt_rows):
            more = to_device(prompt_rows, decoder.device).to(step.sampled_rows.dtype)
            wanted = torch.cat([step.sampled_rows, more])
        kv_blocks = self.kv_cache.layers[: len(decoder.layers)]
        hidden = decoder.forward(step.tokens, ops, kv_blocks, wanted)
        if work is not None:
            vocabulary = decoder.config.vocabulary
            rest = hidden[layout.sampled :]
            work.measure_prompts(rest, lambda part: decoder.logits(part, ops), vocabulary)
        if not layout.sampled:
            return
        logits = decoder.logits(hidden[: layout.sampled], ops)
        if work is not None:
            work.edit(logits)
        settings = SamplerSettings(step.temperature, step.top_p, step.top_k, step.keys)
        tokens = sample_tokens(
            logits,
            settings,
            self._scratch,
            self._sampled[: layout.sampled],
            HostTokens(self._outputs, step.ring_row),
            filtered=filtered,
        )
        if work is not None:
            work.measure_tokens(tokens)

    def _delivered(
        self,
        chunks: Sequence[Chunk],
        built: BuiltStep,
        work: RowWork | None,
        began: torch.cuda.Event | None,
    ) -> LaunchedStep:
        """The step on its way, and where each chunk's tokens are among those it sends home."""
        places = {
            chunk.request.request_id: place
            for place, chunk in enumerate(built.sampled)
            if chunk.samples
        }
        self._carried = places
        count = len(built.sampled)
        order = [places[chunk.request.request_id] if chunk.samples else -1 for chunk in chunks]
        drafts = None
        if count > len(places):
            drafts = [len(chunk.drafts) for chunk in chunks]
            order = [place - after for place, after in zip(order, drafts, strict=True)]
        host_tokens = self._outputs[self._turn, :count]
        return LaunchedStep(order, drafts, host_tokens, work, began, self._event())

    def _event(self) -> torch.cuda.Event | None:
        """A moment of the device's, once it gets here."""
        if not self._on_gpu:
            return None
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's
        event.record()
        return event

    def _host(self, width: int, dtype: torch.dtype) -> Tensor:
        """Memory of the host that kernels reach: a row for each turn, and the first."""
        return torch.empty((1 + _RING, width), dtype=dtype, pin_memory=self._on_gpu)


def _filtered(built: BuiltStep) -> bool:
    """Whether a token of the step is drawn from some of the vocabulary only."""
    return any(
        chunk.request.sampling.top_k > 0 or chunk.request.sampling.top_p < 1
        for chunk in built.sampled
    )
