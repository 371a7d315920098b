"""Programmatic dependent launch: a kernel's programs start while the kernel before still drains.

On Hopper a kernel launched with `launch_pdl=True` may be scheduled once every program of the kernel
before has called `gdc_launch_dependents` or left; `gdc_wait` then holds it until that kernel has
finished and what it wrote can be seen (PTX ISA, `griddepcontrol`). Every program of every kernel
here waits before it ends, so after its own wait a kernel sees what all before it wrote. Ahead of
that it reads only weights and what earlier steps left: products of one row (`gemv_dense`,
`gemv_packed`) let the next kernel in before they have waited themselves.
"""

import triton
import triton.language as tl


@triton.jit
def wait_for_previous(PDL: tl.constexpr, THEN_NEXT: tl.constexpr = True):
    """Wait for the kernel before; then, if asked, let the one after take its place."""
    if PDL:
        tl.extra.cuda.gdc_wait()
        if THEN_NEXT:
            tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def let_next_in(PDL: tl.constexpr):
    """Let the kernel after take its place on the device."""
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()


def launch_options(pdl: bool) -> dict[str, bool]:
    """The keyword arguments of a kernel launch that ask for it; none where `pdl` is false."""
    return {"launch_pdl": True} if pdl else {}
