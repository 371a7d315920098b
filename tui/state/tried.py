"""The memory of what was tried since the start: every choice of settings with its steady figures.

Fed with frames; nothing in it is measured here.
"""

from collections.abc import Sequence

from ...engine.protocol import Frame, setting_of
from ...engine.records.tried import Choice, Tried

MOST_TRIED = 500
"""Records that are kept; the one that was in use the longest ago goes first."""


def choice_of(frame: Frame) -> Choice | None:
    """What a frame's figures are of; `None` without load, when there is nothing to measure, and
    of another's server."""
    setting = setting_of(frame)
    if setting is None or setting.load.paused:
        return None
    speculation = None if frame.speculation is None else frame.speculation.spec
    return Choice(
        strategy=setting.strategy,
        precision=setting.precision,
        load=setting.load,
        speculation=speculation,
    )


class TriedMemory:
    """One record for each choice of settings, with the newest steady figures it had."""

    def __init__(self) -> None:
        self._records: dict[Choice, Tried] = {}

    def take_in(self, frame: Frame, wall_s: float) -> None:
        """Remember what `frame` says. Until its settings have settled again, figures of an earlier
        time under the same ones stand."""
        settings = choice_of(frame)
        if settings is None or frame.switching is not None:
            return
        # Taken out first: the dict stays in the order of last use.
        known = self._records.pop(settings, None)
        figures = frame.steady or (known.figures if known else None)
        self._records[settings] = Tried(settings=settings, figures=figures, last_seen_wall_s=wall_s)
        while len(self._records) > MOST_TRIED:
            del self._records[next(iter(self._records))]

    def recall(self, records: Sequence[Tried]) -> None:
        """Remember what was tried long ago, the one in use last at the end."""
        self._records.update((record.settings, record) for record in records[-MOST_TRIED:])

    @property
    def records(self) -> tuple[Tried, ...]:
        """Everything that was tried, the one in use last."""
        return tuple(self._records.values())
