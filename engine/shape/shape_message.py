"""A shape on its way from the engine to the screen, in a message that knows nothing of shapes."""

from collections.abc import Mapping
from dataclasses import fields

import msgspec

from .field_errors import FieldError
from .model_shape import ModelShape


def shape_message(shape: ModelShape) -> dict[str, object]:
    """`shape` without its name as a message carries it: plain values, and no defaults."""
    values = {each.name: (getattr(shape, each.name), each.default) for each in fields(shape)}
    stated = {name: value for name, (value, default) in values.items() if value != default}
    stated.pop("name", None)
    plain: dict[str, object] = msgspec.to_builtins(stated)
    return plain


def read_shape_message(message: Mapping[str, object], name: str) -> ModelShape:
    """The shape that `shape_message` wrote, called `name`.

    Raises:
        FieldError: it is none, as where an engine of another version wrote it.
    """
    try:
        return msgspec.convert({**message, "name": name}, ModelShape)
    except msgspec.ValidationError as error:
        raise FieldError("model", f"its shape cannot be read: {error}") from error
