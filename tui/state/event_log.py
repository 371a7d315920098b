"""The event log: what happened, in lines, where a held key is one line and not thirty."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...engine.protocol import Switched
from .moment import LogLine

MAX_LINES = 2_000
MERGED_WITHIN_S = 1.0
"""What comes again so soon after the last time is told in the same line."""

WALKED = frozenset({"load", "precision", "speculation"})
"""Kinds of switches that a held key walks through. Of strategies each has a key of its own."""

_LOOKED_BACK = 4
"""Lines among which the last time is looked for: a switch may bring a note with it."""

LEAST_TOOK_S = 0.05
"""What a switch took is told from here on."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line, and what it is made of: of a switch, its kind and ends; else `old` is its text."""

    line: LogLine
    kind: str
    old: str
    new: str = ""
    times: int = 1
    took_s: float = 0.0


class EventLog:
    """The newest `MAX_LINES` lines, oldest first."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lines: tuple[LogLine, ...] | None = None

    @property
    def lines(self) -> tuple[LogLine, ...]:
        if self._lines is None:
            self._lines = tuple(entry.line for entry in self._entries)
        return self._lines

    def say(self, line: LogLine) -> None:
        """Add a line; one that says the same as a moment ago counts with that one."""
        last = self._taken(line.wall_s, lambda entry: not entry.new and entry.old == line.text)
        if last is None:
            self._add(_Entry(line, line.kind, line.text))
            return
        times = last.times + 1
        shown = replace(line, text=f"{line.text} (×{times})")
        self._add(replace(last, line=shown, times=times))

    def switched(self, event: Switched, wall_s: float, clock_shift_s: float) -> None:
        """Add a switch; one that goes on from where the last of its kind ended continues it."""
        # A switch that takes seconds comes that much later than its key.
        last = self._taken(wall_s - event.took_s, lambda entry: _continues(event, entry))
        entry = _Entry(
            LogLine(wall_s, "", "switch", clock_shift_s),
            event.kind,
            event.old if last is None else last.old,
            event.new,
            1 if last is None else last.times + 1,
            event.took_s + (0.0 if last is None else last.took_s),
        )
        self._add(replace(entry, line=replace(entry.line, text=_switch_text(entry))))

    def set_back(self, moved_s: float) -> None:
        """The clock of the history was moved; the time of day that each line names stays."""
        self._lines = None
        self._entries = [
            replace(
                entry,
                line=replace(
                    entry.line, wall_s=entry.line.wall_s + moved_s, clock_shift_s=-moved_s
                ),
            )
            for entry in self._entries
        ]

    def _taken(self, wall_s: float, same: Callable[[_Entry], bool]) -> _Entry | None:
        """The newest entry that is the `same` and not old, taken out of the log."""
        for index in range(len(self._entries) - 1, -1, -1)[:_LOOKED_BACK]:
            entry = self._entries[index]
            if same(entry) and wall_s - entry.line.wall_s <= MERGED_WITHIN_S:
                return self._entries.pop(index)
        return None

    def _add(self, entry: _Entry) -> None:
        self._lines = None
        self._entries.append(entry)
        del self._entries[:-MAX_LINES]


def _continues(event: Switched, entry: _Entry) -> bool:
    walked = event.kind in WALKED and event.kind == entry.kind
    return walked and entry.new == event.old


def _switch_text(entry: _Entry) -> str:
    """`load: 8 users → 64 users, 7 changes`."""
    took = f" in {entry.took_s:.1f} s" if entry.took_s >= LEAST_TOOK_S else ""
    times = f", {entry.times} changes" if entry.times > 1 else ""
    ends = f"{entry.old} again" if entry.old == entry.new else f"{entry.old} → {entry.new}"
    return f"{entry.kind}: {ends}{took}{times}"
