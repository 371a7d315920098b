"""Production targets as they stand, and their alerts: told beside the engine's own reports."""

from enum import StrEnum

from .message import Message, Part


class TargetName(StrEnum):
    """The targets, in the order in which they are shown. Defined in docs/production.md."""

    E2E = "e2e"
    REQUESTS = "requests"
    GPU = "gpu"
    MEMORY = "memory"
    AVAILABILITY = "availability"
    SAFETY = "safety"
    COST = "cost"
    QUALITY = "quality"
    CONSISTENCY = "consistency"


class TargetStanding(StrEnum):
    """What a target's figure says."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    """There is no figure, or it stands on too little: `TargetFigure.note` says why."""


class Severity(StrEnum):
    """How soon somebody has to look."""

    PAGE = "page"
    TICKET = "ticket"


class Burn(Part, frozen=True, kw_only=True):
    """How fast an error budget is spent over two windows: 1 spends all of it in its period.

    `None`: no request in that window.
    """

    factor: float
    """From here on in both windows there is an alert."""
    long_s: float
    short_s: float
    long: float | None = None
    short: float | None = None


class TargetFigure(Part, frozen=True, kw_only=True):
    """One target over its window. `value` and `limit` are in the target's unit: milliseconds,
    requests per second, US dollars or fractions of 1.

    `samples`: how many requests, seconds, texts, verdicts or repeats the value stands on.
    `budget_left`: the share of the error budget that the period has left, below 0 where more was
    spent; `None` for a target without one, or without traffic.
    """

    name: TargetName
    limit: float
    standing: TargetStanding = TargetStanding.UNKNOWN
    value: float | None = None
    samples: int = 0
    window_s: float | None = None
    """`None`: not over a time, but over all that is kept."""
    note: str = ""
    budget_left: float | None = None
    burns: list[Burn] = []
    alert: Severity | None = None
    """The strongest alert in force."""


class TargetsSample(Message, frozen=True, kw_only=True):
    """All targets at one moment of the client's monotonic clock."""

    at_s: float
    targets: list[TargetFigure]


class TargetAlert(Message, frozen=True, kw_only=True):
    """An alert begins, or with `active` false ends. Times are Unix time."""

    target: TargetName
    severity: Severity
    active: bool
    began_wall_s: float
    wall_s: float
    text: str
    """Target, figures and windows in words."""
    limit: float
    value: float | None = None
