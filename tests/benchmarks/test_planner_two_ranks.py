"""The comparison of prediction and training runs as a whole, on a CPU over gloo."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "planner_two_ranks.py"


def test_a_small_gpt_is_trained_on_two_ranks_and_compared(tmp_path: Path) -> None:
    """Under tensor parallelism: a split that forgot a gradient would not learn its batch.

    The others take as long again, and run the same way by hand.
    """
    options = ("--strategies", "tp", "--device", "cpu", "--size", "tiny", "--steps", "3")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options, "--json"],
        capture_output=True,
        text=True,
        timeout=280,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["strategy"] == "tp"
    assert row["measured_s"] > 0
    assert row["predicted_s"] > 0
    assert row["predicted_bytes"] > 0
    assert row["measured_bytes"] is None, "a CPU does not count its peak"
    assert row["last_loss"] < row["first_loss"]
