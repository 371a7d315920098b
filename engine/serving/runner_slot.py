"""The runner of an engine, and how a switch of precision replaces it."""

from collections.abc import Callable

import torch

from ..device.devices import release_unused, trim_heap
from ..model.decoder import Decoder
from ..model.loading import LoadedModel
from ..precision.levels import base_dtype
from ..protocol import PrecisionName
from ..protocol.errors import PrecisionUnavailableError
from .eager_runner import EagerRunner
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
        self._old: PrecisionName | None = None
        """The precision before the last switch, if there was one."""
        self.runner = self._make(precision)

    @property
    def substitute(self) -> EagerRunner | None:
        """What serves until the runner that was asked for is ready; `None` where that serves."""
        return self.runner if isinstance(self.runner, EagerRunner) else None

    def prepare(self, go_on: Callable[[], bool]) -> bool:
        """Make ready what the `substitute` stands in for; whether that serves now.

        A piece, and further ones as long as none is waited for and `go_on` says so.
        Raises `PrecisionUnavailableError` where the device has no memory for it: the precision
        before is made again then. Where there was none, the device's error passes.
        """
        substitute = self.substitute
        if substitute is None:
            return False
        try:
            while not substitute.prepare():
                if substitute.preparing.blocked or not go_on():
                    return False
        except (RuntimeError, MemoryError) as error:
            if self._old is None:
                raise
            failure = as_unavailable(error.with_traceback(None), self._precision, self._old)
            del substitute
            self._replace(self._old)
            raise failure from None
        self.runner = substitute.coming
        return True

    def switch(self, name: PrecisionName) -> None:
        """Swap the weights, one after the other: two precisions need not fit side by side.

        Raises `PrecisionUnavailableError` where it fails: the old precision is made again then.
        """
        old = self._precision
        try:
            self._replace(name)
        except (PrecisionUnavailableError, RuntimeError, MemoryError) as error:
            # Without its traceback, which holds on to the half-made weights.
            failure = as_unavailable(error.with_traceback(None), name, old)
        else:
            self._old = old
            trim_heap()
            return
        self.runner = self._make(old)
        raise failure

    @property
    def _precision(self) -> PrecisionName:
        return self.runner.decoder.precision

    def _replace(self, precision: PrecisionName) -> None:
        """Let the runner go, and make the one of `precision` in its memory."""
        del self.runner
        release_unused(self._device)
        self.runner = self._make(precision)

    def _make(self, precision: PrecisionName) -> Runner:
        settings, master = self._settings, self._model.master
        dtype = settings.kv_dtype or base_dtype(precision)
        cache = KVCache(master.config, settings.kv_blocks, self._device, dtype)
        decoder = Decoder(master, precision, self._device, settings.context_tokens)
        return self._runner_for(decoder, cache, settings)
