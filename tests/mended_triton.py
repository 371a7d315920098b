"""Triton's interpreter, mended where numpy has moved on."""

import numpy as np
import pytest
import torch
import triton.language as tl
from numpy.typing import NDArray
from triton.runtime import interpreter

NARROW = {tl.bfloat16: (torch.bfloat16, np.uint16), tl.float8e4nv: (torch.float8_e4m3fn, np.uint8)}


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mend it for one test."""
    _loop_bounds_of_one_element(monkeypatch)
    _rounding_that_carries(monkeypatch)
    _overflow_without_a_word(monkeypatch)


def _loop_bounds_of_one_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 3.6 makes an int of an array of one element, which numpy 2.4 refuses."""
    original = interpreter._patch_lang_tensor

    def patch(tensor: object, scope: interpreter._LangPatchScope) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch)


def _rounding_that_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 3.6 rounds up to a power of two without the carry: 7.9 becomes 4 in e4m3."""
    original = interpreter._convert_float

    def convert(
        values: NDArray[np.float32], source: tl.dtype, target: tl.dtype, rounding: object
    ) -> object:
        if source != tl.float32 or target not in NARROW:
            return original(values, source, target, rounding)
        dtype, bits = NARROW[target]
        narrow = torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
        return narrow.view(getattr(torch, bits.__name__)).numpy()

    monkeypatch.setattr(interpreter, "_convert_float", convert)


def _overflow_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a product of numbers is too large a GPU wraps it, or makes it infinite, as numpy does;
    numpy warns of it as well."""
    original = interpreter.InterpreterBuilder.binary_op

    def binary_op(self: object, *operands: object) -> object:
        with np.errstate(over="ignore"):
            return original(self, *operands)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "binary_op", binary_op)
