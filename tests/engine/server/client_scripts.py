"""Real clients from PyPI, each in an environment and a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asgi_client import Json

DEADLINE_S = 200.0
CLIENTS = Path(sys.prefix) / "clients"


def program_of(client: str, name: str = "python") -> Path:
    """A program of a client's environment; a skip where the client is not there."""
    program = CLIENTS / client / "bin" / name
    if not program.exists():
        pytest.skip(f"{client} is not there: `make test` installs it")
    return program


def run_program(client: str, name: str, *arguments: str, folder: Path) -> tuple[int, str]:
    """Run a program of a client's in `folder`: its exit code, and all that it printed."""
    done = subprocess.run(
        [program_of(client, name), *arguments],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hub"), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stdout


def run_client(client: str, script: str, *arguments: str) -> Json:
    """What `script`, which talks to a server by means of `client`, prints last, as JSON."""
    done = subprocess.run(
        [program_of(client), str(Path(__file__).with_name(script)), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
