"""A training engine's own parser, in a process of its own, asked over a pipe."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

DEADLINE_S = 120.0
ENGINES = Path(sys.prefix) / "engines"
READERS = Path(__file__).parent / "readers"

Answer = dict[str, object]


@contextmanager
def engine_reader(script: str, engine: str) -> Iterator["EngineReader"]:
    """`readers/<script>.py` over the engine in `<environment>/engines/<engine>`, else a skip."""
    folder = ENGINES / engine
    if not folder.is_dir():
        pytest.skip(f"{engine} is not there: `make test` installs it")
    with tempfile.TemporaryFile(mode="w+") as log:
        reader = EngineReader(script, folder, log)
        try:
            yield reader
        finally:
            reader.end()


class EngineReader:
    """A script over an engine's folder.

    The engine is imported on the first question. It may print what it likes: answers have a pipe of
    their own.
    """

    def __init__(self, script: str, folder: Path, log: IO[str]) -> None:
        self._script = READERS / f"{script}.py"
        self._folder = folder
        self._child: subprocess.Popen[str] | None = None
        self._answers = -1
        self._log = log

    def read(self, text: str, world: int) -> Answer:
        """What the engine makes of `text` for `world` ranks; fails with its words if it refuses."""
        child = self._child or self._start()
        assert child.stdin is not None
        child.stdin.write(json.dumps({"text": text, "world": world}) + "\n")
        child.stdin.flush()
        line = self._line()
        if line is None:
            self.end()
            self._log.seek(0)
            pytest.fail("\n".join([*self._log.read().splitlines()[-12:], text]))
        answer = json.loads(line)
        assert isinstance(answer, dict)
        assert "refused" not in answer, f"{answer['refused']}\n{text}"
        return answer

    def _start(self) -> subprocess.Popen[str]:
        self._log.seek(0)
        self._log.truncate()
        self._answers, theirs = os.pipe()
        paths = [str(self._folder), str(READERS)]
        self._child = subprocess.Popen(
            [sys.executable, str(self._script), str(theirs)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            text=True,
        )
        os.close(theirs)
        return self._child

    def _line(self) -> str | None:
        """The next answer, or nothing where the process ended."""
        content = b""
        while not content.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], DEADLINE_S)
            assert ready, "the engine's parser does not answer"
            part = os.read(self._answers, 65_536)
            if not part:
                return None
            content += part
        return content.decode()

    def end(self) -> None:
        """End the process; the next question would start another."""
        if self._child is None:
            return
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.kill()
        self._child.wait()
        os.close(self._answers)
        self._child = None
