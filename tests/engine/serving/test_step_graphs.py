"""Capturing a step as a CUDA graph, whatever else the process has in memory."""

import gc

import pytest
import torch
from prodtop.engine.ops.step_layout import DeviceStep, StepLayout
from prodtop.engine.serving.step_graphs import StepGraphs

LAYOUT = StepLayout(rows=2, sequences=2, decode=2, sampled=2, width=1)


class Cycle:
    """Garbage that only the collector frees: it holds a graph, and itself."""

    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self.graph = graph
        self.own = self


def captured_graph(device: torch.device) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    numbers = torch.zeros(8, device=device)
    with torch.cuda.graph(graph):
        numbers.add_(1)
    return graph


@pytest.mark.gpu
def test_garbage_with_a_graph_of_its_own_does_not_end_a_capture() -> None:
    """Destroying a graph invalidates a capture: a collection in its middle must not happen."""
    device = torch.device("cuda", 0)
    numbers, captures = torch.zeros(4, device=device), []
    others = [captured_graph(device)]

    def compute(step: DeviceStep, filtered: bool) -> None:
        if torch.cuda.is_current_stream_capturing():
            captures.append(filtered)
            Cycle(others.pop())
            [[] for _ in range(10_000)]  # enough new objects for a collection of what is young
        numbers.add_(1)

    graphs = StepGraphs(LAYOUT, compute, torch.zeros(2, dtype=torch.int64, device=device))
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        graph = graphs.get(LAYOUT, filtered=False)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
    assert captures == [False]
    assert graph is not None
    before = numbers.clone()
    graph.replay()
    torch.cuda.synchronize(device)
    assert torch.equal(numbers, before + 1)
