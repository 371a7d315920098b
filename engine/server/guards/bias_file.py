"""The last indicator of bias of each model, kept for whoever shows it."""

import hashlib
from pathlib import Path

import msgspec

from ...files.atomic import write_file
from ...files.bounded import read_bounded
from ...files.paths import data_dir, owned_folder
from ...protocol.errors import CheckpointError
from .bias import BiasReport

LARGEST_BYTES = 1 << 20


class KeptBias(msgspec.Struct, frozen=True, kw_only=True):
    """An indicator, and when it was measured (Unix time)."""

    measured_at_wall_s: float
    report: BiasReport


def bias_file(model: str) -> Path:
    """Where the indicator of a model is kept, whatever its name is."""
    digest = hashlib.sha256(model.encode()).hexdigest()[:16]
    return data_dir() / "guards" / f"bias-{digest}.json"


def keep_bias(report: BiasReport, wall_s: float) -> Path:
    """Keep an indicator in place of the one before; returns its file. Raises `OSError`."""
    path = bias_file(report.model)
    owned_folder(path.parent)
    kept = KeptBias(measured_at_wall_s=wall_s, report=report)
    write_file(path, msgspec.json.encode(kept) + b"\n")
    return path


def load_bias(model: str) -> KeptBias | None:
    """The last indicator of a model; `None` where none was measured, or it cannot be read."""
    try:
        return msgspec.json.decode(read_bounded(bias_file(model), LARGEST_BYTES), type=KeptBias)
    except (OSError, CheckpointError, msgspec.DecodeError):
        return None
