"""What `prodtop cost` works out of a file, by the prices of the configuration and its options."""

from typing import NamedTuple

import msgspec

from ...engine.compare.curves import curves
from ...engine.cost.capacity import Capacity, of_comparison
from ...engine.cost.cells import cell_costs
from ...engine.cost.settings import CapacitySettings
from ...engine.cost.spend import Spend
from ...engine.protocol import Frame, Window, serving_words
from ...engine.protocol.errors import BadInputError
from ..settings.config import Config, load_config
from ..state.billing import Billing
from ..state.capacity import capacity_of
from ..state.compare import limits_of
from ..state.cost import Costing, costing_of
from .cost_json import (
    SCHEMA_VERSION,
    budget_json,
    capacity_json,
    cell_json,
    price_json,
    spend_json,
    what_if_json,
)
from .cost_options import check_price
from .cost_output import (
    budget_lines,
    capacity_lines,
    cell_lines,
    price_line,
    span_lines,
    what_if_lines,
)
from .cost_source import Source, read_source
from .json_output import print_json

MOST_TARGET = 1e9
MEASURES = "b"
"""The usual key of the screen that measures cells; a what-if that lacks them names it."""


class Prices(NamedTuple):
    """What the options say; `None` leaves it to the configuration. `target`: requests a second."""

    per_hour: float | None = None
    per_kwh: float | None = None
    target: float | None = None


def report(name: str, prices: Prices, *, as_json: bool) -> None:
    """Print what the file or the name stands for. Raises `BadInputError`."""
    config = load_config()
    billing = _billing(config, prices)
    source = read_source(name)
    found = _of_frame(source, source.frame, billing) if source.frame else _of_cells(source, billing)
    capacities = _capacities(source, config, billing)
    if as_json:
        print_json(_object(source, found, capacities))
    else:
        _print(source, found, capacities)


def _billing(config: Config, prices: Prices) -> Billing:
    """The config's prices, and what the command line says in their place."""
    check_price("--price-per-hour", prices.per_hour)
    check_price("--price-per-kwh", prices.per_kwh)
    given = {"usd_per_hour": prices.per_hour, "usd_per_kwh": prices.per_kwh}
    changes = {name: value for name, value in given.items() if value is not None}
    cost, capacity = msgspec.structs.replace(config.cost, **changes), config.capacity
    if prices.target is not None:
        if not 0 < prices.target <= MOST_TARGET:
            raise BadInputError(f"--target must be a number above 0, not {prices.target:g}")
        capacity = CapacitySettings(requests_per_s=prices.target)
    return Billing(cost, capacity, Billing.of(config).prices)


def _of_frame(source: Source, frame: Frame, billing: Billing) -> Costing:
    return costing_of(
        frame,
        source.window,
        billing,
        comparison=source.comparison,
        restart_s=None,
        budget=billing.budget(frame, was_over=False),
        key=MEASURES,
    )


def _of_cells(source: Source, billing: Billing) -> Costing:
    rates = billing.rates(source.device, on_gpu=True)
    cells = [] if source.comparison is None else cell_costs(source.comparison, rates)
    return Costing(rates=rates, cells=tuple(cells))


def _capacities(source: Source, config: Config, billing: Billing) -> list[tuple[str, Capacity]]:
    """Of a frame what is served; of a comparison every cell that has a load curve."""
    target = billing.capacity.requests_per_s
    if source.frame is not None:
        frame = source.frame
        label = " ".join(reversed(serving_words(frame)))
        return [(label, capacity_of(frame, source.window, source.load_curve, target))]
    if source.load_curve is None:
        return []
    comparison, limits = source.load_curve, limits_of(config.slo.spec())
    return [
        (curve.label, of_comparison(comparison, curve, target))
        for curve in curves(comparison, limits=limits)
    ]


def _spans(source: Source, found: Costing) -> dict[str, Spend]:
    """The window that was shown, and the session where that is another."""
    spans: dict[str, Spend] = {}
    if found.window is not None:
        spans[source.window.value] = found.window
    if found.session is not None:
        spans[Window.SESSION.value] = found.session
    return spans


def _object(
    source: Source, found: Costing, capacities: list[tuple[str, Capacity]]
) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": source.kind,
        "name": source.name,
        "device": source.device,
        "price": price_json(found.rates),
        "spans": {name: spend_json(each) for name, each in _spans(source, found).items()},
        "cells": [cell_json(each, with_load=source.kind != "bench") for each in found.cells],
        "what_ifs": [what_if_json(each) for each in found.what_ifs],
        "capacity": [capacity_json(label, each) for label, each in capacities],
        "budget": budget_json(found.budget),
    }


def _print(source: Source, found: Costing, capacities: list[tuple[str, Capacity]]) -> None:
    print(f"{source.kind} {source.name}, {source.device or 'device unknown'}")
    print(price_line(found.rates))
    spans = _spans(source, found)
    parts = [
        span_lines(spans) if spans else [],
        cell_lines(found.cells) if found.cells else [],
        ["what if, per request:", *what_if_lines(found.what_ifs)] if found.what_ifs else [],
        ["one GPU takes:", *(line for each in capacities for line in capacity_lines(*each))]
        if capacities
        else [],
        budget_lines(found.budget),
    ]
    if source.frame is not None and not spans:
        parts.insert(0, ["this file does not tell what was used: it is of an older prodtop"])
    for lines in parts:
        if lines:
            print()
            print("\n".join(lines))
