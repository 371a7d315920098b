"""How long a start took, by a clock that nobody sets."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from prodtop.engine.worker.main import process_age_s

CHILD = """
import time
from prodtop.engine.worker.main import process_age_s
time.time = lambda: 0.0
print(process_age_s())
"""


def test_the_age_is_that_of_the_process_whatever_the_wall_clock_says() -> None:
    began_s = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True
    )
    took_s = time.monotonic() - began_s
    # Importing torch takes most of it; ticks are hundredths of a second.
    assert 0.1 * took_s < float(child.stdout) <= took_s + 0.02


@pytest.mark.parametrize("content", ["", "1 (a b) c) S 1", None])
def test_a_system_that_does_not_tell_counts_from_the_import(
    content: str | None, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    if content is not None:
        stat.write_text(content)
    assert 0.0 <= process_age_s(stat) <= process_age_s() + 0.02
