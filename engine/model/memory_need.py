"""What a model takes of a memory, part by part, against the limits of that memory.

A CPU's memory is handed out as it is written to. One allocation too many does not fail: the kernel
ends a process for it later, and perhaps another one than this. So the parts are added up first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..probes.memory_limits import MemoryLimit, least

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what is needed: `bf16 weights`, `KV cache`."""

    name: str
    size_bytes: float


def total_bytes(parts: Sequence[Part]) -> float:
    return sum(part.size_bytes for part in parts)


def shortage(
    parts: Sequence[Part], limits: Sequence[MemoryLimit], freed_bytes: float = 0
) -> str | None:
    """Why the parts do not fit, with the limit that binds; `None` where they do, or none is known.

    `freed_bytes` are those of what they replace.
    """
    limit = least(limits)
    needed = total_bytes(parts)
    if limit is None or needed <= limit.left_bytes + freed_bytes:
        return None
    listed = ", ".join(f"{part.name} {_number(part.size_bytes)}" for part in parts)
    left = gib(limit.left_bytes + freed_bytes)
    return f"needs {gib(needed)}: {listed}; {limit.name} leaves {left}"


def gib(size_bytes: float) -> str:
    """A size in GiB, with enough decimals to tell small ones from nothing."""
    return f"{_number(size_bytes)} GiB"


def _number(size_bytes: float) -> str:
    size = size_bytes / _GIB
    return f"{size:.1f}" if size >= 1 or size == 0 else f"{size:.2g}"
