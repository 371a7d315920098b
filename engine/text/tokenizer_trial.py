"""Reading a `tokenizer.json` for the first time, in a process of its own, with limits.

Reading one runs its normalizer on every added token, and a pattern may backtrack without end. The
library holds Python's lock meanwhile: no thread and no signal handler of this process could end it.
So another process reads the file first; what ends there within the limits ends here as well.
"""

import os
import resource
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from ..files.changed import FileStamp, file_stamp
from ..protocol.child_process import die_with_parent, lower_limit
from ..protocol.errors import BadInputError, CheckpointError

LOAD_LIMIT_S = 30
"""Of processor time, in whole seconds. A vocabulary of 256,000 tokens takes one or two."""

WALL_FACTOR = 4.0
"""How many times the limit may pass on a clock, where other processes have the cores."""

MEMORY_LIMIT_BYTES = 4 << 30
"""A vocabulary of 256,000 tokens takes less than one GiB."""

_SHIPPED = Path(__file__).resolve().parents[1]
"""What comes with prodtop was read before."""


def try_tokenizer(path: Path) -> None:
    """Read a tokenizer and the files beside it elsewhere, once for each state of the file.

    Whether it is one at all, or there, shows when it is read here.

    Raises:
        CheckpointError: it takes too long, or too much memory.
    """
    if path.resolve().is_relative_to(_SHIPPED):
        return
    stamp = file_stamp(path)
    if stamp is not None:
        _try(path, stamp, LOAD_LIMIT_S)


@lru_cache(maxsize=16)
def _try(path: Path, stamp: FileStamp, limit_s: int) -> None:
    del stamp  # It tells whether it is the file that was tried before.
    command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(limit_s), str(path)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WALL_FACTOR * limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_long(path, limit_s) from None
    except OSError as error:
        raise BadInputError(f"a tokenizer cannot be tried before it is read: {error}") from error
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _too_long(path, limit_s)
    if done.returncode:
        raise CheckpointError(
            f"{path}: ends the process that reads it ({done.returncode}): it may need more than "
            f"{MEMORY_LIMIT_BYTES >> 30} GiB"
        )


def _too_long(path: Path, limit_s: int) -> CheckpointError:
    return CheckpointError(f"{path}: takes more than {limit_s} s to read: a pattern has no end")


def main(parent: int, limit_s: int, path: Path) -> None:
    """Read the tokenizer at `path`; what is wrong with it is told by whoever reads it next."""
    die_with_parent()
    if os.getppid() != parent:
        sys.exit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_limit(resource.RLIMIT_AS, MEMORY_LIMIT_BYTES)
    lower_limit(resource.RLIMIT_CORE, 0)
    lower_limit(resource.RLIMIT_CPU, limit_s)
    # Here and not above: the parent has it already, or never needs it.
    from .tokenizer_file import read_tokenizer

    try:
        read_tokenizer(path)
    except MemoryError:
        sys.exit(1)
    except BadInputError:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
