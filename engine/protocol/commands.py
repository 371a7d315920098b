"""What the screen tells the worker to do."""

from .bench import BenchSpec
from .load import LoadSpec
from .message import Message
from .quality import QualitySpec
from .settings import EngineChanges, PrecisionName, SpeculationSpec, StrategyName
from .slo import SloSpec


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


class SetMaxSeqs(Message, frozen=True, kw_only=True):
    """Run at most so many sequences at once, up to what the engine was built for."""

    max_seqs: int


class SetSlo(Message, frozen=True, kw_only=True):
    """Judge requests by these limits from now on."""

    slo: SloSpec


class RunBench(Message, frozen=True, kw_only=True):
    """Measure cells; the live load stops meanwhile.

    With `hold` it stays set aside afterwards, until `StopBench` comes, or no other bench for long.
    """

    spec: BenchSpec
    hold: bool = False


class StopBench(Message, frozen=True, kw_only=True):
    """Measure no more cells: the one under way is abandoned, and the live load goes on."""


class RunQuality(Message, frozen=True, kw_only=True):
    """Measure the quality of precisions, between the steps of whatever is served; `None` stops."""

    spec: QualitySpec | None


class InspectRequest(Message, frozen=True, kw_only=True):
    """Tell the timeline of one request, anew while it is in the system; `None` ends that."""

    request_id: int | None


class StartAgain(Message, frozen=True, kw_only=True):
    """Start the children that were given up. For the client: it is not passed on to them."""


class StartAnew(Message, frozen=True, kw_only=True):
    """End the engine and start it with other options. For the client, as `StartAgain`."""

    changes: EngineChanges


class Drain(Message, frozen=True, kw_only=True):
    """Let the server take no new request, and end once those in flight have ended, or `limit_s`
    have passed. Answered by `Drained`."""

    limit_s: float


class Shutdown(Message, frozen=True, kw_only=True):
    """End cleanly."""
