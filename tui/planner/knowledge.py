"""What the form is read with beside its texts: the served model, prices, calibrations."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...engine.planner.calibrate.saved import Saved, load_saved
from ...engine.planner.cost.calibration import Calibration
from ...engine.planner.serving_capacity.prices import Price, packaged_prices
from ...engine.shape.field_errors import FieldError
from ...engine.shape.model_shape import ModelShape


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`served` is the model that the engine serves, `prices` are by GPU key, and `saved` holds what
    was calibrated on this user's machines. `fault` says why that could not be read."""

    served: ModelShape | None = None
    prices: Mapping[str, Price] = field(default_factory=packaged_prices)
    saved: Saved | None = None
    fault: str | None = None

    @property
    def calibrations(self) -> Mapping[str, Calibration]:
        """Constants that were measured, by GPU key."""
        return self.saved.calibrations if self.saved is not None else {}

    def origin(self, gpu: str) -> str:
        """Which constants a plan for a GPU type uses."""
        if self.saved is not None and gpu in self.saved.calibrations:
            return f"calibrated on {self.saved.origins.get(gpu, 'this machine')}"
        return "packaged constants"


def gather(served: ModelShape | None, own_prices: Mapping[str, Price]) -> Knowledge:
    """What there is to know now; the user's own prices go before the packaged ones."""
    prices = {**packaged_prices(), **own_prices}
    try:
        return Knowledge(served, prices, load_saved())
    except FieldError as error:
        return Knowledge(served, prices, fault=error.reason)
