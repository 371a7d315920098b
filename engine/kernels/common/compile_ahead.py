"""Has kernels compiled before they are launched, all at once and beside other work.

Within `noted` a launch that would have to compile does nothing but say what it needs;
`have_compiled` then has all of it compiled in processes of their own (`compile_server`), and the
`Compiling` that it returns says how far they are. What is launched afterwards is found in Triton's
cache on disk. A kernel that nobody noted, or whose compiling failed, is compiled where it is
launched, as ever.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import IO

import msgspec
import triton
from triton import knobs
from triton._C.libtriton import get_cache_invalidating_env_vars
from triton.backends.compiler import GPUTarget
from triton.compiler import make_backend
from triton.runtime import driver
from triton.runtime.cache import get_cache_key, get_cache_manager
from triton.runtime.jit import JitFunctionInfo

from ...device.device_file import DeviceFile
from ...files.paths import data_dir
from .compile_server import KernelWanted, Target, source_of

_MOST_PROCESSES = 16
_INTERPRET = "TRITON_INTERPRET"
_WORTH_A_PROCESS = 3
"""Fewer kernels are compiled where they are launched before the other process is up."""


@contextmanager
def noted() -> Iterator[list[KernelWanted]]:
    """What launches in this context would compile, without their being compiled or launched.

    A kernel that this process has compiled already is launched. On the current CUDA device.
    """
    found: list[KernelWanted] = []
    current: GPUTarget = driver.active.get_current_target()
    target = Target(current.backend, current.arch, current.warp_size)

    def note(*, fn: JitFunctionInfo, **call: object) -> bool:
        compiled = call["compile"]
        assert isinstance(compiled, dict)
        found.append(KernelWanted(str(fn.module), fn.name, compiled["specialization_data"], target))
        return True

    before = knobs.runtime.jit_cache_hook
    knobs.runtime.jit_cache_hook = note
    try:
        yield found
    finally:
        knobs.runtime.jit_cache_hook = before


def is_kept(wanted: KernelWanted) -> bool:
    """Whether Triton's cache on disk has it."""
    source, given = source_of(wanted)
    target = GPUTarget(wanted.target.backend, wanted.target.arch, wanted.target.warp_size)
    backend = make_backend(target)
    options = backend.parse_options({**given, **source.parse_options()})
    key = get_cache_key(source, backend, options, env_vars=get_cache_invalidating_env_vars())
    name = f"{source.name[:150]}.json"
    group = get_cache_manager(sha256(key.encode()).hexdigest()).get_group(name)
    return group is not None and name in group


class CompileServer:
    """The process that compiles (`compile_server`); `processes` kernels at a time."""

    def __init__(self, processes: int | None = None) -> None:
        most = processes or max(1, min(_MOST_PROCESSES, (os.cpu_count() or 2) - 1))
        environment = {name: value for name, value in os.environ.items() if name != _INTERPRET}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.compile_server", str(most)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._asked = 0
        self._missing: set[int] = set()
        self._has_ended = False
        self._changed = Condition()
        self._lines: SimpleQueue[list[str] | None] = SimpleQueue()
        # The process takes seconds until it reads, and a pipe has little room.
        Thread(target=self._write, name="kernels to compile", daemon=True).start()
        Thread(target=self._read, name="compiled kernels", daemon=True).start()

    @property
    def process_id(self) -> int:
        """Of the process that compiles."""
        return self._process.pid

    def compile(self, kernels: Sequence[KernelWanted]) -> "Compiling":
        """Ask for kernels, after those asked for before. Does not wait."""
        numbers = range(self._asked, self._asked + len(kernels))
        self._asked += len(kernels)
        with self._changed:
            if not self._has_ended:
                self._missing.update(numbers)
        self._lines.put([f"{msgspec.json.encode(wanted).decode()}\n" for wanted in kernels])
        return Compiling(self, self._asked)

    def missing(self, before: int) -> int:
        """How many of the first `before` kernels that were asked for are not done yet; none where
        the process has ended."""
        with self._changed:
            return sum(number < before for number in self._missing)

    def wait(self, before: int) -> None:
        """Until none of the first `before` is missing."""
        with self._changed:
            self._changed.wait_for(lambda: all(number >= before for number in self._missing))

    def close(self) -> None:
        """No more will be asked for; the process ends when it is done."""
        self._lines.put(None)

    def _write(self) -> None:
        assert self._process.stdin is not None
        # A process that has died compiles nothing: those who launch do.
        with suppress(OSError), self._process.stdin as lines:
            while (asked := self._lines.get()) is not None:
                lines.writelines(asked)
                lines.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._count(self._process.stdout)
        with self._changed:
            self._has_ended = True
            self._missing.clear()
            self._changed.notify_all()
        self._process.wait()

    def _count(self, lines: IO[str]) -> None:
        for line in lines:
            with self._changed:
                self._missing.discard(int(line))
                self._changed.notify_all()


@dataclass(frozen=True)
class Compiling:
    """Kernels on their way: the first `before` that a server was asked for."""

    server: CompileServer | None
    before: int

    @property
    def missing(self) -> int:
        """How many are not compiled yet."""
        return 0 if self.server is None else self.server.missing(self.before)

    def wait(self) -> None:
        """Until none is missing."""
        if self.server is not None:
            self.server.wait(self.before)


class KnownSteps:
    """Steps whose kernels were compiled before, by name: those need not even be noted again."""

    def __init__(self, owner: str, path: Path | None = None) -> None:
        """`owner` names what all of them depend on: device and versions."""
        self._owner = f"{owner}, triton {triton.__version__}, in {knobs.cache.dir}"
        self._file = DeviceFile(path or data_dir() / "compiled.json", _KNOWN)

    def __contains__(self, steps: str) -> bool:
        return steps in self._file.read(self._owner)

    def add(self, steps: str) -> None:
        """Remember that Triton keeps their kernels."""
        known = self._file.read(self._owner)
        self._file.write(self._owner, {**known, steps: True})


_KNOWN = msgspec.json.Decoder(dict[str, dict[str, bool]])

_servers: list[CompileServer] = []
"""The one of this process, while it needs one."""


def have_compiled(kernels: Sequence[KernelWanted]) -> Compiling:
    """Have those compiled that Triton does not keep on disk. Does not wait."""
    missing = [wanted for wanted in dict.fromkeys(kernels) if not is_kept(wanted)]
    if not _servers and len(missing) < _WORTH_A_PROCESS:
        return Compiling(None, 0)
    if not _servers:
        _servers.append(CompileServer())
    return _servers[0].compile(missing)


def ask_for_no_more() -> None:
    """Let the other process end once it has compiled what it was asked for."""
    for server in _servers:
        server.close()
    _servers.clear()


def compiles_here_first() -> bool:
    """Whether kernels had to be compiled since the last `ask_for_no_more`."""
    return bool(_servers)
