"""Dequantized values and metadata, bit for bit those of the `gguf` package."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import TinyShape, make_peer
from gguf import GGML_QUANT_SIZES, GGUFReader
from gguf import dequantize as oracle
from gguf_samples import Type, write_model
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.model.gguf.dequantize import TYPES, UNREAD, dequantize
from prodtop.engine.model.gguf.reader import read_gguf


@pytest.mark.parametrize("number", TYPES)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), blocks=st.integers(1, 4))
def test_any_bytes_stand_for_the_values_of_the_gguf_package(
    number: int, seed: int, rows: int, blocks: int
) -> None:
    """Of random bytes, so with scales that are infinite or no numbers as well."""
    kind = TYPES[number]
    raw = np.random.default_rng(seed).integers(
        0, 256, (rows, blocks * kind.block_bytes), dtype=np.uint8
    )
    shape = (rows, blocks * kind.block_values)
    with np.errstate(all="ignore"):
        expected = oracle(raw, Type(number)).astype(np.float32)
    ours = dequantize(memoryview(raw.tobytes()), kind, shape).float().numpy()
    assert ours.shape == shape
    assert np.array_equal(ours, expected.reshape(shape), equal_nan=True)
    finite = np.isfinite(expected).reshape(shape)
    assert np.array_equal(np.signbit(ours[finite]), np.signbit(expected.reshape(shape)[finite]))


def test_large_tensors_are_dequantized_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodtop.engine.model.gguf.dequantize._CHUNK_BLOCKS", 3)
    raw = random.Random(0).randbytes(34 * 10)
    whole = oracle(np.frombuffer(raw, np.uint8), Type.Q8_0)
    assert torch.equal(
        torch.nan_to_num(dequantize(memoryview(raw), TYPES[8], (320,))),
        torch.nan_to_num(torch.from_numpy(whole)),
    )


def test_every_type_of_ggml_is_read_or_refused_by_its_name() -> None:
    named = {number: kind.name for number, kind in TYPES.items()} | UNREAD
    assert named == {kind.value: kind.name for kind in Type}
    for number, kind in TYPES.items():
        assert GGML_QUANT_SIZES[Type(number)] == (kind.block_values, kind.block_bytes)


def test_metadata_and_tensors_are_those_of_the_gguf_package(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "a.gguf",
        make_peer(TinyShape()),
        Type.Q4_1,
        some__text="日本",
        some__flags=[True, False],
        some__floats=[1.5, -2.25],
    )
    ours, theirs = read_gguf(path), GGUFReader(path)
    fields = {k: v.contents() for k, v in theirs.fields.items() if not k.startswith("GGUF.")}
    assert dict(ours.metadata) == fields
    assert [*ours.tensors] == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        mine = ours.tensors[tensor.name]
        assert mine.shape == tuple(reversed(tensor.shape.tolist()))
        assert (mine.offset, mine.size_bytes) == (tensor.data_offset, tensor.n_bytes)
        assert mine.type.name == tensor.tensor_type.name
