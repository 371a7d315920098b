"""The kernels of the precisions that are not served yet, compiled before somebody switches to one.

Only on a machine that has just compiled those of the first one: later they are on disk. Of a model
a few layers are laid out to see what packs them and what they launch; nothing is computed by them.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from ..kernels.common.compile_ahead import (
    ask_for_no_more,
    compiles_here_first,
    have_compiled,
    noted,
)
from ..model.decoder import Decoder
from ..model.weights import MasterWeights
from ..precision.levels import base_dtype, require
from ..protocol import PrecisionName
from ..protocol.errors import PrecisionUnavailableError
from .kv_cache import KVCache
from .paged_runner import PagedRunner
from .settings import EngineSettings


def compile_for_switches(
    master: MasterWeights, served: PrecisionName, settings: EngineSettings, device: torch.device
) -> Iterator[PrecisionName]:
    """Have the kernels of every other precision compiled, in another process: a piece for
    each, which it yields.

    Does not wait. Those in whose dtype the weights are not on the device are left out: a copy of
    its embedding might not fit beside what is served.
    """
    if compiles_here_first() and master.embedding.device == device:
        for precision in PrecisionName:
            if precision is not served and base_dtype(precision) is master.dtype:
                _compile_for(master, precision, settings, device)
                yield precision
    ask_for_no_more()


def _compile_for(
    master: MasterWeights, precision: PrecisionName, settings: EngineSettings, device: torch.device
) -> None:
    try:
        require(precision, device)
        short = replace(master, layers=master.layers[: _layers_of_every_kind(master)])
        with noted() as packing:
            decoder = Decoder(short, precision, device, settings.context_tokens)
        cache = KVCache(master.config, 1, device, settings.kv_dtype or base_dtype(precision))
        runner = PagedRunner(decoder, cache, settings, graphs=False)
        have_compiled([*packing, *runner.warm_up.kernels()])
    except (PrecisionUnavailableError, torch.OutOfMemoryError):
        return


def _layers_of_every_kind(master: MasterWeights) -> int:
    """How many of the first layers show every window that any layer sees through, and one more:
    the last has fewer rows."""
    config = master.config
    windows = [config.window_of(index) for index in range(config.layers)]
    return 2 + max(windows.index(window) for window in set(windows))
