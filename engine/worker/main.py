"""The worker process: owns the device, and serves as long as the screen is there.

Run as `python -m prodtop.engine.worker --options JSON --channel-fd N [--handover-fd N]`.
"""

import argparse
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

# torch's OpenMP threads wait for each other spinning, by default for as long as it takes. Where
# cores are shared, a spinning thread keeps its partner from running; sleeping at once costs too
# much in operations of microseconds. The setting is read once, when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# oneDNN, and the layer between it and torch, each keep the 1,024 products that were compiled last,
# one for every shape and number of rows: half a megabyte each. Serving meets hundreds, and a switch
# of precision as many again. The first cache alone makes steps fast (docs/performance.md), and
# these are more than one precision needs. Read once as well.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
os.environ.setdefault("LRU_CACHE_CAPACITY", "16")

import torch

from ..device.ceilings import ceilings
from ..device.devices import (
    device_limits,
    device_name,
    keep_freed_memory,
    out_of_memory,
    resolve_device,
    use_threads,
)
from ..model.loading import ConfigCallback, LoadedModel, find_shape, load_model
from ..precision.levels import compute_dtype, default_precision, require
from ..probes.memory_limits import read_host_limits
from ..probes.nvml_api import load_pynvml
from ..probes.own_gpu import OwnGpu, own_gpu_names
from ..protocol import COMMAND_DECODER, Command, Fault, Note, PrecisionName, Progress, Ready
from ..protocol.channel import Channel
from ..protocol.child_process import tell_crash, tell_end
from ..protocol.errors import ProdtopError
from ..protocol.handover import Handover
from ..protocol.options import WorkerOptions, from_argument
from ..serving.eager_runner import soon_runner_for
from ..serving.engine import Engine
from ..serving.model_drafter import model_drafter
from ..serving.runner import runs_kernels
from ..serving.settings import EngineSettings
from ..shape.model_shape import ModelShape
from ..text.clean_stream import clean_output
from .bench import versions
from .frames import model_info
from .loop import ServingLoop
from .memory_plan import check_fits, wish
from .server_end import ServerEnd
from .sizing import engine_settings

_LOADED_AT_S = time.monotonic()


def main() -> int:
    """Serve until the screen says `Shutdown` or is gone; the exit code is the error's, if any."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.worker")
    parser.add_argument("--options", required=True)
    parser.add_argument("--channel-fd", type=int, required=True)
    parser.add_argument("--handover-fd", type=int)
    arguments = parser.parse_args()
    channel = Channel.from_fd(arguments.channel_fd, COMMAND_DECODER)
    handover = None if arguments.handover_fd is None else Handover.from_fd(arguments.handover_fd)
    with clean_output():
        return _serve(channel, arguments.options, ServerEnd(handover))


def _serve(channel: Channel[Command], options: str, server: ServerEnd) -> int:
    try:
        _start(channel, from_argument(options), server).run()
    except ProdtopError as error:
        return tell_end(channel, Fault(message=str(error), fatal=True, exit_code=error.exit_code))
    except Exception as error:  # noqa: BLE001
        if out_of_memory(error):
            message = "the device's memory is full: use a smaller model, or a smaller --kv-gib"
            return tell_end(channel, Fault(message=message, fatal=True))
        # The process's edge: what nobody expected is told, and ends it.
        return tell_crash(channel, error)
    return 0


def _start(channel: Channel[Command], options: WorkerOptions, server: ServerEnd) -> ServingLoop:
    """Load the model and build the engine, telling the screen how far that is.

    Raises a `ProdtopError` where the options cannot be served on this machine.
    """
    device = resolve_device(options.device)
    own_gpu = _use_device(device, options.threads)
    precision = options.precision or default_precision(device)
    require(precision, device)
    draft_name = None if options.speculation is None else options.speculation.draft_model
    # Before the model is read: their memory is checked together.
    draft_shape = None if draft_name is None else _find_shape(channel, options, draft_name)

    def check(name: str, config: ModelShape, dtype: torch.dtype) -> None:
        wanted = wish(options, config, precision, device, draft_shape, dtype)
        check_fits(name, wanted, read_host_limits(), device_limits(device))

    model = _load(channel, options, options.model, device, check)
    draft = None if draft_name is None else _load(channel, options, draft_name, device)
    loaded = model.master.embedding.device.type == device.type
    channel.send(Progress(what=f"packing {precision} weights"))
    settings = engine_settings(
        options,
        model.config,
        precision,
        device,
        model.master.dtype if loaded else None,
        None if draft is None else draft.config,
    )
    # What lives until the end need not be walked through while requests wait: a full collection
    # takes some tenths of a second with torch imported. Not the engine: its runners refer to
    # themselves, and a switch of precision has to get rid of one before it makes the next.
    gc.freeze()
    engine = Engine(
        model,
        settings,
        strategy=options.strategy,
        precision=precision,
        device=device,
        clock=time.monotonic,
        runner_for=soon_runner_for,
        drafter=None if draft is None else model_drafter(draft, model, settings, device),
    )
    channel.send(Progress(what="measuring the device"))
    limits = ceilings(device)
    limits.copy_bytes_per_s()
    limits.matmul_flops_per_s(compute_dtype(precision, device))
    loop = ServingLoop(
        channel, engine, options, own_gpu, server, _later(model, engine, settings, device)
    )
    channel.send(
        Ready(
            model=model_info(engine),
            device=str(device),
            device_name=device_name(device),
            load_s=process_age_s(),
            versions=versions(),
        )
    )
    return loop


def _later(
    model: LoadedModel, engine: Engine, settings: EngineSettings, device: torch.device
) -> Iterator[PrecisionName] | None:
    """What is done once all is ready, in pieces: the kernels of other precisions are compiled."""
    if not runs_kernels(device):
        return None
    from ..serving.kernels_ahead import compile_for_switches

    return compile_for_switches(model.master, engine.precision, settings, device)


def process_age_s(stat: Path = Path("/proc/self/stat")) -> float:
    """Seconds since this process began, whatever was done to the wall clock since.

    Since this module was loaded where the system does not tell.
    """
    try:
        # Field 22 of proc(5), counted from behind the name, which may hold anything.
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _LOADED_AT_S


def _use_device(device: torch.device, threads: int | None) -> OwnGpu | None:
    """Create the CUDA context, measuring what it takes, or set the CPU's threads."""
    use_threads(threads)
    keep_freed_memory()
    if device.type == "cpu":
        return None
    # CUDA's index is not NVML's: `CUDA_VISIBLE_DEVICES` and containers renumber, the UUID stays.
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    own_gpu = OwnGpu(load_pynvml, *own_gpu_names(uuid))
    torch.cuda.set_device(device)
    torch.empty(1, device=device)
    torch.cuda.synchronize(device)
    own_gpu.context_created(torch.cuda.memory_reserved(device))
    return own_gpu


def _find_shape(channel: Channel[Command], options: WorkerOptions, name: str) -> ModelShape:
    def downloading(fraction: float) -> None:
        channel.send(Progress(what=f"downloading {name}", fraction=fraction))

    return find_shape(name, options.load_format, downloading)


def _load(
    channel: Channel[Command],
    options: WorkerOptions,
    name: str,
    device: torch.device,
    check: ConfigCallback | None = None,
) -> LoadedModel:
    def loading(fraction: float) -> None:
        channel.send(Progress(what=f"loading {name}", fraction=fraction))

    def downloading(fraction: float) -> None:
        channel.send(Progress(what=f"downloading {name}", fraction=fraction))

    loading(0.0)
    loaded = load_model(name, options.load_format, loading, device, downloading, check)
    for note in loaded.notes:
        channel.send(Note(message=f"{loaded.name}: {note}"))
    return loaded
