"""Compile the decode kernel of few sequences for compute capability 9.0, without a GPU.

    python compile_decode_mma.py TILES HEAD_DIM GROUP SPLITS NORMED WINDOW

Prints how many bytes of a thread's registers went to memory: none, if it is to be fast. A child
process of tests: no interpreter then.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from compile_for_gpu import META, compile_only
from prodtop.engine.kernels.attention.decode_attention import decode_attention
from prodtop.engine.kernels.attention.decode_plan import MmaTile, plan_decode
from prodtop.engine.kernels.attention.rotary import HeadNorms
from triton import knobs

KV_HEADS = 8
WARPS = 8


def stack_bytes(binary: bytes) -> int:
    """What a kernel keeps in memory for each thread."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(binary)
        usage = subprocess.run(
            [knobs.nvidia.cuobjdump.path, "-res-usage", file.name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"STACK:(\d+)", usage)
    assert found, usage
    return int(found[1])


def main(tiles: int, head_dim: int, group: int, splits: int, normed: int, window: int) -> None:
    binaries = compile_only(90)
    tile = MmaTile(WARPS, tiles, WARPS * tiles * 16)
    heads = group * KV_HEADS
    plan = plan_decode(
        1, heads, KV_HEADS, head_dim, 4096, torch.bfloat16, META, splits=splits, tile=tile
    )
    weight = torch.empty(head_dim, dtype=torch.bfloat16, device=META)
    qkv = torch.empty(1, (group + 2) * KV_HEADS * head_dim, dtype=torch.bfloat16, device=META)
    lens = torch.empty(1, dtype=torch.int32, device=META)
    rotation = torch.empty(4096, head_dim // 2, device=META)
    decode_attention(
        qkv,
        torch.empty(64, 16, 2, KV_HEADS, head_dim, dtype=torch.bfloat16, device=META),
        torch.empty(1, 64, dtype=torch.int32, device=META),
        lens,
        lens,
        rotation,
        rotation,
        plan,
        head_dim**-0.5,
        out=torch.empty(1, heads * head_dim, dtype=torch.bfloat16, device=META),
        norms=HeadNorms(weight, weight) if normed else None,
        window=window,
        pdl=True,
    )
    print(*map(stack_bytes, binaries["decode_mma_kernel"]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
