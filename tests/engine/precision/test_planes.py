"""Planes of 16-bit words: in and out again, and where each value lies."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prodtop.engine.precision.planes import pack_int8_planes, padded_inputs, unpack_int8_planes


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


def test_what_pads_a_row_is_zero() -> None:
    words = pack_int8_planes(torch.full((3, 130), -1, dtype=torch.int8))
    assert not unpack_int8_planes(words, 256)[:, 130:].any()
