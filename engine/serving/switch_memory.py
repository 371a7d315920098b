"""Whether there is memory for another precision, asked before the one that serves is let go."""

from ..device.devices import device_limits, out_of_memory, trim_heap
from ..model.weight_memory import check_switch_fits
from ..precision.levels import base_dtype
from ..protocol import PrecisionName
from ..protocol.errors import PrecisionUnavailableError
from .kv_cache import block_bytes
from .runner import Runner
from .settings import EngineSettings


def check_switch(runner: Runner, settings: EngineSettings, precision: PrecisionName) -> None:
    """Raise `PrecisionUnavailableError` where weights and KV cache of `precision` do not fit.

    Those of `runner` go first. Its embedding and norms do not count: they may be the master copy's.
    """
    decoder = runner.decoder
    # What lies unused in the heap is ours, and the limits would count it as taken.
    trim_heap()
    dtype = settings.kv_dtype or base_dtype(precision)
    check_switch_fits(
        decoder.config,
        precision,
        decoder.device,
        kv_bytes=settings.kv_blocks * block_bytes(decoder.config, dtype),
        freed_bytes=decoder.matmul_bytes + runner.kv_cache.storage_bytes + runner.graph_bytes,
        limits=device_limits(decoder.device),
    )


def as_unavailable(error: Exception, wanted: PrecisionName, serving: PrecisionName) -> Exception:
    """A failed allocation as what it is to the user; any other error as it is."""
    if not out_of_memory(error):
        return error
    return PrecisionUnavailableError(
        f"{wanted} does not fit into the device's memory: staying at {serving}"
    )
