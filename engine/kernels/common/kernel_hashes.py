"""Keeps the names of compiled kernels the same in every process.

Triton names a compiled kernel by a hash of its source and of what it calls. Of a function that was
not hashed yet it leaves out the constants which that uses (`DependenciesFinder._update_hash` looks
at them before it hashes the function), so that the name depends on which kernel was launched first.
Hashing what is called before what calls it gives one name.
"""

import sys
from collections.abc import Iterator
from types import ModuleType

from triton.runtime.jit import JITFunction

_KERNELS = __package__.rpartition(".")[0]


def settle_hash(kernel: JITFunction) -> None:
    """Hash `kernel`, and before it all that it calls. Before it is launched for the first time."""
    _settle(kernel, set())


def settle_hashes() -> None:
    """Hash all kernels of the modules that are loaded."""
    done: set[str] = set()
    for module in _modules():
        for value in vars(module).values():
            if isinstance(value, JITFunction):
                _settle(value, done)


def _settle(kernel: JITFunction, done: set[str]) -> None:
    name = f"{kernel.__module__}.{kernel.__name__}"
    if name in done:
        return
    done.add(name)
    for called in _called(kernel):
        _settle(called, done)
    # A property that hashes, and remembers.
    _ = kernel.cache_key


def _called(kernel: JITFunction) -> Iterator[JITFunction]:
    """The functions that its source names."""
    for name in kernel.fn.__code__.co_names:
        value = kernel.__globals__.get(name)
        if isinstance(value, JITFunction):
            yield value


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith(f"{_KERNELS}.")]
