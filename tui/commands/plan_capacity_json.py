"""What `prodtop plan capacity --json` prints: one object, in SI units and bytes."""

import msgspec

from ...engine.planner.explain.serving import explain_capacity
from ...engine.planner.serving_capacity.capacity import Capacity, Cell, Speed, speeds
from .plan_capacity import CapacityMatrix

SCHEMA_VERSION = 1

Object = dict[str, object]


def matrix_object(matrix: CapacityMatrix, *, explained: bool) -> Object:
    """The whole matrix; `explained` adds each cell's tree of terms."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": matrix.model.name,
        "parameters": matrix.model.parameters,
        "load": msgspec.to_builtins(matrix.load),
        "prices": {
            gpu.key: msgspec.to_builtins(price)
            for gpu in matrix.gpus
            if (price := matrix.prices.get(gpu.key)) is not None
        },
        "calibration": {gpu.key: matrix.saved.origin(gpu.key) for gpu in matrix.gpus},
        "cells": [_cell(cell, explained) for cell in matrix.cells],
    }


def _cell(cell: Cell, explained: bool) -> Object:
    fields: Object = {"gpu": cell.gpu.key, "precision": cell.precision, "gpus": cell.gpus}
    if cell.result is None:
        return {**fields, "fits": False, "reason": cell.reason}
    fields |= {"fits": True, "reason": None, **_capacity(cell.result)}
    if explained:
        fields["explained"] = msgspec.to_builtins(explain_capacity(cell.result))
    return fields


def _capacity(result: Capacity) -> Object:
    memory = result.memory
    return {
        "holds_load": result.holds_load,
        "batch": result.batch,
        "largest_batch": memory.largest_batch,
        "memory_bytes": {
            "weights": memory.weights,
            "kv_per_request": memory.sequence,
            "logits_per_request": memory.logits,
            "workspace": memory.workspace,
            "usable": memory.usable,
            "used": memory.used(result.batch),
        },
        "state_bytes_per_request": memory.state,
        "speculation": result.load.speculation,
        "prefill_servers": result.prefill_servers,
        "ttft_s": result.ttft_s,
        "tpot_s": result.tpot_s,
        "output_tokens_s": result.tokens_s,
        "usd_per_hour": result.usd_per_hour,
        "usd_per_million_output": result.usd_per_million_output,
        "usd_per_million_total": result.usd_per_million_total,
        "decode": [_speed(at) for at in speeds(result)],
    }


def _speed(at: Speed) -> Object:
    return {
        "batch": at.batch,
        "fits": at.fits,
        "roofline_tokens_s": at.roofline_tokens_s,
        "tokens_s": at.tokens_s if at.fits else None,
    }
