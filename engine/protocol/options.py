"""What one of prodtop's processes is started with: its command, and a worker's options as JSON."""

import sys
from collections.abc import Sequence
from typing import Literal

import msgspec

from . import LoadSpec, PrecisionName, SloSpec, SpeculationSpec, StrategyName
from .errors import BadInputError

BUNDLED_MODEL = "bundled"
_RUN_CHILD = "prodtop.engine.protocol.run_child"

LoadFormat = Literal["auto", "dummy"]
KvFormat = Literal["auto", "fp8"]
"""How keys and values are stored: as they are computed, or rounded to e4m3."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model, the device and the settings that the worker begins with.

    `None` leaves a choice to the worker, which knows the device: the precision, the context length
    (tokens), the KV cache (GiB) and the CPU threads. `load_format` "dummy" fills the model's shape
    with random weights. `idle`: no load of its own until a `RunBench` comes. `record_trace`: the
    new file that what is served is written to, as a trace.
    """

    model: str = BUNDLED_MODEL
    device: str = "auto"
    strategy: StrategyName = StrategyName.HYBRID
    precision: PrecisionName | None = None
    load: LoadSpec = LoadSpec()
    slo: SloSpec = SloSpec()
    load_format: LoadFormat = "auto"
    max_seqs: int = 32
    context_tokens: int | None = None
    kv_gib: float | None = None
    kv_format: KvFormat = "auto"
    speculation: SpeculationSpec | None = None
    threads: int | None = None
    idle: bool = False
    record_trace: str | None = None


def to_argument(options: WorkerOptions) -> str:
    """The options as the text of `--options`."""
    return msgspec.json.encode(options).decode()


def from_argument(text: str) -> WorkerOptions:
    """Read `--options`; raises `BadInputError` where it is not what `to_argument` writes."""
    try:
        return msgspec.json.decode(text, type=WorkerOptions)
    except msgspec.DecodeError as error:
        raise BadInputError(f"the worker's options cannot be read: {error}") from error


def module_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command line that runs one of prodtop's modules.

    `-P` keeps the current folder out of the child's import path: a file named `torch.py` beside the
    user must not become part of the engine.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The same for a module, ours or not, that is to end with its parent, who reads its output."""
    return module_command(_RUN_CHILD, [module, *arguments])
