"""Triton's interpreter, mended where numpy has moved on."""

import pytest
from triton.runtime import interpreter


@pytest.fixture(autouse=True)
def loop_bounds_of_one_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 3.6 makes an int of an array of one element, which numpy 2.4 refuses."""
    original = interpreter._patch_lang_tensor

    def patch(tensor: object, scope: interpreter._LangPatchScope) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch)
