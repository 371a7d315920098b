"""The prices that hold for what is served: the user's own, or a provider's list price."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import msgspec

from ...engine.cost.budget import BudgetAlert, check_budget
from ...engine.cost.rates import Rates
from ...engine.cost.settings import CapacitySettings, CostSettings
from ...engine.cost.spend import Spend, spend
from ...engine.planner.serving_capacity.prices import Price, packaged_prices
from ...engine.protocol import Frame, Window
from ...engine.protocol.errors import BadInputError
from ...engine.shape.field_errors import FieldError
from ..settings.config import Config

BUDGET_WINDOW = Window.M5
"""What the spend is projected from."""


@dataclass(frozen=True, slots=True)
class Billing:
    """`[cost]`, `[capacity]` and `[prices]` of the configuration."""

    cost: CostSettings = field(default_factory=CostSettings)
    capacity: CapacitySettings = field(default_factory=CapacitySettings)
    prices: Mapping[str, Price] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> "Billing":
        """What a config file says."""
        prices = {gpu: table.price() for gpu, table in config.prices.items()}
        return cls(config.cost, config.capacity, prices)

    def field(self, name: str) -> float | None:
        """What is set in the field `name` of `[cost]` or `[capacity]`."""
        held = self.cost if name in CostSettings.__struct_fields__ else self.capacity
        value: float | None = getattr(held, name)
        return value

    def with_field(self, called: str, name: str, value: float | None) -> "Billing":
        """These with another value in the field `name`. Raises `BadInputError`, which names it as
        it was `called`."""
        cost, capacity = msgspec.structs.asdict(self.cost), msgspec.structs.asdict(self.capacity)
        (cost if name in cost else capacity)[name] = value
        try:
            return replace(
                self,
                cost=msgspec.convert(cost, CostSettings),
                capacity=msgspec.convert(capacity, CapacitySettings),
            )
        except msgspec.ValidationError:
            raise BadInputError(
                f"{called} must be a number above 0, or off, not {value:g}"
            ) from None

    def rates(self, device_name: str, *, on_gpu: bool) -> Rates:
        """The prices of an engine on a device, by the name that its driver gives it."""
        own = self.cost.usd_per_hour
        if own is not None:
            return Rates(usd_per_hour=own, source="as set", settings=self.cost)
        key = gpu_key(device_name) if on_gpu else None
        price = None if key is None else self.prices.get(key)
        if price is not None:
            return Rates(
                usd_per_hour=price.usd_per_hour, source=f"prices.{key}", settings=self.cost
            )
        listed = None if key is None else packaged_prices().get(key)
        if listed is None:
            return Rates(settings=self.cost)
        return Rates(
            usd_per_hour=listed.usd_per_hour,
            source=f"list price: {listed.source}, {listed.date.isoformat()}",
            listed=True,
            settings=self.cost,
        )

    def rates_of(self, frame: Frame) -> Rates:
        """The prices of what a frame is of."""
        return self.rates(frame.device_name, on_gpu=frame.device.startswith("cuda"))

    def spend(self, frame: Frame | None, window: Window) -> Spend | None:
        """What a window cost; `None` where the frame does not tell what was used."""
        usage = None if frame is None else frame.usage.get(window)
        return None if frame is None or usage is None else spend(usage, self.rates_of(frame))

    def budget(self, frame: Frame | None, *, was_over: bool) -> BudgetAlert | None:
        """The budget's alert, after `was_over`; `None` without a budget."""
        projected = self.spend(frame, BUDGET_WINDOW)
        per_hour = None if projected is None else projected.per_hour_usd
        return check_budget(per_hour, self.cost, was_over=was_over)


NO_BILLING = Billing()


@cache
def gpu_key(device_name: str) -> str | None:
    """The planner's key of a GPU; `None` for one that it does not know, and for a part of one,
    whose price is not the whole one's."""
    # Here and not above: the planner's tables, for which the first frame need not wait.
    from ...engine.planner.cost.hardware import find_gpu

    if " MIG " in f"{device_name} ":
        return None
    try:
        return find_gpu(device_name).key
    except FieldError:
        return None
