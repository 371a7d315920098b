"""What the screen tells the worker to do."""

from .bench import BenchSpec
from .message import Message
from .settings import LoadSpec, PrecisionName, SpeculationSpec, StrategyName


class SetStrategy(Message, frozen=True, kw_only=True):
    """Serve under another strategy from the next step on."""

    name: StrategyName


class SetPrecision(Message, frozen=True, kw_only=True):
    """Serve at another precision: running requests are resumed under the new weights."""

    name: PrecisionName


class SetLoad(Message, frozen=True, kw_only=True):
    """Replace the load from now on; requests in the system stay."""

    load: LoadSpec


class SetSpeculation(Message, frozen=True, kw_only=True):
    """Draft tokens from the next step on, or not at all."""

    spec: SpeculationSpec | None


class RunBench(Message, frozen=True, kw_only=True):
    """Measure cells; the live load stops meanwhile."""

    spec: BenchSpec


class InspectRequest(Message, frozen=True, kw_only=True):
    """Tell the timeline of one request, anew while it is in the system; `None` ends that."""

    request_id: int | None


class StartAgain(Message, frozen=True, kw_only=True):
    """Start the children that were given up. For the client: it is not passed on to them."""


class Shutdown(Message, frozen=True, kw_only=True):
    """End cleanly."""
