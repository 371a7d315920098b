"""Real clients from PyPI, each a script in a process and with a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asgi_client import Json

DEADLINE_S = 120.0
CLIENTS = Path(sys.prefix) / "clients"


def run_client(client: str, script: str, *arguments: str) -> Json:
    """What `script`, which talks to a server by means of `client`, prints as JSON; else a skip."""
    folder = CLIENTS / client
    if not folder.is_dir():
        pytest.skip(f"{client} is not there: `make test` installs it")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
