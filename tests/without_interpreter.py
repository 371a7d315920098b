"""Runs the scripts that have Triton compile: the tests' own process may have its interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TIMEOUT_S = 250


def output_of(script: str, *arguments: str) -> str:
    """What a script of this folder prints; its errors are the test's. Skips where Triton is not."""
    pytest.importorskip("triton")
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ | {"TRITON_INTERPRET": "0"},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout
