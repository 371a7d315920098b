"""The runner of an engine, and how a switch of precision replaces it."""

import torch

from ..device.devices import release_unused, trim_heap
from ..model.decoder import Decoder
from ..model.loading import LoadedModel
from ..precision.levels import base_dtype
from ..protocol import PrecisionName
from ..protocol.errors import PrecisionUnavailableError
from .kv_cache import KVCache
from .runner import Runner, RunnerFactory
from .settings import EngineSettings
from .switch_memory import as_unavailable


class RunnerSlot:
    """Holds the runner of `model` at one precision, made by `runner_for`."""

    def __init__(
        self,
        model: LoadedModel,
        settings: EngineSettings,
        device: torch.device,
        runner_for: RunnerFactory,
        precision: PrecisionName,
    ) -> None:
        self._model = model
        self._settings = settings
        self._device = device
        self._runner_for = runner_for
        self.runner = self._make(precision)

    def switch(self, name: PrecisionName) -> None:
        """Swap the weights, one after the other: two precisions need not fit side by side.

        Raises `PrecisionUnavailableError` where it fails: the old precision is made again then.
        """
        old = self.runner.decoder.precision
        del self.runner
        release_unused(self._device)
        try:
            self.runner = self._make(name)
        except (PrecisionUnavailableError, RuntimeError, MemoryError) as error:
            # Without its traceback, which holds on to the half-made weights.
            failure = as_unavailable(error.with_traceback(None), name, old)
        else:
            trim_heap()
            return
        self.runner = self._make(old)
        raise failure

    def _make(self, precision: PrecisionName) -> Runner:
        settings, master = self._settings, self._model.master
        dtype = settings.kv_dtype or base_dtype(precision)
        cache = KVCache(master.config, settings.kv_blocks, self._device, dtype)
        decoder = Decoder(master, precision, self._device, settings.context_tokens)
        return self._runner_for(decoder, cache, settings)
