"""How many GPUs it takes until a model can be trained at all."""

from dataclasses import replace

from ..cost.setting import Setting
from .constraints import Constraints
from .search import SearchResult, search

LARGEST = 2**16
"""GPUs up to which is looked; the largest clusters that are built have about as many."""


def first_that_fits(setting: Setting, constraints: Constraints) -> SearchResult | None:
    """The search on the smallest larger cluster that fits the model, in powers of two.

    The batch and all that is fixed stay as they are; `None` where nothing fits up to `LARGEST`.
    """
    gpus = 1 << setting.cluster.gpus.bit_length()
    while gpus <= LARGEST:
        larger = replace(setting, cluster=replace(setting.cluster, gpus=gpus))
        result = search(larger, constraints)
        if result.best:
            return result
        gpus *= 2
    return None
