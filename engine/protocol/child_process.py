"""What every child process owes its parent: to end with it, and to say what ended it.

Two nets hold a child that is in the middle of something long: the kernel's `PR_SET_PDEATHSIG`
(Linux), which needs nothing of the child, and a thread that waits for the channel's end. Neither
needs the main thread to look up from a download, a template or a blocking read.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from itertools import pairwise
from pathlib import Path

from .channel import Channel, Incoming
from .events import Crash, Fault

PARENT_GONE_GRACE_S = 2.0
"""How long a child may take to end by itself once its parent has gone."""
LAST_WORDS_PATIENCE_S = 1.0
_PR_SET_PDEATHSIG = 1


def die_with_parent(channel_fd: int | None = None) -> None:
    """End this process when its parent ends, whatever it is doing then.

    Called first thing, before slow imports. `channel_fd` is the inherited end of the channel, or of
    a pipe that the parent reads: its hang-up counts as the parent's end as well, after
    `PARENT_GONE_GRACE_S`.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    if channel_fd is not None:
        threading.Thread(target=_watch, args=(os.dup(channel_fd),), daemon=True).start()


def lower_limit(which: int, value: int) -> None:
    """Lower a limit of this process (`resource.RLIMIT_…`), as far as it is not lower already."""
    _, hard = resource.getrlimit(which)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(which, (value if hard < 0 else min(value, hard), hard))


def raise_open_files(most: int) -> None:
    """Let this process have up to `most` files open, as far as its hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def channel_fd_of(arguments: list[str]) -> int | None:
    """The fd after `--channel-fd` on a command line that is not parsed yet."""
    for name, value in pairwise(arguments):
        if name == "--channel-fd" and value.isdecimal():
            return int(value)
    return None


def _watch(fd: int) -> None:
    """Wait for the other end to be closed. A duplicate fd: the channel may close its own."""
    hang_up = select.poll()
    hang_up.register(fd, 0)
    hang_up.poll()
    time.sleep(PARENT_GONE_GRACE_S)
    os._exit(0)


def tell_end(channel: Channel[Incoming], fault: Fault) -> int:
    """Log the error being handled and send the fault that it is; returns the exit code."""
    _send_last(channel, fault)
    _log_error()
    return fault.exit_code


def tell_crash(channel: Channel[Incoming], error: BaseException) -> int:
    """Log an unexpected error and send what it was and where: no log is needed to know it."""
    _send_last(channel, Crash(reason=describe(error)))
    _log_error()
    return 1


def describe(error: BaseException) -> str:
    """An error in one line: `ValueError: what it says (decoder.py:71)`."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {words}{where}" if words else f"{type(error).__name__}{where}"


def _send_last(channel: Channel[Incoming], message: Crash | Fault) -> None:
    """Send a message and wait until it has left: the process ends right after."""
    channel.send(message)
    deadline_s = time.monotonic() + LAST_WORDS_PATIENCE_S
    while channel.unsent_bytes and (left_s := deadline_s - time.monotonic()) > 0:
        select.select([], [channel], [], left_s)
        channel.flush()


def _log_error() -> None:
    # A full disk takes no log: the reason has gone over the channel already.
    with contextlib.suppress(OSError, ValueError):
        traceback.print_exc(file=sys.stderr)
