"""Prefill attention over paged keys, and over keys gathered before: times, and what the rule says.

    python benchmarks/prefill_attention.py [--heads 32] [--kv-heads 8] [--head-dim 128]
        [--kv-format fp8] [--dtype bfloat16] [--tiles 64x64x4x3,128x64x8x2x128]

One layer, on a GPU that gathers (an H100 or H200). For each case, chunks after cached keys: the
time of the paged kernel, of the copy, of attention over the copy and of both, as captured graphs,
so that the device's time counts and not the host's; TFLOP/s of what is seen through the mask; the
distance of the two results; and whether the engine would gather (`GatherRule`). A case in which it
decides for the slower way is marked. `--tiles`, rows x keys x warps x stages, perhaps x
registers of a thread, tries other tiles over gathered keys.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from itertools import accumulate

import torch
from prodtop.engine.kernels.attention.gather_plan import (
    KEY_TILE,
    GatherRule,
    PrefillTiles,
    scratch_tokens,
)
from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys
from prodtop.engine.kernels.attention.prefill_attention import prefill_attention
from prodtop.engine.kernels.attention.prefill_tiles import (
    PrefillTile,
    gathered_tile,
    list_tiles,
    prefill_tile,
)
from prodtop.engine.kernels.common.gpu_limits import gpu_limits
from torch import Tensor

BLOCK_TOKENS = 16
REPEATS = 10
DEVICE = torch.device("cuda", 0)


@dataclass(frozen=True, slots=True)
class Case:
    """Chunks, each of so many queries after so many cached keys, and a window (0: none)."""

    name: str
    chunks: list[tuple[int, int]]
    window: int = 0


CASES = [
    Case("8000 of 8000", [(8000, 0)]),
    Case("2048 of 8192", [(2048, 6144)]),
    Case("2048 of 2048", [(2048, 0)]),
    Case("1024 of 1024", [(1024, 0)]),
    Case("512 of 8192", [(512, 7680)]),
    Case("128 of 8192", [(128, 8064)]),
    Case("32 x 256", [(256, 0)] * 32),
    Case("8 x 1024", [(1024, 0)] * 8),
    Case("2048 of 32000", [(2048, 29_952)]),
    Case("2048 of 100000", [(2048, 97_952)]),
    Case("2048 of 8192, window 1024", [(2048, 6144)], 1024),
    Case("8000 of 8000, window 4096", [(8000, 0)], 4096),
]


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of the layer, the dtype of its queries and that of its cache."""

    heads: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    kv_dtype: torch.dtype

    @property
    def group(self) -> int:
        return self.heads // self.kv_heads


class Step:
    """A case's queries, and its keys in blocks that are out of order."""

    def __init__(self, case: Case, heads: Heads) -> None:
        self.heads, self.window = heads, case.window
        self.query_lens = [count for count, _ in case.chunks]
        self.seq_lens = [count + before for count, before in case.chunks]
        width = -(-max(self.seq_lens) // BLOCK_TOKENS)
        blocks = len(self.seq_lens) * width
        torch.manual_seed(0)
        size = (blocks, BLOCK_TOKENS, 2, heads.kv_heads, heads.head_dim)
        self.kv_blocks = torch.empty(size, dtype=heads.kv_dtype, device=DEVICE)
        self.kv_blocks.copy_(torch.randn(size, device=DEVICE))
        order = torch.randperm(blocks, device=DEVICE, dtype=torch.int32)
        starts = list(accumulate(self.query_lens, initial=0))
        rows = (starts[-1], heads.heads, heads.head_dim)
        self.q = torch.randn(rows, device=DEVICE).to(heads.dtype)
        self.sequences = (
            order.view(len(self.seq_lens), width),
            torch.tensor(self.seq_lens, dtype=torch.int32, device=DEVICE),
            torch.tensor(starts, dtype=torch.int32, device=DEVICE),
        )

    @property
    def flops(self) -> int:
        """Of the pairs of query and key that the mask lets through."""
        window = self.window or max(self.seq_lens)
        pairs = 0
        for count, length in zip(self.query_lens, self.seq_lens, strict=True):
            pairs += sum(min(seen, window) for seen in range(length - count + 1, length + 1))
        return 4 * self.heads.heads * self.heads.head_dim * pairs

    def listed(self, tile: PrefillTile) -> PrefillTiles:
        tiles = list_tiles(self.query_lens, self.seq_lens, tile.queries(self.heads.group))
        return PrefillTiles.gathered(tiles, self.seq_lens)

    def attend(
        self, tile: PrefillTile, gathered: GatheredKeys | None = None
    ) -> Callable[[], Tensor]:
        """Attention over the blocks, or over what was `gathered`."""
        cut = self.listed(tile)
        tiles, key_starts = on_device(cut.tiles), on_device(cut.key_starts)
        out = torch.empty_like(self.q).flatten(1)
        return lambda: prefill_attention(
            self.q,
            self.kv_blocks,
            *self.sequences,
            tiles,
            self.heads.head_dim**-0.5,
            out=out,
            tile=tile,
            window=self.window,
            gathered=gathered,
            key_starts=key_starts,
        )

    def gather(self, gathered: GatheredKeys) -> Callable[[], None]:
        cut = self.listed(gathered.tile)
        key_tiles, key_starts = on_device(cut.key_tiles), on_device(cut.key_starts)
        return lambda: gathered.gather(
            self.kv_blocks, *self.sequences, key_tiles, key_starts, window=self.window
        )


def on_device(array: object) -> Tensor:
    return torch.as_tensor(array, dtype=torch.int32, device=DEVICE)


def device_us(*parts: Callable[[], object]) -> float:
    """Median microseconds of the parts, one after the other, as a captured graph."""
    for part in parts:
        part()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for part in parts:
            part()
    graph.replay()
    times: list[float] = []
    for _ in range(REPEATS):
        began = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's
        ended = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's
        began.record()
        graph.replay()
        ended.record()
        torch.cuda.synchronize()
        times.append(1e3 * began.elapsed_time(ended))
    return sorted(times)[len(times) // 2]


def measure(case: Case, heads: Heads, tiles: Sequence[PrefillTile]) -> None:
    """Print the case's lines: one of the paged kernel, one of each tile over gathered keys."""
    step, limits = Step(case, heads), gpu_limits(DEVICE)
    paged_tile = prefill_tile(heads.head_dim, heads.group, heads.kv_dtype.itemsize, limits)
    paged = step.attend(paged_tile)
    paged_us, reference = device_us(paged), paged().float()
    tera = step.flops / 1e6
    room = scratch_tokens(131_072, 8192, heads.kv_heads, heads.head_dim)
    rule = GatherRule(heads.heads, heads.kv_heads, heads.head_dim, case.window, room)
    pays = rule.pays(step.query_lens, step.seq_lens)
    print(f"{case.name:28} paged    {paged_us:8.0f} us  {tera / paged_us:4.0f} TFLOP/s")
    for tile in tiles:
        key_tiles = len(step.listed(tile).key_tiles)
        size = (key_tiles * KEY_TILE, 2, heads.kv_heads, heads.head_dim)
        gathered = GatheredKeys(torch.empty(size, dtype=heads.dtype, device=DEVICE), tile)
        copy, attend = step.gather(gathered), step.attend(tile, gathered)
        copy_us, both_us = device_us(copy), device_us(copy, attend)
        attend_us = device_us(attend)
        error = float((attend().float() - reference).norm() / reference.norm())
        choice = "gathered" if pays else "not gathered"
        if pays != (both_us < paged_us):
            choice += " (wrong)"
        form = "x".join(str(part) for part in astuple(tile) if part is not None)
        print(
            f"{form:>28} gathered {both_us:8.0f} us  {tera / both_us:4.0f} TFLOP/s"
            f" {both_us / paged_us - 1:+6.1%} = copy {copy_us:.0f} + attention {attend_us:.0f} us"
            f" ({tera / attend_us:.0f}); {choice} in the engine; error {error:.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--kv-format", choices=["auto", "fp8"], default="auto")
    parser.add_argument("--tiles", help="ROWSxKEYSxWARPSxSTAGES[xREGISTERS], …")
    args = parser.parse_args()
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}[args.dtype]
    kv_dtype = torch.float8_e4m3fn if args.kv_format == "fp8" else dtype
    heads = Heads(args.heads, args.kv_heads, args.head_dim, dtype, kv_dtype)
    if args.tiles:
        tiles = [PrefillTile(*map(int, each.split("x"))) for each in args.tiles.split(",")]
    else:
        tile = gathered_tile(heads.head_dim, heads.group, dtype.itemsize, gpu_limits(DEVICE))
        if tile is None:
            raise SystemExit("this GPU, or a head of this size, gathers no keys")
        tiles = [tile]
    for case in CASES:
        measure(case, heads, tiles)


if __name__ == "__main__":
    main()
