"""Who may send what, and how it becomes bytes."""

import msgspec

from .bench import BenchDone, CellResult, CellSkipped
from .commands import (
    InspectRequest,
    RunBench,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    Shutdown,
    StartAgain,
)
from .events import (
    ChildDied,
    ChildStarted,
    Crash,
    Fault,
    FinishedSample,
    Note,
    Progress,
    Ready,
    Switched,
)
from .frame import Frame
from .probe import HostSample, WatchProcess
from .requests import RequestsInSystem, RequestTimeline

Command = (
    SetStrategy
    | SetPrecision
    | SetLoad
    | SetSpeculation
    | RunBench
    | InspectRequest
    | Shutdown
    | StartAgain
    | WatchProcess
)
"""Screen to worker or probe."""
Event = (
    Ready
    | Progress
    | Switched
    | FinishedSample
    | RequestTimeline
    | Fault
    | Crash
    | Note
    | CellResult
    | CellSkipped
    | BenchDone
    | ChildDied
    | ChildStarted
)
Report = Frame | RequestsInSystem | HostSample | Event
"""Whatever reaches the screen."""

ENCODER = msgspec.msgpack.Encoder()
REPORT_DECODER: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
COMMAND_DECODER: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
