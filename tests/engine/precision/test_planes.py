"""Planes of 16-bit words: in and out again, and where each value lies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prodtop.engine.precision.chunks import int4_layer
from prodtop.engine.precision.planes import (
    check_int4_planes,
    check_int8_planes,
    pack_int4,
    pack_int8_planes,
    padded_inputs,
    unpack_int4,
    unpack_int8_planes,
)


@settings(deadline=None, max_examples=40)
@given(
    q=arrays(
        np.int8,
        st.tuples(st.integers(1, 4), st.integers(1, 300)),
        elements=st.integers(-128, 127),
    )
)
def test_values_come_out_as_they_went_in(q: np.typing.NDArray[np.int8]) -> None:
    words = pack_int8_planes(torch.from_numpy(q))
    assert words.shape == (q.shape[0], padded_inputs(q.shape[1]) // 2)
    assert np.array_equal(unpack_int8_planes(words, q.shape[1]).numpy(), q)


def test_a_word_holds_inputs_64_apart_the_first_in_its_low_byte() -> None:
    q = torch.arange(-128, 128, dtype=torch.int16).to(torch.int8).view(1, 256)
    words = pack_int8_planes(q).numpy().astype(np.int32) & 0xFFFF
    blocks = q.numpy().astype(np.int32).reshape(2, 2, 64) & 0xFF
    assert np.array_equal(words.reshape(2, 64), blocks[:, 0] + 256 * blocks[:, 1])


@settings(deadline=None, max_examples=40)
@given(
    q=arrays(
        np.int32,
        st.tuples(st.integers(1, 4), st.integers(1, 300)),
        elements=st.integers(0, 15),
    )
)
def test_int4_values_come_apart_as_they_were_put_together(q: np.typing.NDArray[np.int32]) -> None:
    rows, columns = q.shape
    packed = pack_int4(torch.from_numpy(q))
    assert packed.dtype is torch.int16
    assert packed.shape == (-(-columns // 128), rows, 32)
    values = unpack_int4(packed).numpy()
    assert (values[:, :columns] == q).all()
    assert (values[:, columns:] == 8).all()


def test_a_word_of_int4_holds_four_inputs_a_plane_apart() -> None:
    q = torch.zeros(3, 256, dtype=torch.int32)
    q[1, 128 + 5 : 256 : 32] = torch.tensor([1, 2, 3, 4])
    packed = pack_int4(q)
    assert packed[1, 1, 5] == 0x4321
    assert packed.count_nonzero() == 1


def test_what_pads_a_row_is_zero() -> None:
    words = pack_int8_planes(torch.full((3, 130), -1, dtype=torch.int8))
    assert not unpack_int8_planes(words, 256)[:, 130:].any()


@pytest.mark.parametrize("inputs", [1, 128, 130])
def test_what_was_packed_passes_the_check_of_int8(inputs: int) -> None:
    check_int8_planes(pack_int8_planes(torch.zeros(3, inputs, dtype=torch.int8)), inputs)


@pytest.mark.parametrize(
    "words",
    [
        torch.zeros(3, 64, dtype=torch.int16),  # of one block
        torch.zeros(3, 128, dtype=torch.int32),
        torch.zeros(3, 128, 1, dtype=torch.int16),
        torch.zeros(128, dtype=torch.int16),
    ],
)
def test_words_that_are_not_of_so_many_inputs_are_refused(words: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="for 200 inputs"):
        check_int8_planes(words, 200)


@pytest.mark.parametrize(
    ("inputs", "group"), [(32, 32), (320, 32), (320, 64), (384, 128), (512, 256), (384, 384)]
)
def test_what_was_packed_passes_the_check_of_int4(inputs: int, group: int) -> None:
    layer = int4_layer(torch.randn(3, inputs), group, None, torch.bfloat16)
    check_int4_planes(layer.packed, layer.scales_and_zeros, group, inputs)


@pytest.mark.parametrize(
    "words",
    [
        torch.zeros(1, 8, 32, dtype=torch.int16),  # of one block
        torch.zeros(2, 8, 64, dtype=torch.int16),
        torch.zeros(2, 8, 32, dtype=torch.int32),
        torch.zeros(2, 256, dtype=torch.int16),
        torch.zeros(2, 8, 32, 1, dtype=torch.int16),
    ],
)
def test_int4_words_that_are_not_of_so_many_inputs_are_refused(words: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="for 200 inputs"):
        check_int4_planes(words, torch.zeros(4, 8, 2, dtype=torch.bfloat16), 64, 200)


@pytest.mark.parametrize("group", [0, 16, 48, 96, 192])
def test_groups_that_cut_planes_or_blocks_are_refused(group: int) -> None:
    words = torch.zeros(3, 8, 32, dtype=torch.int16)
    with pytest.raises(ValueError, match=f"groups of {group}:"):
        check_int4_planes(words, torch.zeros(4, 8, 2, dtype=torch.bfloat16), group, 384)


@pytest.mark.parametrize(
    ("shape", "dtype", "what"),
    [
        ((3, 8, 2), torch.bfloat16, "for 4 groups"),
        ((4, 7, 2), torch.bfloat16, "for 4 groups"),
        ((4, 8, 2), torch.float16, "must be bf16"),
    ],
)
def test_scales_and_zeros_must_fit_the_padded_weight(
    shape: tuple[int, ...], dtype: torch.dtype, what: str
) -> None:
    words = torch.zeros(2, 8, 32, dtype=torch.int16)
    with pytest.raises(ValueError, match=what):
        check_int4_planes(words, torch.zeros(shape, dtype=dtype), 64, 200)
