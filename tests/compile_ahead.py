"""Have kernels compiled by the other process, for a GPU that is not here; a child of tests.

    python compile_ahead.py CACHE

Prints, as JSON, the kernels that a few launches over tensors without memory asked for, how many of
them were in Triton's cache (the folder CACHE) before and after, and for each kernel compiled here
afterwards whether it was found there; then the same after the other process was killed.
"""

import json
import os
import sys

os.environ["TRITON_CACHE_DIR"] = sys.argv[1]

import torch
from compile_for_gpu import META, Gpu, compile_only
from prodtop.engine.kernels.common.compile_ahead import CompileServer, is_kept, noted
from prodtop.engine.kernels.common.norm import rms_norm
from prodtop.engine.kernels.linear.fp8 import quantize_rows
from prodtop.engine.kernels.linear.gated import gated
from prodtop.engine.shape.parts import Activation
from triton import knobs
from triton.runtime import driver

ROWS, WIDTH = 4, 256


def launch_all() -> None:
    """Kernels that differ in their types, constants and options."""
    x = torch.empty(ROWS, WIDTH, dtype=torch.bfloat16, device=META)
    for pdl in (False, True):
        quantize_rows(x, pdl=pdl)
        rms_norm(x, torch.empty(WIDTH, dtype=torch.bfloat16, device=META), 1e-5, pdl=pdl)
    gated(x, Activation.SILU)


def main() -> None:
    driver.set_active(Gpu(90))
    with noted() as kernels:
        launch_all()
    before = sum(map(is_kept, kernels))
    server = CompileServer(processes=2)
    server.compile(kernels).wait()
    after = sum(map(is_kept, kernels))
    server.close()
    hits: list[tuple[str, bool]] = []
    knobs.compilation.listener = lambda src, cache_hit, **_: hits.append((src.name, cache_hit))
    compile_only(90)
    launch_all()
    killed = CompileServer(processes=1)
    compiling = killed.compile(kernels)
    os.kill(killed.process_id, 9)
    compiling.wait()
    assert not compiling.missing
    killed.compile(kernels).wait()
    names = [wanted.name for wanted in kernels]
    print(json.dumps({"asked": names, "before": before, "after": after, "hits": hits}))


if __name__ == "__main__":
    main()
