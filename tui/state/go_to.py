"""What was typed after "go to": a time of day, a step from here, or a time since the beginning."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from ...engine.protocol.errors import BadInputError
from ..style.formatting import duration

EXPECTED = "14:03, 14:03:20, -5m, +30s, 00:12:31 since the beginning, start or end"
_STEP = re.compile(r"([+-])((?:\d+(?:\.\d+)?[dhms])+|\d+(?::\d{1,2}){1,2})", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])", re.ASCII)
_CLOCK = re.compile(r"(\d{1,4}):(\d{1,2})(?::(\d{1,2}))?", re.ASCII)
_UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Session:
    """What there is to go to, and where one stands, on the clock of the history. `clock_shift_s`
    leads from there to the time of day."""

    begin_s: float
    end_s: float
    at_s: float
    clock_shift_s: float = 0.0


def moment_asked(text: str, session: Session) -> float:
    """The moment that was asked for. A step beyond an end of the session stops there.

    `hh:mm:ss` is a time of day where the session has that, the nearest one; else it is since the
    beginning. Raises `BadInputError` for what is neither, or not within the session.
    """
    typed = "".join(text[:MOST_CHARACTERS].split()).casefold()
    if typed in ("start", "end"):
        return session.begin_s if typed == "start" else session.end_s
    step = _STEP.fullmatch(typed)
    if step is not None:
        passed_s = _seconds(step[2])
        moved_s = session.at_s + (passed_s if step[1] == "+" else -passed_s)
        return min(max(moved_s, session.begin_s), session.end_s)
    clock = _CLOCK.fullmatch(typed)
    if clock is None:
        raise BadInputError(f"no time: give {EXPECTED}")
    found = _times_of_day(clock, session)
    if found:
        return min(found, key=lambda at_s: abs(at_s - session.at_s))
    since_s = session.begin_s + _since_beginning(clock)
    if since_s <= session.end_s:
        return since_s
    begin, end = (_day_time(at_s, session) for at_s in (session.begin_s, session.end_s))
    length = duration(session.end_s - session.begin_s)
    raise BadInputError(f"not within what there is: {begin:%H:%M:%S} to {end:%H:%M:%S}, {length}")


def _seconds(text: str) -> float:
    """`1h30m`, `2:30` (minutes and seconds), `1:00:00`."""
    if ":" in text:
        parts = [int(part) for part in text.split(":")]
        return float(sum(part * 60**place for place, part in enumerate(reversed(parts))))
    return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))


def _since_beginning(clock: "re.Match[str]") -> float:
    if clock[3] is None:
        return int(clock[1]) * 60.0 + int(clock[2])
    return int(clock[1]) * 3600.0 + int(clock[2]) * 60.0 + int(clock[3])


def _day_time(at_s: float, session: Session) -> datetime:
    try:
        return datetime.fromtimestamp(at_s + session.clock_shift_s).astimezone()
    except (OverflowError, OSError, ValueError):
        raise BadInputError("this session has no time of day: give a step, as -5m") from None


def _times_of_day(clock: "re.Match[str]", session: Session) -> list[float]:
    """When within the session it was that time of day. A minute that is asked for without its
    second may have begun before the session."""
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return []
    first, last = (_day_time(at_s, session).date() for at_s in (session.begin_s, session.end_s))
    found = []
    day = first
    while day <= last:
        named = datetime.combine(day, time(hour, minute, second))
        # The hour that clocks are set back is there twice.
        times_s = {named.replace(fold=fold).timestamp() for fold in (0, 1)}
        found += [at_s - session.clock_shift_s for at_s in times_s]
        day += timedelta(days=1)
    begin_s = session.begin_s
    within_s = 60.0 if clock[3] is None else 1.0
    return [max(at_s, begin_s) for at_s in found if begin_s - within_s < at_s <= session.end_s]
