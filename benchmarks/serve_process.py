"""`prodtop serve` as it is installed, in a process of its own: what real clients talk to."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_S = 60.0
_SERVING = re.compile(r"serving .* at (http://[\d.]+:\d+)/v1\n")


@contextmanager
def serving_process(*options: str) -> Iterator[str]:
    """Serve on a free port, with the options of `prodtop serve`; gives the URL, without `/v1`.

    One thread computes, so that a client on the same machine has a core to itself.
    """
    with subprocess.Popen(
        [Path(sys.prefix) / "bin" / "prodtop", "serve", "--port", "0", "--threads", "1", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = _SERVING.fullmatch(line := process.stdout.readline())
            if found is None:
                raise RuntimeError(f"it does not serve: {line!r}")
            yield found[1]
            process.send_signal(signal.SIGTERM)
            if process.wait(DEADLINE_S):
                raise RuntimeError(f"it ended with {process.returncode}")
        finally:
            process.kill()
