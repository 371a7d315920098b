"""The shape of the model that the engine is serving, as far as its frames tell it."""

from ...engine.protocol import ModelInfo
from ...engine.shape.derived import shape_from_parameters
from ...engine.shape.field_errors import FieldError
from ...engine.shape.planner_model import ModelShape
from ...engine.shape.planner_presets import find_preset


def served_shape(info: ModelInfo) -> ModelShape | None:
    """Exact where the engine says its shape or serves a known model, else derived from the
    parameter count; `None` where not even that makes a shape."""
    shape = info.shape
    if shape is not None:
        return ModelShape(
            name=info.name,
            layers=info.layers,
            hidden=shape.hidden,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            ffn=shape.intermediate,
            vocabulary=info.vocabulary,
            tied=shape.tied_embeddings,
            qkv_bias=shape.qkv_bias,
        )
    known = find_preset(info.name)
    if known is not None:
        return known
    try:
        return shape_from_parameters(info.parameters)
    except FieldError:
        return None
