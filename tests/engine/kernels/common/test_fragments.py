"""Fragments against products of whole matrices: emulated in the interpreter, real on a GPU."""

import pytest
import torch
from torch import Tensor

triton = pytest.importorskip("triton")
import triton.language as tl  # noqa: E402  (only where Triton is)
from prodtop.engine.kernels.common.fragments import (  # noqa: E402
    fp8_pairs,
    halves,
    int4_pairs,
    int8_pairs,
    multiply,
    paired,
    quarters,
    transposed,
    unpaired,
)

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
ON_GPU = DEVICE.type == "cuda"
WARPS = 2
THREADS = 32 * WARPS
BYTES = torch.arange(-128, 128, dtype=torch.int8)


@triton.jit
def _multiply_kernel(a, b, c, out, FP16: tl.constexpr, INLINE_PTX: tl.constexpr, T: tl.constexpr):
    thread = tl.arange(0, T)
    parts = (
        tl.load(c + thread),
        tl.load(c + T + thread),
        tl.load(c + 2 * T + thread),
        tl.load(c + 3 * T + thread),
    )
    parts = multiply(
        tl.load(a + thread),
        tl.load(a + T + thread),
        tl.load(a + 2 * T + thread),
        tl.load(a + 3 * T + thread),
        tl.load(b + thread),
        tl.load(b + T + thread),
        parts,
        FP16,
        INLINE_PTX,
    )
    for part in tl.static_range(4):
        tl.store(out + part * T + thread, parts[part])


@triton.jit
def _unpack_kernel(words, out, FORMAT: tl.constexpr, INLINE_PTX: tl.constexpr, T: tl.constexpr):
    """`[values, T]`: pair by pair, the first of a pair and then the second."""
    thread = tl.arange(0, T)
    word = tl.load(words + thread)
    if FORMAT == "int4":
        pairs = (
            int4_pairs(word, 0, INLINE_PTX),
            int4_pairs(word, 1, INLINE_PTX),
            int4_pairs(word, 2, INLINE_PTX),
            int4_pairs(word, 3, INLINE_PTX),
        )
    elif FORMAT == "int8":
        pairs = (int8_pairs(word, 0, INLINE_PTX), int8_pairs(word, 1, INLINE_PTX))  # type: ignore[assignment]  # another format's
    else:
        pairs = fp8_pairs(word, INLINE_PTX)
    for index in tl.static_range(len(pairs)):
        low, high = unpaired(pairs[index], FORMAT != "int4")
        tl.store(out + 2 * index * T + thread, low)
        tl.store(out + (2 * index + 1) * T + thread, high)


@triton.jit
def _round_trip_kernel(values, out, FP16: tl.constexpr, INLINE_PTX: tl.constexpr, T: tl.constexpr):
    thread = tl.arange(0, T)
    words = tl.load(values + 4 * thread[:, None] + tl.arange(0, 4)[None, :])
    first, second, third, fourth = quarters(words)
    low, high = unpaired(paired(first, second, FP16, INLINE_PTX), FP16)
    tl.store(out + 4 * thread, low)
    tl.store(out + 4 * thread + 1, high)
    low, high = unpaired(paired(third, fourth, FP16, INLINE_PTX), FP16)
    tl.store(out + 4 * thread + 2, low)
    tl.store(out + 4 * thread + 3, high)


@triton.jit
def _rearrange_kernel(words, out, INLINE_PTX: tl.constexpr, T: tl.constexpr):
    """`[3, T]`: the low and the high halves of two words, and the first transposed."""
    thread = tl.arange(0, T)
    word = tl.load(words + thread)
    other = tl.load(words + T + thread)
    tl.store(out + thread, halves(word, other, False, INLINE_PTX))
    tl.store(out + T + thread, halves(word, other, True, INLINE_PTX))
    tl.store(out + 2 * T + thread, transposed(word, INLINE_PTX))


def pairs_of(matrix: Tensor, rows: Tensor, first: Tensor) -> Tensor:
    """int32 words of `matrix[row, first]` and `matrix[row, first + 1]`."""
    values = torch.stack([matrix[rows, first], matrix[rows, first + 1]], dim=-1)
    return values.contiguous().view(torch.int32).squeeze(-1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_product_of_fragments_is_that_of_the_matrices(dtype: torch.dtype) -> None:
    check_product(dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_tensor_cores_agree_on_where_fragments_lie(dtype: torch.dtype) -> None:
    check_product(dtype)


def check_product(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    a = torch.randn(WARPS, 16, 16, generator=random).to(dtype)
    b = torch.randn(WARPS, 8, 16, generator=random).to(dtype)
    c = torch.randn(WARPS, 16, 8, generator=random)
    lane = torch.arange(32)
    g, t = lane // 4, lane % 4
    # PTX ISA, matrix fragments for mma.m16n8k16.
    a_words = [(g, 2 * t), (g + 8, 2 * t), (g, 2 * t + 8), (g + 8, 2 * t + 8)]
    b_words = [(g, 2 * t), (g, 2 * t + 8)]
    c_parts = [(g, 2 * t), (g, 2 * t + 1), (g + 8, 2 * t), (g + 8, 2 * t + 1)]
    out = torch.full((4, THREADS), torch.nan, device=DEVICE)
    _multiply_kernel[(1,)](
        torch.stack([torch.cat([pairs_of(m, *w) for m in a]) for w in a_words]).to(DEVICE),
        torch.stack([torch.cat([pairs_of(m, *w) for m in b]) for w in b_words]).to(DEVICE),
        torch.stack([torch.cat([m[p] for m in c]) for p in c_parts]).to(DEVICE),
        out,
        FP16=dtype is torch.float16,
        INLINE_PTX=ON_GPU,
        T=THREADS,
        num_warps=WARPS,
    )
    expected = c.double() + a.double() @ b.double().transpose(1, 2)
    parts = torch.stack([torch.cat([m[p] for m in expected]) for p in c_parts])
    torch.testing.assert_close(out.cpu().double(), parts, rtol=1e-5, atol=1e-5)


def unpacked(weight_format: str, words: Tensor, values: int) -> Tensor:
    out = torch.full((values, words.numel()), torch.nan, device=DEVICE)
    _unpack_kernel[(1,)](
        words.to(DEVICE), out, FORMAT=weight_format, INLINE_PTX=ON_GPU, T=words.numel(), num_warps=2
    )
    return out.cpu()


@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
def test_every_packed_value_is_unpacked(on_gpu: bool) -> None:
    assert ON_GPU or not on_gpu
    words = BYTES.view(torch.int32)
    wide = words.view(torch.int16).view(-1, 2).int()
    for plane, (low, high) in enumerate(unpacked("int4", words, 8).view(4, 2, -1)):
        assert torch.equal(low, ((wide[:, 0] >> (4 * plane)) & 15) + 128.0)
        assert torch.equal(high, ((wide[:, 1] >> (4 * plane)) & 15) + 128.0)
    each = BYTES.view(-1, 4).float()
    first, third, second, fourth = unpacked("int8", words, 4)
    assert torch.equal(torch.stack([first, second, third, fourth], dim=1), each + 1152)
    e4m3 = BYTES.view(torch.float8_e4m3fn).float().view(-1, 4)
    finite = ~e4m3.isnan()
    fp8 = unpacked("fp8", words, 4).T
    assert torch.equal(fp8[finite], e4m3[finite])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
def test_values_are_rounded_into_pairs_and_come_out_again(dtype: torch.dtype, on_gpu: bool) -> None:
    assert ON_GPU or not on_gpu
    values = torch.randn(THREADS, 4, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    out = torch.full_like(values, torch.nan)
    _round_trip_kernel[(1,)](
        values, out, FP16=dtype is torch.float16, INLINE_PTX=ON_GPU, T=THREADS, num_warps=WARPS
    )
    assert torch.equal(out, values.to(dtype).float())


@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
def test_rows_and_columns_change_places(on_gpu: bool) -> None:
    assert ON_GPU or not on_gpu
    random = torch.Generator().manual_seed(2)
    values = torch.randint(-(1 << 15), 1 << 15, (2, WARPS, 8, 8), generator=random).short()
    words = values.view(torch.int32)
    out = torch.zeros(3, THREADS, dtype=torch.int32, device=DEVICE)
    _rearrange_kernel[(1,)](words.to(DEVICE), out, INLINE_PTX=ON_GPU, T=THREADS, num_warps=WARPS)
    low, high, flipped = out.cpu().view(torch.int16).view(3, WARPS, 8, 4, 2)
    first, second = values.view(2, WARPS, 8, 4, 2)
    assert torch.equal(low, torch.stack([first[..., 0], second[..., 0]], dim=-1))
    assert torch.equal(high, torch.stack([first[..., 1], second[..., 1]], dim=-1))
    assert torch.equal(flipped.reshape(WARPS, 8, 8), values[0].transpose(1, 2))
