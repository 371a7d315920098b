"""CUDA graphs of steps, one for each of a few sizes.

A step is a few hundred short kernels: launched one by one, the host takes longer than the device. A
graph of them is launched at once, for as many rows as its size has; a step that has fewer is padded
with rows that are not stored.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..ops.step_layout import DeviceStep, HostStep, StepLayout

Compute = Callable[[DeviceStep, bool], None]

_MOST_GRAPHS = 128
"""The driver keeps some megabytes for each, which torch does not see."""


@dataclass(frozen=True, slots=True)
class StepGraph:
    """A captured step, which reads its input from `words` (see `DeviceStep`)."""

    words: Tensor
    graph: torch.cuda.CUDAGraph

    def replay(self) -> None:
        self.graph.replay()


class StepGraphs:
    """The graphs captured so far, each when it is first needed.

    They share one memory pool. It is laid out by the `largest`, which is captured before any other:
    the smaller ones then find room in what it takes. Capturing runs the step on empty rows once:
    `sampled`, int64 `[sampled rows]`, which it writes and the next real step reads, is put back
    afterwards.
    """

    def __init__(self, largest: StepLayout, compute: Compute, sampled: Tensor) -> None:
        self._largest = largest
        self._compute = compute
        self._sampled = sampled
        self._device = sampled.device
        self._graphs: dict[tuple[StepLayout, bool], StepGraph] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self.storage_bytes = 0
        """Device memory that the graphs hold."""
        self.capture_s = 0.0
        """Time that capturing took, with the compiling of kernels that it met."""

    def __len__(self) -> int:
        return len(self._graphs)

    def get(self, layout: StepLayout, filtered: bool) -> StepGraph | None:
        """The graph of this layout; `filtered` if some row has a top-k or top-p.

        `None` for a step with prefill chunks that has none while there are as many as there may be.
        Decode steps, of which there are few sizes, get one all the same.
        """
        graph = self._graphs.get((layout, filtered))
        has_room = len(self._graphs) < _MOST_GRAPHS or not layout.tiles
        if graph is None and has_room:
            before = self._sampled.clone()
            if not self._graphs and layout != self._largest:
                self._capture(self._largest, filtered)
            graph = self._capture(layout, filtered)
            self._sampled.copy_(before)
        return graph

    def _capture(self, layout: StepLayout, filtered: bool) -> StepGraph:
        began_s = time.perf_counter()
        words = empty_step(layout, self._device)
        step = DeviceStep.over(words, layout)
        # Once for real: kernels are compiled and libraries make their workspaces.
        self._compute(step, filtered)
        torch.cuda.synchronize(self._device)
        # Capturing begins by giving back what is unused, which is no part of the graph.
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved(self._device)
        graph = torch.cuda.CUDAGraph()
        capture = torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local")
        with _no_garbage_collection(), capture:
            self._compute(step, filtered)
        self.storage_bytes += torch.cuda.memory_reserved(self._device) - before
        captured = self._graphs[layout, filtered] = StepGraph(words, graph)
        self.capture_s += time.perf_counter() - began_s
        return captured


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector away: a graph of an engine that is gone, destroyed during a capture,
    invalidates it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def empty_step(layout: StepLayout, device: torch.device) -> Tensor:
    """The input of a step whose rows are of no sequence, so that it stores nothing.

    int32 `[layout.words]`, on `device`.
    """
    words = np.empty(layout.words, dtype=np.int32)
    HostStep.empty(words, layout)
    return torch.from_numpy(words).to(device)
