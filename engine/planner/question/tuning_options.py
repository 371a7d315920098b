"""Options of `prodtop plan` about what is trained of a model, for which objective, and how long."""

from ..tuning.long_run import Reality
from ..tuning.tuning import METHODS, OBJECTIVES, Tuning
from .option import SOFTWARE, Option, choice
from .parsers import above_zero, count, from_zero, one_of, optional

_TUNING, _REALITY = Tuning(), Reality()
_ADAPTERS = "what is trained: all, or adapters"
METHOD = choice("method", _ADAPTERS, one_of(METHODS), METHODS, SOFTWARE, _TUNING.method)
_GOALS = "sft is pre-training too; dpo and grpo have a reference"
OBJECTIVE = choice("objective", _GOALS, one_of(OBJECTIVES), OBJECTIVES, SOFTWARE, _TUNING.objective)
RANK = Option("rank", count(), "of the adapters", str(_TUNING.rank))
TRAIN_LAYERS = Option(
    "train_layers", optional(count()), "last layers that are trained", auto="all"
).refused("give fewer, or leave it out")
FILL = Option(
    "fill", above_zero, "share of tokens that are no padding; 1 is packed", "1", metavar="S"
)
RESPONSE = Option(
    "response",
    above_zero,
    "share of tokens that GRPO generates",
    str(_TUNING.response),
    metavar="S",
)
ROLLOUT = Option(
    "rollout_tokens_s",
    optional(above_zero),
    "tokens/s that all GPUs generate for GRPO, as prodtop plan capacity says",
    auto="without generation",
    metavar="R",
)
FAILURES = Option(
    "failures", from_zero, "per GPU and hour", f"{_REALITY.failures:.3g}", metavar="F"
).refused("give a lower rate, or fewer GPUs")
INTERRUPTIONS = Option(
    "interruptions", from_zero, "of spot GPUs, per GPU and hour", "0", metavar="F"
)
SPOT_PRICE = Option(
    "spot_price",
    optional(above_zero),
    "US dollars per spot GPU and hour",
    auto="no spot GPUs",
    metavar="P",
)
RESTART = Option(
    "restart_s", from_zero, "seconds from a failure to the next step", f"{_REALITY.restart_s:g}"
)
CHECKPOINT = Option(
    "checkpoint_gb_s",
    above_zero,
    "GB/s that the file system takes",
    f"{_REALITY.checkpoint_bytes_s / 1e9:g}",
    metavar="B",
)
STRAGGLING = Option(
    "straggling", from_zero, "share by which the slowest rank lengthens a step", "0", metavar="S"
)
ADAPTER_OPTIONS: tuple[Option[object], ...] = (METHOD, RANK)
"""Those that an estimate of a layout has all of."""
RUN_OPTIONS: tuple[Option[object], ...] = (
    *(TRAIN_LAYERS, OBJECTIVE, FILL, RESPONSE, ROLLOUT),
    *(FAILURES, INTERRUPTIONS, SPOT_PRICE, RESTART, CHECKPOINT, STRAGGLING),
)
"""Those that a tuned step or a long run is worked out with, from an estimate."""
