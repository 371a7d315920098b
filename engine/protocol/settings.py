"""What can be set on an engine: strategy, precision, load and speculation, and each in words."""

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


class LoadSpec(Part, frozen=True, kw_only=True):
    """The load that the built-in generator puts on the engine.

    Closed loop: `users` clients, each with one request in the system and `think_s` between them.
    Open loop: arrivals at `rate_per_s`; `burstiness` is the gamma shape (1 is Poisson, below 1
    burstier, above 1 smoother). `rate_per_s` set means open loop.
    """

    users: int = 8
    think_s: float = 0.0
    rate_per_s: float | None = None
    burstiness: float = 1.0
    zipf_exponent: float = 1.1
    output_tokens_min: int = 16
    output_tokens_max: int = 96
    prompt_tokens_min: int | None = None
    """Prompts cut or joined to a length drawn from min … max; `None`: the prompts as they are."""
    prompt_tokens_max: int | None = None
    temperature: float = 0.8
    top_p: float = 0.95
    fixed_seed_share: float = 0.25
    """Share of sampled requests that repeat exactly when their prompt does, as a client with a
    fixed seed does; the others are sampled anew each time. Greedy requests always repeat."""
    ignore_eos: bool = False
    chat: bool = False
    """Prompts go through the model's chat template, as a system's and a user's turn."""
    max_waiting: int = 10_000
    """Open loop: the most requests that wait; what arrives then is rejected."""
    max_waiting_mib: float = 256.0
    """Open loop: the most of the host's memory that waiting requests take, likewise."""
    seed: int = 0
    paused: bool = False
    """No request comes, and the rest is kept for when there is load again."""


def describe_load(load: LoadSpec) -> str:
    """`32 users` of a closed loop, `2.5/s` of an open one, or `no load`."""
    if load.paused:
        return "no load"
    if load.rate_per_s is not None:
        return f"{load.rate_per_s:g}/s"
    return counted(load.users, "user")


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
