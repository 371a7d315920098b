"""The C library's allocator, told to keep the memory that a step frees for the next step."""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP_BYTES = 1 << 30
_LARGEST_HEAP_BLOCK_BYTES = 32 * 2**20
"""The most that glibc accepts: blocks up to here come from the heap, not from the kernel."""


def keep_freed_memory() -> bool:
    """Stop glibc from returning a step's temporaries to the kernel after every operation.

    Each would come back as fresh pages, every one a fault: with tensors of a megabyte that costs
    more than the arithmetic (sampling 32 rows of 4096 logits: 4.9 ms with, 0.9 ms without).
    Returns whether the C library took the settings; another one than glibc may not know them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trimmed = mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
    mapped = mallopt(_M_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK_BYTES)
    return bool(trimmed and mapped)
