"""What importing the screen loads: neither torch nor, before the first frame, what is slow."""

import subprocess
import sys

COMPARE_TAB = "prodtop.tui.screens.compare"
SLOW_MODULES = {"torch", "numpy", "prodtop.engine.planner.search.search", COMPARE_TAB}
"""Loaded by the worker alone, by the first chart, and by the Planner tab."""


def loaded_by(statement: str) -> set[str]:
    """Which of the slow modules a new interpreter has once it has run a statement."""
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return SLOW_MODULES & set(run.stdout.split())


def test_importing_the_app_leaves_torch_out_and_leaves_numpy_and_the_planner_for_later() -> None:
    assert loaded_by("import prodtop.tui.app") == set()


def test_the_compare_tab_needs_neither_torch_nor_numpy() -> None:
    assert loaded_by(f"import {COMPARE_TAB}") == {COMPARE_TAB}


def test_the_planner_needs_no_torch() -> None:
    loaded = loaded_by("import prodtop.tui.screens.planner")
    assert "torch" not in loaded
    assert "prodtop.engine.planner.search.search" in loaded
