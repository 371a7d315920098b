"""What each GPU type gives when it serves the plan's model under the form's load."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...engine.planner.cost.hardware import known_gpus
from ...engine.planner.question.question import ReferenceData
from ...engine.planner.serving_capacity.capacity import (
    Capacity,
    Cell,
    Speed,
    capacity,
    matrix,
    speeds,
)
from ...engine.planner.serving_capacity.server import server
from ...engine.shape.field_errors import FieldError
from .plan import Plan

PRECISIONS = ("bf16", "fp8", "int8", "int4")
"""Columns of the matrix."""


@dataclass(frozen=True, slots=True)
class Served:
    """One GPU type in the form's precision: its capacity and speeds, or why there is none."""

    gpu: str
    result: Capacity | None
    speeds: tuple[Speed, ...]
    reason: str | None


Cells = Mapping[str, Mapping[str, Cell]]
"""By GPU key and precision."""


def capacity_matrix(plan: Plan, data: ReferenceData) -> Cells:
    """Cells by GPU key and precision: the fewest GPUs of a node that hold the load."""
    gpus = {**known_gpus(), plan.cluster.gpu.key: plan.cluster.gpu}
    cells = matrix(
        plan.model,
        list(gpus.values()),
        PRECISIONS,
        plan.load,
        prices=data.prices,
        calibrations=data.calibrations,
    )
    by_gpu: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_gpu.setdefault(cell.gpu.key, {})[cell.precision] = cell
    return by_gpu


def serve_on(plan: Plan, data: ReferenceData, row: Mapping[str, Cell]) -> Served:
    """One GPU type at the form's precision, on as many GPUs as the matrix found for it."""
    gpu = next(iter(row.values())).gpu
    precision = plan.storage.precision
    cell = row.get(precision)
    try:
        if cell is None:
            (cell,) = matrix(
                plan.model,
                [gpu],
                [plan.storage],
                plan.load,
                prices=data.prices,
                calibrations=data.calibrations,
            )
        gpus = cell.gpus or min(8, gpu.node_gpus)
        where = server(plan.model, gpu, gpus, plan.storage, calibrations=data.calibrations)
        result = capacity(where, plan.load, data.prices.get(gpu.key))
    except FieldError as error:
        return Served(gpu.key, None, (), error.reason)
    return Served(gpu.key, result, tuple(speeds(result)), cell.reason)
