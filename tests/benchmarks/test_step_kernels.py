"""What the kernels' trace is read as."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "step_kernels.py"


@pytest.fixture
def step_kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("step_kernels", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "step_kernels", module)
    spec.loader.exec_module(module)
    return module


def kernel(name: str, start_us: float, end_us: float, grid: list[int]) -> dict[str, object]:
    args = {"grid": grid, "stream": 7}
    return {"cat": "kernel", "name": name, "ts": start_us, "dur": end_us - start_us, "args": args}


def test_kernels_that_overlap_are_told_by_their_ends(step_kernels: ModuleType) -> None:
    """Two steps of two layers: `mul` starts while `norm` still runs, and waits for it."""
    events: list[dict[str, object]] = [{"ph": "M", "name": "process_name", "args": {"name": "x"}}]
    for layer in range(4):
        at = 100.0 * layer
        events.append(kernel("mul", at + 5, at + 90, [264, 1, 1]))
        events.append(kernel("norm", at, at + 10, [1, 1, 1]))
    trace = json.dumps({"traceEvents": events}).encode()
    mul, norm = step_kernels.kinds(step_kernels.events_of(trace), steps=2)
    assert (mul.name, mul.grid, mul.after, mul.a_step) == ("mul", (264, 1, 1), "norm", 2.0)
    assert (mul.ends_later, mul.lasts, mul.starts_after) == (80.0, 85.0, -5.0)
    assert (norm.after, norm.a_step, norm.ends_later) == ("mul", 1.5, 20.0)
    heading, first, _ = step_kernels.table([mul, norm])
    assert heading.split()[:2] == ["ends", "later"]
    assert first.split() == ["80.0", "85.0", "-5.0", "2.0", "mul", "264x1x1", "after", "norm"]
