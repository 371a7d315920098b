"""Compiles kernels in processes of their own, for the cache that Triton keeps on disk.

`python -m prodtop.engine.kernels.common.compile_server` reads kernels from its standard input, a
JSON line each, compiles as many at a time as it is told, in forks of itself, and prints a line for
each that is done. Compiling is Python for a third of the time: threads would wait for each other,
and would hold up a process that measures or serves meanwhile.
"""

import contextlib
import os
import sys
from importlib import import_module
from threading import BoundedSemaphore, Lock, Semaphore, Thread

import msgspec
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from .kernel_hashes import settle_hash

Scalar = str | int | float | bool | None
Constant = Scalar | dict[str, Scalar]
Option = Scalar | list[Scalar | list[Scalar]] | dict[str, Scalar]
_NICE = 10
"""Below what serves: nobody waits for most of what is compiled here."""


class Target(msgspec.Struct, frozen=True):
    """The GPU that is compiled for: Triton's `GPUTarget`."""

    backend: str
    arch: int
    warp_size: int


class KernelWanted(msgspec.Struct, frozen=True):
    """A kernel by its `module` and `name`, and what Triton specializes it for, as Triton writes
    it (`serialize_specialization_data`)."""

    module: str
    name: str
    specialization: str
    target: Target


class _Specialization(msgspec.Struct):
    signature: dict[str, str]
    constant_keys: list[tuple[int, ...]]
    constant_vals: list[Constant]
    attrs_keys: list[tuple[int, ...]]
    attrs_vals: list[list[list[str | int]]]
    options: dict[str, Option]


def source_of(wanted: KernelWanted) -> tuple[ASTSource, dict[str, object]]:
    """What Triton compiles, and by which options: the same as where the kernel is launched, so
    that it is found in the cache there.

    Raises AttributeError or ImportError for a kernel that is not there.
    """
    function = getattr(import_module(wanted.module), wanted.name)
    if not isinstance(function, JITFunction):
        raise AttributeError(f"{wanted.module}.{wanted.name} is no kernel")
    settle_hash(function)
    read = msgspec.json.decode(wanted.specialization, type=_Specialization)
    constants = zip(read.constant_keys, map(_constant, read.constant_vals), strict=True)
    source = ASTSource(
        function,
        read.signature,
        dict(constants),
        dict(zip(read.attrs_keys, read.attrs_vals, strict=True)),
    )
    return source, {name: _option(value) for name, value in read.options.items()}


def _constant(value: Constant) -> object:
    # Triton writes a dtype as its name. No kernel has one among its constants, and some have
    # strings that read alike: "int8" is a format of weights.
    if isinstance(value, dict) and "constexpr" in value:
        return tl.constexpr(value["constexpr"])
    return value


def _option(value: Option) -> object:
    """JSON made lists of Triton's tuples."""
    if not isinstance(value, list):
        return value
    return tuple(tuple(each) if isinstance(each, list) else each for each in value)


def compile_kernel(wanted: KernelWanted) -> None:
    """Compile for the cache on disk; a kernel that is there already is left as it is."""
    source, options = source_of(wanted)
    target = GPUTarget(wanted.target.backend, wanted.target.arch, wanted.target.warp_size)
    triton.compile(source, target=target, options=options)


def _in_a_fork(wanted: KernelWanted) -> int:
    """The id of a process that compiles and ends: with 0, or 1 where it failed."""
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(Exception):
        compile_kernel(wanted)
        os._exit(0)
    # Whoever launches the kernel compiles it then, and says what is wrong.
    os._exit(1)


class _Forks:
    """Forks that compile, `most` at a time; each that ends is told of on standard output."""

    def __init__(self, most: int) -> None:
        self._room = BoundedSemaphore(most)
        self._numbers: dict[int, int] = {}
        self._lock = Lock()
        self._begun = Semaphore(0)
        self._reaper = Thread(target=self._reap, daemon=True)
        self._reaper.start()

    def compile(self, number: int, wanted: KernelWanted) -> None:
        """Begin as soon as there is room."""
        self._room.acquire()
        with self._lock:
            self._numbers[_in_a_fork(wanted)] = number
        self._begun.release()

    def finish(self) -> None:
        """Wait for those that run."""
        self._begun.release()
        self._reaper.join()

    def _reap(self) -> None:
        while self._begun.acquire() and self._numbers:
            child, _ = os.wait()
            with self._lock:
                number = self._numbers.pop(child)
            print(number, flush=True)
            self._room.release()


def main() -> None:
    """Compile every line's kernel, `argv[1]` at a time; prints the number of each that is done."""
    os.nice(_NICE)
    forks = _Forks(int(sys.argv[1]))
    decoder = msgspec.json.Decoder(KernelWanted)
    for number, line in enumerate(sys.stdin.buffer):
        wanted = decoder.decode(line)
        import_module(wanted.module)
        forks.compile(number, wanted)
    forks.finish()


if __name__ == "__main__":
    main()
