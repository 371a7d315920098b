"""What can be set on an engine beside its load: strategy, precision and speculation."""

from enum import StrEnum

import msgspec

from .message import Part
from .wording import counted


class StrategyName(StrEnum):
    """The serving strategies, in the order of their keys 1 … 6."""

    SINGLE = "single"
    BATCHED = "batched"
    CONTINUOUS = "continuous"
    CACHED = "cached"
    STREAMING = "streaming"
    HYBRID = "hybrid"


class PrecisionName(StrEnum):
    """The precisions, in the order in which `[` and `]` walk through them."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"
    FP8 = "fp8"


class EngineChanges(Part, frozen=True, kw_only=True):
    """What an engine can only be built with: each field as in `WorkerOptions`, `None` as it is."""

    model: str | None = None
    device: str | None = None
    max_seqs: int | None = None
    context_tokens: int | None = None
    kv_gib: float | None = None
    threads: int | None = None

    def given(self) -> dict[str, object]:
        """The fields that are to change."""
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


class SpeculationSpec(Part, frozen=True, kw_only=True):
    """Drafts of up to `drafts` tokens a step of each request, which change no output.

    They are what followed the last `ngram_longest` … `ngram_shortest` tokens when those came up
    before, or what `draft_model` says: the name of one that the engine was started with.
    `adaptive`: rest while they lose, and measure by turns whether they do.
    """

    drafts: int = 4
    draft_model: str | None = None
    ngram_shortest: int = 2
    ngram_longest: int = 4
    adaptive: bool = True


def describe_speculation(spec: SpeculationSpec | None) -> str:
    """`4 drafts` a step of each request, or `no drafts`."""
    if spec is None:
        return "no drafts"
    return counted(spec.drafts, "draft")
