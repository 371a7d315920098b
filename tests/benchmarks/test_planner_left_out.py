"""Intervals hold the share of left-out runs that they promise."""

import math
import random
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from planner_left_out import (
    LEAST_RUNS,
    Residual,
    coverage,
    held,
    spread_of,
    spreads,
    write_intervals,
)


def made(sources: int, runs: int, seed: int, spread: float) -> list[Residual]:
    """Residuals of one class, each source with a shift of its own."""
    rng = random.Random(seed)
    found = []
    for source in range(sources):
        shift = rng.gauss(0, spread)
        for row in range(runs):
            error = shift + rng.gauss(0, spread / 2)
            found.append(Residual(row, f"s{source}", "time", error, ("a", "all"), None))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_left_out_intervals_hold_four_of_five(seed: int) -> None:
    assert 0.75 <= coverage(made(20, 12, seed, 0.1))["time"] <= 0.85


def test_a_spread_holds_its_share_of_even_sources() -> None:
    rows = made(1, 100, 1, 0.1)
    inside = sum(abs(one.error) <= spread_of(rows) for one in rows)
    assert inside == 80


def test_a_class_needs_runs_of_several_sources() -> None:
    assert "a" not in spreads(made(1, 50, 2, 0.1))
    assert "a" in spreads(made(2, LEAST_RUNS, 2, 0.1))


def test_a_left_out_source_does_not_speak_for_itself() -> None:
    quiet = [Residual(row, "quiet", "time", 0.01, ("all",), None) for row in range(10)]
    loud = [Residual(row, "loud", "time", 1.0, ("all",), None) for row in range(10)]
    assert held([*quiet, *loud]) == 0.5


def test_the_file_says_spreads_runs_and_sources(tmp_path: Path) -> None:
    rows = made(4, 10, 3, 0.1)
    memory = [replace(one, metric="memory", error=2 * one.error) for one in rows]
    path = tmp_path / "intervals.toml"
    write_intervals([*rows, *memory], path)
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(found) == {"time", "memory"}
    for one in found["time"].values():
        assert one["runs"] == 40
        assert one["sources"] == 4
    time, wide = (math.log1p(found[metric]["all"]["spread"]) for metric in ("time", "memory"))
    assert wide == pytest.approx(2 * time, rel=0.02)
