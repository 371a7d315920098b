"""What runs of measurements (quality, comparisons) tell the event log and the charts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A line for the event log, and a mark for the charts where one is due. `answer`: it is what a
    key led to."""

    text: str
    mark: str = ""
    failed: bool = False
    answer: bool = True
