"""What our own engine serves with: known of each of its frames, and of no attached server's."""

from typing import NamedTuple

from .errors import BadInputError
from .frame import Frame
from .load import LoadSpec
from .settings import PrecisionName, StrategyName


class OwnSetting(NamedTuple):
    """What can be set on our engine, as a frame tells it."""

    strategy: StrategyName
    precision: PrecisionName
    load: LoadSpec
    max_seqs: int


def setting_of(frame: Frame) -> OwnSetting | None:
    """The settings of a frame of our engine; `None` where another's server is watched."""
    strategy, precision, load, cap = frame.strategy, frame.precision, frame.load, frame.max_seqs
    if strategy is None or precision is None or load is None or cap is None:
        return None
    return OwnSetting(strategy, precision, load, cap)


def own_setting(frame: Frame) -> OwnSetting:
    """The settings of a frame of our engine. Raises `BadInputError` of another's."""
    setting = setting_of(frame)
    if setting is None:
        raise BadInputError(
            f"{frame.model.name} is served by another engine: prodtop does not know its settings"
        )
    return setting


def serving_words(frame: Frame) -> tuple[str, ...]:
    """What serves, in two words at most: `bf16`, `hybrid` of our engine, `vLLM`, `0.26.0` of
    another's server."""
    attached = frame.attached
    words = (
        (frame.precision, frame.strategy) if attached is None else (attached.kind, attached.version)
    )
    return tuple(str(word) for word in words if word is not None)
