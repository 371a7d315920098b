"""Serves in plain PyTorch while the kernels of the runner that takes over are made ready."""

from collections.abc import Iterator
from typing import Protocol

from ..model.decoder import Decoder
from .kv_cache import KVCache
from .runner import Runner, TorchRunner, runner_for, runs_kernels
from .settings import EngineSettings


class Piece(Protocol):
    """A piece of making a runner ready that is done, or that waits for other processes."""

    @property
    def what(self) -> str:
        """What is being done, in words."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the next piece has to wait."""
        ...


class EagerRunner(TorchRunner):
    """Computes with the weights and the KV cache of `coming`, until that is ready: `Runner`.

    `pieces` make it ready, each of them short.
    """

    def __init__(self, coming: Runner, pieces: Iterator[Piece]) -> None:
        super().__init__(coming.decoder, coming.kv_cache)
        self.coming = coming
        self._pieces = pieces
        self._done = next(pieces)

    @property
    def preparing(self) -> Piece:
        """How far `coming` is."""
        return self._done

    def prepare(self) -> bool:
        """The next piece of making `coming` ready; whether it is. Waits for nothing: call it again
        where `preparing` is blocked. Not while a step is computed."""
        piece = next(self._pieces, None)
        if piece is not None:
            self._done = piece
        return piece is None


def soon_runner_for(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> Runner:
    """`runner_for`, but at once: where kernels would have to be compiled or loaded first, one that
    serves without them meanwhile."""
    if not runs_kernels(decoder.device) or settings.kv_dtype is not None:
        # Plain PyTorch does not compute with an fp8 cache.
        return runner_for(decoder, kv_cache, settings)
    from .paged_runner import PagedRunner

    coming = PagedRunner(decoder, kv_cache, settings)
    warm_up = coming.warm_up
    if warm_up.ran_before:
        warm_up.at_once()
        return coming
    return EagerRunner(coming, warm_up.pieces())
