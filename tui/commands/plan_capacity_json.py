"""What `prodtop plan capacity --json` prints: one object, in SI units and bytes."""

from ...engine.planner.explain.serving import explain_capacity
from ...engine.planner.explain.terms import Term
from ...engine.planner.serving_capacity.capacity import Capacity, Cell, Speed, speeds
from .plan_capacity_answer import CapacityAnswer

SCHEMA_VERSION = 1

Object = dict[str, object]


def as_object(found: CapacityAnswer, *, explained: bool) -> Object:
    """The whole answer; `explained` adds each cell's tree of terms."""
    load = found.load
    return {
        "schema_version": SCHEMA_VERSION,
        "model": found.model.name,
        "parameters": found.model.parameters,
        "load": {
            "requests": load.requests,
            "prompt_tokens": load.prompt_tokens,
            "output_tokens": load.output_tokens,
        },
        "prices": {
            gpu.key: {
                "usd_per_hour": price.usd_per_hour,
                "date": price.date.isoformat(),
                "source": price.source,
            }
            for gpu in found.gpus
            if (price := found.prices.get(gpu.key)) is not None
        },
        "calibration": {gpu.key: found.saved.origin(gpu.key) for gpu in found.gpus},
        "cells": [_cell(cell, explained) for cell in found.cells],
    }


def _cell(cell: Cell, explained: bool) -> Object:
    fields: Object = {"gpu": cell.gpu.key, "precision": cell.precision, "gpus": cell.gpus}
    if cell.result is None:
        return {**fields, "fits": False, "reason": cell.reason}
    fields |= {"fits": True, "reason": None, **_capacity(cell.result)}
    if explained:
        fields["explained"] = term_object(explain_capacity(cell.result))
    return fields


def _capacity(result: Capacity) -> Object:
    held = result.memory
    return {
        "holds_load": result.holds_load,
        "batch": result.batch,
        "largest_batch": held.largest_batch,
        "memory_bytes": {
            "weights": held.weights,
            "kv_per_request": held.sequence,
            "logits_per_request": held.logits,
            "workspace": held.workspace,
            "usable": held.usable,
            "used": held.used(result.batch),
        },
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


def term_object(term: Term) -> Object:
    """A term and its parts."""
    return {
        "name": term.name,
        "value": term.value,
        "unit": term.unit,
        "formula": term.formula,
        "inputs": dict(term.inputs),
        "source": term.source,
        "parts": [term_object(part) for part in term.parts],
    }
