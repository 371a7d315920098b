"""What an engine's hour costs, for the target on the cost of a request."""

from collections.abc import Callable, Mapping
from functools import cache

from ...engine.protocol import Frame
from ...engine.shape.field_errors import FieldError
from ..settings.config import PriceTable


def price_of(own: Mapping[str, PriceTable]) -> Callable[[Frame], float | None]:
    """From a frame to US dollars per hour of the GPU it is of: the user's price before the list
    price; `None` for one without a price, for a part of one, and on a CPU."""

    def price(frame: Frame) -> float | None:
        if not frame.device.startswith("cuda"):
            return None
        key = _gpu_key(frame.device_name)
        if key is None:
            return None
        return own[key].usd_per_hour if key in own else _listed(key)

    return price


@cache
def _gpu_key(device_name: str) -> str | None:
    # Here and not above: the planner's tables, for which the first frame need not wait.
    from ...engine.planner.cost.hardware import find_gpu

    if " MIG " in f"{device_name} ":
        return None
    try:
        return find_gpu(device_name).key
    except FieldError:
        return None


@cache
def _listed(key: str) -> float | None:
    from ...engine.planner.serving_capacity.prices import packaged_prices

    found = packaged_prices().get(key)
    return None if found is None else found.usd_per_hour
