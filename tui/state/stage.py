"""Where a measurement that was asked for stands: a sweep's, or one of quality."""

from enum import Enum


class Stage(Enum):
    """A snapshot keeps the values."""

    NONE = "none"
    RUNNING = "running"
    CANCELLING = "cancelling"
    """It is to stop, and the worker has not said that it did."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
