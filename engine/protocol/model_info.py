"""What is served, and at which precisions it could be."""

from .message import Part
from .settings import PrecisionName


class ShapeInfo(Part, frozen=True, kw_only=True):
    """What a transformer's layers look like, as its `config.json` says it."""

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    tied_embeddings: bool = False
    qkv_bias: bool = False


class ModelInfo(Part, frozen=True, kw_only=True):
    """The model being served. `name` comes from outside and is stripped of control characters.

    `shape` is `None` where the engine does not say it.
    """

    name: str
    parameters: int
    layers: int
    context_tokens: int
    vocabulary: int
    shape: ShapeInfo | None = None


class PrecisionStatus(Part, frozen=True, kw_only=True):
    """Whether this device runs a precision. `reason` says why not; `None` when it does."""

    name: PrecisionName
    reason: str | None = None
