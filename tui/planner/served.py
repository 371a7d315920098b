"""The shape of the model that the engine is serving, as far as its frames tell it."""

from contextlib import suppress

from ...engine.protocol import ModelInfo
from ...engine.shape.derived import shape_from_parameters
from ...engine.shape.field_errors import FieldError
from ...engine.shape.model_shape import ModelShape
from ...engine.shape.presets import find_preset
from ...engine.shape.shape_message import read_shape_message


def served_shape(info: ModelInfo) -> ModelShape | None:
    """Exact where the engine says its shape or serves a known model, else derived from the
    parameter count; `None` where not even that makes a shape."""
    with suppress(FieldError):
        if info.shape is not None:
            return read_shape_message(info.shape, info.name)
    with suppress(FieldError):
        known = find_preset(info.name)
        if known is not None or info.parameters is None:
            return known
        return shape_from_parameters(info.parameters)
    return None
