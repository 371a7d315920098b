"""The table of kernels: what the served models are multiplied by, and what the warm-up runs."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("triton")

from prodtop.engine.kernels.common.gpu_limits import HOPPER, GpuLimits
from prodtop.engine.kernels.linear.dispatch import (
    MOST_DENSE_ROWS,
    TABLE,
    Kernel,
    Product,
    dispatch,
    rows_of_each_variant,
)
from prodtop.engine.kernels.linear.gemm_launch import GemmLaunch
from prodtop.engine.kernels.linear.skinny_launch import SKINNY_ROWS, SkinnyDotLaunch
from prodtop.engine.kernels.linear.weight import WeightFormat

FORMATS: tuple[WeightFormat, ...] = get_args(WeightFormat)
ADA = replace(HOPPER, multiprocessors=142, shared_bytes=99 << 10, bulk_tensors=False)
LETTERS = {
    "D": Kernel.GEMV_DENSE,
    "P": Kernel.GEMV_PACKED,
    "S": Kernel.SKINNY_DOT,
    "G": Kernel.GEMM,
    "U": Kernel.UNPACK,
    "M": Kernel.SCALED_MM,
    "C": Kernel.CUBLAS,
}
ROWS = (1, 2, 8, 16, 17, 32, 48, 64, 65, 128, 256, 512, 4096)
SHAPES = {
    "8B qkv": (6144, 4096, False),
    "8B output": (4096, 4096, True),
    "8B gate_up": (28672, 4096, False),
    "8B down": (4096, 14336, True),
    "8B head": (128256, 4096, False),
    "0.6B qkv": (4096, 1024, False),
    "0.6B output": (1024, 2048, True),
    "0.6B gate_up": (6144, 1024, False),
    "0.6B down": (1024, 3072, True),
    "0.6B head": (151936, 1024, False),
}
"""Features, inputs, and whether a residual is added."""

CHOSEN: dict[tuple[WeightFormat, str], str] = {
    ("dense", "8B qkv"): "DSSSGGCCCCCCC",
    ("dense", "8B output"): "DSSSGGCCCCCCC",
    ("dense", "8B gate_up"): "DSSSGGGGCCCCC",
    ("dense", "8B down"): "DSSSGGCCCCCCC",
    ("dense", "8B head"): "DSSSGGGGCCCCC",
    ("dense", "0.6B qkv"): "DSSSGGCCCCCCC",
    ("dense", "0.6B output"): "DSSSGGCCCCCCC",
    ("dense", "0.6B gate_up"): "DSSSGGCCCCCCC",
    ("dense", "0.6B down"): "DSSSGGCCCCCCC",
    ("dense", "0.6B head"): "DSSSGGGGCCCCC",
    ("int8", "8B qkv"): "PGGGGGGGGGGGU",
    ("int8", "8B output"): "PGGGGGGGGGGGU",
    ("int8", "8B gate_up"): "PGGGGGGGGGGGU",
    ("int8", "8B down"): "PGGGGGGGGGGGU",
    ("int8", "8B head"): "PGGGGGGGGGGGU",
    ("int8", "0.6B qkv"): "PGGGGGGGGGGGU",
    ("int8", "0.6B output"): "SGGGGGGGGGGGU",
    ("int8", "0.6B gate_up"): "PGGGGGGGGGGGU",
    ("int8", "0.6B down"): "SGGGGGGGGGGGU",
    ("int8", "0.6B head"): "PGGGGGGGGGGGU",
    ("int4", "8B qkv"): "PGGGGGGGGGGUU",
    ("int4", "8B output"): "PGGGGGGGGGGUU",
    ("int4", "8B gate_up"): "PGGGGGGGGGGUU",
    ("int4", "8B down"): "PGGGGGGGGGGUU",
    ("int4", "8B head"): "PGGGGGGGGGGUU",
    ("int4", "0.6B qkv"): "PGGGGGGGGGGUU",
    ("int4", "0.6B output"): "SGGGGGGGGGGUU",
    ("int4", "0.6B gate_up"): "PGGGGGGGGGGUU",
    ("int4", "0.6B down"): "SGGGGGGGGGGUU",
    ("int4", "0.6B head"): "PGGGGGGGGGGUU",
    ("fp8", "8B qkv"): "PGGGGGGGGGMMM",
    ("fp8", "8B output"): "PGGGGGGGGGMMM",
    ("fp8", "8B gate_up"): "PGGGGGGGMMMMM",
    ("fp8", "8B down"): "PGGGGGGGGGMMM",
    ("fp8", "8B head"): "PGGGGGGGMMMMM",
    ("fp8", "0.6B qkv"): "PGGGGGGGGGMMM",
    ("fp8", "0.6B output"): "SGGGGGGGGGMMM",
    ("fp8", "0.6B gate_up"): "PGGGGGGGGGMMM",
    ("fp8", "0.6B down"): "SGGGGGGGGGMMM",
    ("fp8", "0.6B head"): "PGGGGGGGMMMMM",
}
"""The kernel for each of `ROWS`, on an H200."""


@pytest.mark.parametrize(("weight_format", "layer"), CHOSEN)
def test_the_layers_of_the_served_models_go_to_these_kernels(
    weight_format: WeightFormat, layer: str
) -> None:
    features, inputs, has_residual = SHAPES[layer]
    chosen = [
        dispatch(
            Product(weight_format, rows, features, inputs, group=64, has_residual=has_residual),
            HOPPER,
        ).kernel
        for rows in ROWS
    ]
    expected = CHOSEN[weight_format, layer]
    assert chosen == [LETTERS[letter] for letter in expected]


@pytest.mark.parametrize("rows", ROWS)
def test_fp32_is_multiplied_exactly_and_fp16_has_no_gemm_of_ours(rows: int) -> None:
    wide = Product("dense", rows, 28672, 4096, torch.float32)
    assert dispatch(wide, HOPPER).kernel is Kernel.CUBLAS
    half = dispatch(wide._replace(dtype=torch.float16), HOPPER).kernel
    few = {1: Kernel.GEMV_DENSE, 2: Kernel.SKINNY_DOT, 8: Kernel.SKINNY_DOT, 16: Kernel.SKINNY_DOT}
    assert half is few.get(rows, Kernel.CUBLAS)


def test_of_a_prefill_step_the_few_sampled_rows_are_left_to_cublas() -> None:
    for rows in (1, 2, 16):
        head = Product("dense", rows, 128256, 4096, sampled_only=True)
        assert dispatch(head, HOPPER).kernel is Kernel.CUBLAS
    more = Product("dense", 17, 128256, 4096, sampled_only=True)
    assert dispatch(more, HOPPER).kernel is Kernel.GEMM


def test_rows_that_were_rounded_before_skip_the_kernels_that_round() -> None:
    rounded = Product("fp8", 1, 4096, 4096, torch.float8_e4m3fn)
    assert dispatch(rounded, HOPPER).kernel is Kernel.GEMM


@given(
    weight_format=st.sampled_from(FORMATS),
    rows=st.integers(1, 20_000),
    features=st.integers(1, 200_000),
    inputs=st.integers(1, 40_000),
    dtype=st.sampled_from([torch.bfloat16, torch.float16, torch.float32]),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    chip=st.sampled_from([HOPPER, ADA]),
)
def test_every_product_has_a_kernel_with_a_launch_of_its_own(
    weight_format: WeightFormat,
    rows: int,
    features: int,
    inputs: int,
    dtype: torch.dtype,
    flags: tuple[bool, bool, bool],
    chip: GpuLimits,
) -> None:
    choice = dispatch(Product(weight_format, rows, features, inputs, dtype, 64, *flags), chip)
    by_library = choice.kernel in (Kernel.UNPACK, Kernel.SCALED_MM, Kernel.CUBLAS)
    assert (choice.launch is None) is by_library
    if not isinstance(choice.launch, GemmLaunch | None):
        assert rows == 1 or (weight_format == "dense" and rows <= SKINNY_ROWS)


def test_each_rule_is_the_first_for_some_product() -> None:
    reached = set()
    for weight_format in FORMATS:
        for rows in (1, 2, 17, 33, 65, 129, 385, 1025, 4096):
            for features in (1024, 28672):
                for dtype in (torch.bfloat16, torch.float16, torch.float32):
                    for flags in ((False, False), (True, False), (False, True)):
                        product = Product(
                            weight_format,
                            rows,
                            features,
                            4096,
                            dtype,
                            has_residual=flags[0],
                            sampled_only=flags[1],
                        )
                        kernel = dispatch(product, HOPPER).kernel
                        reached.add(
                            next(
                                place
                                for place, rule in enumerate(TABLE)
                                if rule.matches(product) and rule.kernel is kernel
                            )
                        )
    assert reached == set(range(len(TABLE)))


def compiled(product: Product, chip: GpuLimits) -> object:
    """What Triton tells apart: the launch without what is an argument of the kernel."""
    choice = dispatch(product, chip)
    if isinstance(choice.launch, GemmLaunch):
        return replace(choice.launch, splits=1, blocks_per_split=1)
    if isinstance(choice.launch, SkinnyDotLaunch):
        return (product.rows - 1).bit_length(), product.rows == 16, choice.launch
    return choice.kernel if choice.kernel is Kernel.UNPACK else None


@settings(deadline=None, max_examples=60)
@given(
    layers=st.lists(
        st.tuples(
            st.sampled_from(FORMATS), st.sampled_from([(n, k) for n, k, _ in SHAPES.values()])
        ),
        min_size=1,
        max_size=5,
    ),
    most_rows=st.integers(1, 9000),
    rows=st.lists(st.integers(2, 9000), min_size=50, max_size=50),
    has_residual=st.booleans(),
    chip=st.sampled_from([HOPPER, ADA]),
)
def test_no_number_of_rows_needs_a_kernel_that_the_warm_up_did_not_run(
    layers: list[tuple[WeightFormat, tuple[int, int]]],
    most_rows: int,
    rows: list[int],
    has_residual: bool,
    chip: GpuLimits,
) -> None:
    products = [
        Product(weight_format, 1, *shape, group=64, has_residual=has_residual)
        for weight_format, shape in layers
    ]
    warm = rows_of_each_variant(products, most_rows, chip)
    assert warm == sorted(set(warm))
    assert len(warm) <= 30
    for product in products:
        known = {compiled(product._replace(rows=number), chip) for number in warm}
        for number in rows:
            if number <= most_rows:
                assert compiled(product._replace(rows=number), chip) in known | {None}


def test_dense_weights_have_kernels_of_ours_up_to_some_rows() -> None:
    assert MOST_DENSE_ROWS == 64
    assert {rule.last for rule in TABLE if rule.kernel is Kernel.SKINNY_DOT} <= {1, SKINNY_ROWS}
