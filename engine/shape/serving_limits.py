"""What the engine cannot serve of the shapes that the planner plans."""

from ..protocol.errors import CheckpointError
from .model_shape import ModelShape


def unserved_reason(shape: ModelShape) -> str | None:
    """Why the engine cannot serve a model of this shape; `None` where it can."""
    lacking = {
        "a mixture of experts": shape.experts is not None,
        "latent attention": shape.latent is not None,
        "attention sinks": shape.attention_sinks,
        "attention and MLP side by side": shape.parallel_blocks,
        "one norm for attention and MLP": shape.norms_per_layer == 1,
        "a bias of the output layer": shape.head_bias,
    }
    parts = [part for part, is_there in lacking.items() if is_there]
    if parts:
        return f"{' and '.join(parts)} cannot be served, only planned"
    if shape.head_dim % 2 and not shape.learned_positions:
        return f"`head_dim` is {shape.head_dim}; rotary positions need an even one"
    return shape.unserved or None


def check_served(shape: ModelShape, source: str) -> None:
    """Refuse what the engine cannot serve; `source` names the model in the error.

    Raises:
        CheckpointError: the engine cannot serve the shape, with the reason.
    """
    reason = unserved_reason(shape)
    if reason is not None:
        raise CheckpointError(f"{source}: {reason}")
