"""The frame: all that the worker tells of one moment."""

from .cache_figures import Cache
from .device_figures import Memory, Roofline
from .load import LoadSpec
from .message import Message
from .model_info import ModelInfo, PrecisionStatus
from .names import PrecisionName, StrategyName
from .request_figures import Accounting, Latency, Queue, StreamView, Throughput
from .spans import Window
from .speculation import Speculation
from .switches import SwitchEffect


class Frame(Message, frozen=True, kw_only=True):
    """Everything the engine knows at one moment: complete in itself, and serializable."""

    sequence: int
    at_s: float
    wall_s: float
    uptime_s: float
    model: ModelInfo
    device: str
    device_name: str
    strategy: StrategyName
    precision: PrecisionName
    precisions: list[PrecisionStatus]
    load: LoadSpec
    throughput: Throughput
    latency: dict[Window, Latency]
    cache: Cache
    queue: Queue
    accounting: Accounting
    memory: Memory
    roofline: Roofline
    max_seqs: int
    switching: str | None = None
    """The switch that begins now, in words: `bf16 → int8: packing weights`. No frame comes during
    it."""
    last_switch: SwitchEffect | None = None
    stream: StreamView | None = None
    generated_tokens_total: int = 0
    speculation: Speculation | None = None
