"""A run of days: what failures, checkpoints, stragglers, spot prices and the data's way add.

Checkpoints after Young (1974) and Daly (2006): with mean time between failures `M` and a checkpoint
of `d` seconds the best interval is about `sqrt(2 d M)`, of higher order
`sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + d / 18M) - d`, and a failure costs half of it and the restart.
"""

import math
from dataclasses import dataclass

from ...shape.field_errors import FieldError
from ..cost.estimate import Estimate

HOUR_S = 3600.0
CHECKPOINT_BYTES = 14.0
"""Of a parameter: bf16 weights, fp32 master and two moments."""
TOKEN_BYTES = 4.0
"""Of a token on its way to the GPUs: a 32-bit id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reality:
    """What a long run meets.

    failures: per GPU and hour; the default is Llama 3's 419 unexpected ones in 54 days of 16,384
    H100s (Dubey et al. 2024, section 3.3.4). interruptions: of spot GPUs, per GPU and hour; each
    stops the run as a failure does. checkpoint_bytes_s: what the file system takes, all nodes
    together. restart_s: from a failure to the next step. straggling: share by which the slowest
    rank lengthens each step. spot_price: US dollars per GPU and hour, where it is such GPUs.
    """

    failures: float = 419 / (54 * 24 * 16_384)
    interruptions: float = 0.0
    checkpoint_bytes_s: float = 10e9
    restart_s: float = 600.0
    straggling: float = 0.0
    spot_price: float | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("failures", self.failures),
            ("interruptions", self.interruptions),
            ("restart_s", self.restart_s),
            ("straggling", self.straggling),
        ):
            if not 0 <= value < math.inf:
                raise FieldError(name, f"must be a number from 0 on, found {value:g}")
        if not self.checkpoint_bytes_s > 0:
            raise FieldError("checkpoint_gb_s", "must be a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """`goodput` is the share of the run's time that makes progress at the planned speed.

    mean_between_s: between failures of any GPU, infinite without any. interval_s: between
    checkpoints, Daly's of higher order; young_s: Young's; infinite where none is needed. `None`
    cost where no price is known. data_bytes_s: token ids that all replicas read together.
    """

    mean_between_s: float
    checkpoint_s: float
    interval_s: float
    young_s: float
    goodput: float
    seconds: float
    cost: float | None
    data_bytes_s: float


def daly_s(checkpoint_s: float, mean_s: float) -> float:
    """Seconds between checkpoints, Daly (2006), equation 37: saving longer than the half of the
    time between failures pays no more often than that."""
    if checkpoint_s >= 2 * mean_s or math.isinf(mean_s):
        return mean_s
    root = math.sqrt(checkpoint_s / (2 * mean_s))
    return math.sqrt(2 * checkpoint_s * mean_s) * (1 + root / 3 + root**2 / 9) - checkpoint_s


def long_run(
    tokens_s: float, one: Estimate, reality: Reality, tokens: float, price: float | None
) -> LongRun:
    """The run to `tokens` tokens that `tokens_s` would make without any of it.

    Raises:
        FieldError: it fails so often that it never ends.
    """
    gpus, model = one.layout.world, one.setting.model
    hourly = (reality.failures + reality.interruptions) * gpus
    mean_s = HOUR_S / hourly if hourly else math.inf
    trained = 1.0 if not one.setting.frozen else one.setting.trained_share
    checkpoint_s = CHECKPOINT_BYTES * trained * model.parameters / reality.checkpoint_bytes_s
    young_s = math.sqrt(2 * checkpoint_s * mean_s)
    interval_s = daly_s(checkpoint_s, mean_s)
    saving = 0.0 if math.isinf(mean_s) else checkpoint_s / (interval_s + checkpoint_s)
    failing = 0.0 if math.isinf(mean_s) else (interval_s / 2 + reality.restart_s) / mean_s
    goodput = (1 - saving) * (1 - failing) / (1 + reality.straggling)
    if failing >= 1:
        raise FieldError("failures", f"one every {mean_s:,.0f} s leaves no time to train")
    seconds = tokens / (tokens_s * goodput)
    paid = reality.spot_price if reality.spot_price is not None else price
    return LongRun(
        mean_between_s=mean_s,
        checkpoint_s=checkpoint_s,
        interval_s=interval_s,
        young_s=young_s,
        goodput=goodput,
        seconds=seconds,
        cost=None if paid is None else seconds / HOUR_S * gpus * paid,
        data_bytes_s=tokens_s * TOKEN_BYTES,
    )
