"""The form's layout in the words of each training engine, and where a chosen one is saved."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...engine.files.atomic import write_files
from ...engine.files.paths import data_dir, owned_folder
from ...engine.planner.export.contract import Export, TrainingRun
from ...engine.planner.export.engines import ENGINES, export
from ...engine.protocol.errors import ProdtopError
from ...engine.shape.field_errors import FieldError
from .plan import Plan


class ExportFailedError(ProdtopError):
    """An export could not be written: says where and why."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One engine's export, or the reason why it cannot be told this layout."""

    engine: str
    result: Export | None
    reason: str | None


def attempts(plan: Plan) -> tuple[Attempt, ...]:
    """The plan's layout for every engine."""
    steps = max(1, round(plan.tokens / (plan.batch * plan.setting.sequence)))
    run = TrainingRun(steps=steps)
    return tuple(_attempt(engine, plan, run) for engine in ENGINES)


def _attempt(engine: str, plan: Plan, run: TrainingRun) -> Attempt:
    try:
        return Attempt(engine, export(engine, plan.setting, plan.layout, run), None)
    except FieldError as error:
        return Attempt(engine, None, error.reason)


def save_export(chosen: Export, plan: Plan, engine: str, folder: Path | None = None) -> Path:
    """Write the configuration and, beside it, the line that starts it; returns the folder.

    Raises `ExportFailedError`.
    """
    name = f"{plan.model.name}-{plan.cluster.gpus}x{plan.cluster.gpu.key}-{engine}"
    target = (folder or data_dir() / "exports") / re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    try:
        owned_folder(target)
        write_files(
            {
                target / chosen.file_name: chosen.text.encode(),
                target / "launch.sh": f"{chosen.launch}\n".encode(),
            }
        )
    except OSError as error:
        raise ExportFailedError(f"cannot write {target}: {error.strerror}") from error
    return target
