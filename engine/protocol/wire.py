"""Who may send what, and how it becomes bytes."""

import msgspec

from .attached import ServerBack, ServerDown, ServerProcess
from .bench import BenchDone, CellResult, CellSkipped
from .commands import (
    Drain,
    InspectRequest,
    RunBench,
    RunQuality,
    SetLoad,
    SetMaxSeqs,
    SetPrecision,
    SetSlo,
    SetSpeculation,
    SetStrategy,
    Shutdown,
    StartAgain,
    StartAnew,
    StopBench,
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
from .quality import ErrorReport, LevelQuality, LevelSkipped, QualityDone
from .requests import RequestsInSystem, RequestTimeline
from .server_events import Drained, LinkLost, ServerListening, ServerSample
from .targets import TargetAlert, TargetsSample

Command = (
    SetStrategy
    | SetPrecision
    | SetLoad
    | SetSpeculation
    | SetMaxSeqs
    | SetSlo
    | RunBench
    | StopBench
    | RunQuality
    | InspectRequest
    | Drain
    | Shutdown
    | StartAgain
    | StartAnew
    | WatchProcess
)
"""Screen to worker, probe or server."""
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
    | ErrorReport
    | LevelQuality
    | LevelSkipped
    | QualityDone
    | ServerListening
    | ServerSample
    | LinkLost
    | Drained
    | TargetsSample
    | TargetAlert
    | ServerDown
    | ServerBack
    | ServerProcess
    | ChildDied
    | ChildStarted
)
Report = Frame | RequestsInSystem | HostSample | Event
"""Whatever reaches the screen."""

ENCODER = msgspec.msgpack.Encoder()
REPORT_DECODER: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
COMMAND_DECODER: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
