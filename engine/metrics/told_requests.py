"""Which requests are told of where there are too many to tell of each."""

from collections.abc import Sequence
from heapq import nlargest
from typing import TypeVar

from ..protocol import FinishedRequest, FinishedSample

KEPT_TIMELINES = 2_000
"""Requests that ended whose timelines are kept, the last ones."""

MOST_SAMPLES = 32
"""Requests that ended reported with one frame; the rest of a burst shows in the percentiles."""

MOST_LIVE = 64
"""Running requests told of at most, and as many waiting ones."""

_T = TypeVar("_T")


def finished_sample(ended: Sequence[FinishedRequest]) -> FinishedSample:
    """Requests that ended; of a burst those that failed or took longest, in their order."""
    told = list(ended)
    if len(ended) > MOST_SAMPLES:
        chosen = nlargest(MOST_SAMPLES, ended, key=lambda each: (each.failed, each.e2e_ms))
        ids = {each.request_id for each in chosen}
        told = [each for each in ended if each.request_id in ids]
    return FinishedSample(requests=told, left_out=len(ended) - len(told))


def both_ends(requests: Sequence[_T], most: int = MOST_LIVE) -> Sequence[_T]:
    """All of them, or of many the first and the last half of `most`."""
    half = most // 2
    return requests if len(requests) <= most else (*requests[:half], *requests[-half:])
