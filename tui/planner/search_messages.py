"""What the screen and the process that searches layouts say to each other: a line of JSON each."""

import msgspec

from ...engine.planner.cost.layout import Layout
from ...engine.planner.search.strategies import StrategyKey
from ...engine.protocol import ModelInfo

BEST = "best"
"""Beside the strategies' keys: the best of all layouts."""


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Search for what the form's `texts` ask. `growing`: over cluster sizes the batch grows.
    `compared`: strategies, scenarios and GPU types are to be compared too."""

    number: int
    texts: dict[str, str]
    served: ModelInfo | None = None
    growing: bool = False
    compared: bool = False


class StrategyFound(msgspec.Struct, frozen=True, kw_only=True, tag="strategy"):
    """A strategy's fastest layout that fits, or else its leanest, and then why it does not."""

    number: int
    key: StrategyKey
    layout: Layout | None = None
    reason: str | None = None


class LayoutsFound(msgspec.Struct, frozen=True, kw_only=True, tag="layouts"):
    """The search of all layouts: the fastest of each split, the front of memory and time (leanest
    first), and the leanest layout that more memory would make faster than all that fit."""

    number: int
    splits: tuple[Layout, ...] = ()
    front: tuple[Layout, ...] = ()
    faster: Layout | None = None
    considered: int = 0
    fitting: int = 0
    reason: str | None = None


class PointFound(msgspec.Struct, frozen=True, kw_only=True, tag="point"):
    """The best layout of a strategy on a cluster of `gpus` GPUs, `None` where none fits."""

    number: int
    key: str
    gpus: int
    layout: Layout | None


class ComparisonFound(msgspec.Struct, frozen=True, kw_only=True, tag="comparison"):
    """Strategies, scenarios and GPU types side by side, as lines of text."""

    number: int
    lines: tuple[str, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """All was searched."""

    number: int
    seconds: float


Finding = StrategyFound | LayoutsFound | PointFound | ComparisonFound | Done

ENCODER = msgspec.json.Encoder()
REQUEST_DECODER = msgspec.json.Decoder(SearchRequest)
FINDING_DECODER: msgspec.json.Decoder[Finding] = msgspec.json.Decoder(Finding)
