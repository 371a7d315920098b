"""What importing the screen loads: neither torch nor, before the first frame, what is slow."""

import subprocess
import sys

import pytest

COMPARE_TAB = "prodtop.tui.screens.compare"
QUALITY_TAB = "prodtop.tui.screens.quality"
LATER_TABS = {COMPARE_TAB, QUALITY_TAB}
SEARCH = "prodtop.engine.planner.search.search"
SLOW_MODULES = {"torch", "numpy", "pyarrow", SEARCH, *LATER_TABS}
"""Loaded by the worker alone, by the first chart, by an export, and by the tabs that are not in
view."""


def loaded_by(statement: str) -> set[str]:
    """Which of the slow modules a new interpreter has once it has run a statement."""
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return SLOW_MODULES & set(run.stdout.split())


def test_importing_the_app_leaves_torch_out_and_leaves_numpy_and_the_planner_for_later() -> None:
    assert loaded_by("import prodtop.tui.app") == set()


@pytest.mark.parametrize("tab", sorted(LATER_TABS))
def test_tabs_of_measurements_need_neither_torch_nor_numpy(tab: str) -> None:
    assert loaded_by(f"import {tab}") == {tab}


def test_the_planner_needs_no_torch() -> None:
    loaded = loaded_by("import prodtop.tui.screens.planner")
    assert "torch" not in loaded
    assert SEARCH in loaded
