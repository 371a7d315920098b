"""The messages that cross process boundaries.

The screen knows these types and nothing else of the engine. Each is a msgspec struct, tagged by
its name, sent as length-prefixed msgpack. `None` means "this engine cannot say": a reader
shows `--` for it and never zero.

Two clocks: `*_at_s` fields are on the sender's monotonic clock; `wall_s` is Unix time.
Rates are per second over the sender's last `RATE_SPAN_S`, unless a field says otherwise.

`frame` is where to begin reading: all that the screen shows hangs on it. `wire` says who may send
what. Everyone else imports from here and not from the files.
"""

from .bench import BenchDone, BenchSpec, CellMemory, CellResult, CellSkipped, Distribution
from .cache_figures import Blocks, Cache, HitRates
from .commands import RunBench, SetLoad, SetPrecision, SetSpeculation, SetStrategy, Shutdown
from .device_figures import Bound, Memory, Roofline, Verdict
from .events import (
    ChildDied,
    ChildStarted,
    Fault,
    FinishedRequest,
    FinishedSample,
    Note,
    Progress,
    Ready,
)
from .frame import Frame
from .load import LoadSpec
from .message import Message, Part
from .model_info import ModelInfo, PrecisionStatus
from .names import PrecisionName, StrategyName
from .probe import GpuSample, HostSample, WatchProcess
from .request_figures import Accounting, Latency, Percentiles, Queue, StreamView, Throughput
from .spans import FRAME_INTERVAL_S, PROBE_INTERVAL_S, RATE_SPAN_S, WINDOW_SECONDS, Window
from .speculation import Speculation, SpeculationSpec
from .switches import Summary, Switched, SwitchEffect
from .wire import COMMAND_DECODER, ENCODER, REPORT_DECODER, Command, Event, Report

__all__ = [
    "COMMAND_DECODER",
    "ENCODER",
    "FRAME_INTERVAL_S",
    "PROBE_INTERVAL_S",
    "RATE_SPAN_S",
    "REPORT_DECODER",
    "WINDOW_SECONDS",
    "Accounting",
    "BenchDone",
    "BenchSpec",
    "Blocks",
    "Bound",
    "Cache",
    "CellMemory",
    "CellResult",
    "CellSkipped",
    "ChildDied",
    "ChildStarted",
    "Command",
    "Distribution",
    "Event",
    "Fault",
    "FinishedRequest",
    "FinishedSample",
    "Frame",
    "GpuSample",
    "HitRates",
    "HostSample",
    "Latency",
    "LoadSpec",
    "Memory",
    "Message",
    "ModelInfo",
    "Note",
    "Part",
    "Percentiles",
    "PrecisionName",
    "PrecisionStatus",
    "Progress",
    "Queue",
    "Ready",
    "Report",
    "Roofline",
    "RunBench",
    "SetLoad",
    "SetPrecision",
    "SetSpeculation",
    "SetStrategy",
    "Shutdown",
    "Speculation",
    "SpeculationSpec",
    "StrategyName",
    "StreamView",
    "Summary",
    "SwitchEffect",
    "Switched",
    "Throughput",
    "Verdict",
    "WatchProcess",
    "Window",
]
