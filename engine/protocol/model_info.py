"""What is served, and at which precisions it could be."""

from .message import Part
from .settings import PrecisionName


class ModelInfo(Part, frozen=True, kw_only=True):
    """The model being served. `name` comes from outside and is stripped of control characters.

    Of an attached server's model only the name is sure to be known. `shape` is the engine's
    `ModelShape` as `shape_message` writes it, `None` where it does not say.
    """

    name: str
    parameters: int | None
    layers: int | None
    context_tokens: int | None
    vocabulary: int | None
    shape: dict[str, object] | None = None


class PrecisionStatus(Part, frozen=True, kw_only=True):
    """Whether this device runs a precision. `reason` says why not; `None` when it does."""

    name: PrecisionName
    reason: str | None = None
