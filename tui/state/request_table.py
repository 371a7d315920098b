"""How the table of requests is arranged: order, filter, and the chosen row. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from ...engine.protocol import RequestState
from .requests import RequestRow


class Order(StrEnum):
    """What rows are sorted by, in the order of the columns."""

    ID = "id"
    STATE = "state"
    PROMPT = "prompt"
    OUTPUT = "output"
    CACHED = "cached"
    QUEUE = "queue"
    TTFT = "TTFT"
    TPOT = "TPOT"
    E2E = "E2E"
    REASON = "end"


class Shown(StrEnum):
    """Which rows are shown."""

    ALL = "all"
    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"


STATES: Mapping[Shown, frozenset[RequestState]] = {
    Shown.ALL: frozenset(RequestState),
    Shown.RUNNING: frozenset({RequestState.PREFILL, RequestState.DECODE, RequestState.UNSTARTED}),
    Shown.WAITING: frozenset({RequestState.WAITING, RequestState.PREEMPTED}),
    Shown.FINISHED: frozenset({RequestState.FINISHED}),
    Shown.FAILED: frozenset({RequestState.FAILED}),
}

_PLACES = {state: place for place, state in enumerate(RequestState)}

_VALUES: Mapping[Order, Callable[[RequestRow], float | str | None]] = {
    Order.ID: lambda row: row.request_id,
    Order.STATE: lambda row: _PLACES[row.state],
    Order.PROMPT: lambda row: row.prompt_tokens,
    Order.OUTPUT: lambda row: row.output_tokens,
    Order.CACHED: lambda row: row.cached_tokens,
    Order.QUEUE: lambda row: row.queue_ms,
    Order.TTFT: lambda row: row.ttft_ms,
    Order.TPOT: lambda row: row.tpot_ms,
    Order.E2E: lambda row: row.e2e_ms,
    Order.REASON: lambda row: row.reason or None,
}


@dataclass(frozen=True, slots=True)
class TableState:
    """The user's choices. `chosen` is the key of a row, which it follows wherever it moves."""

    order: Order = Order.ID
    descending: bool = True
    """The largest first; of ids, which follow the arrivals, the newest."""
    shown: Shown = Shown.ALL
    chosen: str | None = None

    def sorted_by(self, order: Order) -> "TableState":
        """By another column, the largest first; by the same one the other way round."""
        if order is self.order:
            return replace(self, descending=not self.descending)
        return replace(self, order=order, descending=True)

    def next_order(self) -> "TableState":
        return replace(self, order=_after(self.order), descending=True)

    def next_shown(self) -> "TableState":
        return replace(self, shown=_after(self.shown))

    def moved(self, rows: Sequence[RequestRow], steps: int) -> "TableState":
        """The choice some rows on; from none, the first row, or with steps back the last."""
        if not rows:
            return replace(self, chosen=None)
        place = self.place(rows)
        if place is None:
            place = 0 if steps > 0 else len(rows) - 1
        else:
            place = min(max(0, place + steps), len(rows) - 1)
        return replace(self, chosen=rows[place].key)

    def choosing(self, key: str) -> "TableState":
        return replace(self, chosen=key)

    def unchosen(self) -> "TableState":
        return replace(self, chosen=None)

    def place(self, rows: Sequence[RequestRow]) -> int | None:
        """Where the chosen row stands; `None` where it is not among them."""
        return next((place for place, row in enumerate(rows) if row.key == self.chosen), None)

    def arranged(self, rows: Sequence[RequestRow]) -> list[RequestRow]:
        """The rows that are shown, in order; those without a value come last either way."""
        states, value_of = STATES[self.shown], _VALUES[self.order]
        # Ids are given in the order of arrival: rows of equal value keep the newest first.
        kept = sorted(
            (row for row in rows if row.state in states),
            key=lambda row: (row.worker, row.request_id),
            reverse=True,
        )
        if self.order is Order.ID:
            return kept if self.descending else kept[::-1]
        known = [row for row in kept if value_of(row) is not None]
        unknown = [row for row in kept if value_of(row) is None]
        known.sort(key=lambda row: _comparable(value_of(row)), reverse=self.descending)
        return known + unknown


def _comparable(value: float | str | None) -> tuple[float, str]:
    return (0.0, value) if isinstance(value, str) else (value or 0.0, "")


_Choice = TypeVar("_Choice", bound=StrEnum)


def _after(choice: _Choice) -> _Choice:
    """The next of its kind, round and round."""
    every = list(type(choice))
    return every[(every.index(choice) + 1) % len(every)]
