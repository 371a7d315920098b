"""What one poll of the engine brought, as it is recorded and as it is played again."""

from collections.abc import Sequence

import msgspec

from ...protocol import (
    Event,
    FinishedRequest,
    FinishedSample,
    FleetSample,
    Frame,
    HostSample,
    LiveRequest,
    PastFrames,
    Report,
    RequestsInSystem,
    RequestState,
)
from .sweep_state import SweepState
from .values import MICROS, Tree, rounded, rounded_tree

Trees = list[tuple[str, Tree]]
"""A tick's messages as trees, each with its root."""

_LIVE_FIELDS = LiveRequest.__struct_fields__
_ROUNDED_FIELDS = ("arrival_at_s", "queue_ms", "ttft_ms")
_FIRST_PLACE = 0x30


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """When it was by the wall clock (Unix time), and what the screen passes over.

    `passed_over` are older frames of the same poll, by how many frames before the newest.
    `left_out`: requests that ended and were too many to tell of.
    """

    wall_s: float
    passed_over: list[int] = []
    left_out: int = 0


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One poll: the newest figures of each kind, the requests that ended, and events.

    `clock_s` is on the screen's monotonic clock, by which a recording is played.
    """

    clock_s: float
    poll: Poll
    frame: Frame | None = None
    host: HostSample | None = None
    live: RequestsInSystem | None = None
    ended: list[FinishedRequest] = []
    events: list[Event] = []
    sweeps: list[SweepState] = []
    """What was asked for since the poll before."""

    def reports(self) -> list[Report]:
        """What the poll gave. Older frames are there by their numbers alone."""
        reports: list[Report] = []
        if self.frame is not None:
            reports += [
                msgspec.structs.replace(self.frame, sequence=self.frame.sequence - before)
                for before in self.poll.passed_over
            ]
            reports.append(self.frame)
        reports += [each for each in (self.host, self.live) if each is not None]
        if self.ended or self.poll.left_out:
            reports.append(FinishedSample(requests=self.ended, left_out=self.poll.left_out))
        return [*reports, *self.events]


def live_of(tree: Tree) -> RequestsInSystem:
    """Those in the system, from the tree of `LiveSlots`. Raises `msgspec.ValidationError`."""
    stored = msgspec.convert(tree, _StoredLive)
    try:
        requests = [stored.rows[str(ord(place) - _FIRST_PLACE)] for place in stored.order]
    except KeyError:
        raise msgspec.ValidationError("a request in the system has no row") from None
    return RequestsInSystem(
        at_s=stored.at_s,
        running=stored.running,
        waiting=stored.waiting,
        requests=[LiveRequest(**msgspec.structs.asdict(row)) for row in requests],
    )


class _StoredRow(msgspec.Struct):
    """`LiveRequest`, with the names of its fields."""

    request_id: int
    state: RequestState
    arrival_at_s: float
    prompt_tokens: int | None
    output_tokens: int | None
    max_tokens: int | None
    cached_prompt_tokens: int | None
    queue_ms: float | None
    ttft_ms: float | None
    preemptions: int


class _StoredLive(msgspec.Struct):
    """`RequestsInSystem`, with each request at a place of its own."""

    at_s: float
    running: int
    waiting: int
    order: str
    rows: dict[str, _StoredRow] = {}


class LiveSlots:
    """Gives each request in the system a place that it keeps, so that little changes from tick to
    tick. Places of requests that ended are given away again."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._free: list[int] = []
        self._rows: Tree = {}

    def tree(self, told: RequestsInSystem) -> Tree:
        """The requests at their places, and the order in which they were told: a character each.

        At a place that is free the last request stays: to take it away would be a change.
        """
        ids = {request.request_id for request in told.requests}
        for gone in self._places.keys() - ids:
            self._free.append(self._places.pop(gone))
        self._free.sort(reverse=True)
        order: list[str] = []
        for request in told.requests:
            place = self._places.get(request.request_id)
            if place is None:
                place = self._free.pop() if self._free else len(self._places)
                self._places[request.request_id] = place
            self._rows[str(place)] = {
                name: msgspec.to_builtins(getattr(request, name)) for name in _LIVE_FIELDS
            }
            order.append(chr(_FIRST_PLACE + place))
        return {
            "at_s": told.at_s,
            "running": told.running,
            "waiting": told.waiting,
            "order": "".join(order),
            "rows": dict(self._rows),
        }


def tick_of(
    clock_s: float,
    trees: Trees,
    events: Sequence[Event] = (),
    sweeps: Sequence[SweepState] = (),
    *,
    living: bool = True,
) -> Tick:
    """The tick of its trees, with those in the system if they are wanted. Raises
    `msgspec.ValidationError` where they are no messages."""
    by_root: dict[str, Tree] = {}
    ended: list[FinishedRequest] = []
    for root, tree in trees:
        if root == "ended":
            ended.append(msgspec.convert(tree, FinishedRequest))
        else:
            by_root[root] = tree
    return Tick(
        clock_s=clock_s,
        poll=msgspec.convert(by_root.get("poll"), Poll),
        frame=msgspec.convert(by_root["frame"], Frame) if "frame" in by_root else None,
        host=msgspec.convert(by_root["host"], HostSample) if "host" in by_root else None,
        live=live_of(by_root["live"]) if living and "live" in by_root else None,
        ended=ended,
        events=list(events),
        sweeps=list(sweeps),
    )


def trees_of(tick: Tick, slots: LiveSlots) -> Trees:
    """The trees of a tick, without its events and sweeps."""
    trees: Trees = [("poll", msgspec.to_builtins(tick.poll))]
    if tick.frame is not None:
        trees.append(("frame", msgspec.to_builtins(tick.frame)))
    if tick.host is not None:
        trees.append(("host", msgspec.to_builtins(tick.host)))
    if tick.live is not None:
        trees.append(("live", slots.tree(tick.live)))
    trees += [("ended", msgspec.to_builtins(request)) for request in tick.ended]
    return trees


def as_recorded(report: Report) -> Report:
    """The report with its figures as a recording keeps them: see `values`."""
    match report:
        case Frame() | HostSample():
            return msgspec.convert(rounded_tree(msgspec.to_builtins(report)), type(report))
        case RequestsInSystem():
            rows = [_rounded_row(row) for row in report.requests]
            at_s = rounded(report.at_s, "at_s")
            return msgspec.structs.replace(report, at_s=at_s, requests=rows)
        case FinishedSample():
            return msgspec.structs.replace(
                report,
                requests=[
                    msgspec.convert(rounded_tree(msgspec.to_builtins(each)), FinishedRequest)
                    for each in report.requests
                ],
            )
        case _:
            return report


def _rounded_row(row: LiveRequest) -> LiveRequest:
    fields = {name: rounded(getattr(row, name), name) for name in _ROUNDED_FIELDS}
    return msgspec.structs.replace(row, **fields)


def poll_tick(
    reports: Sequence[Report],
    clock_s: float,
    wall_s: float,
    sweeps: Sequence[SweepState] = (),
) -> Tick:
    """The tick of what one poll reported, its times in whole microseconds."""
    frames = [each for each in reports if isinstance(each, Frame)]
    samples = [each for each in reports if isinstance(each, FinishedSample)]
    newest = frames[-1] if frames else None
    return Tick(
        clock_s=round(clock_s * MICROS) / MICROS,
        poll=Poll(
            wall_s=round(wall_s * MICROS) / MICROS,
            passed_over=[newest.sequence - each.sequence for each in frames[:-1]] if newest else [],
            left_out=sum(each.left_out for each in samples),
        ),
        frame=newest,
        host=next((each for each in reversed(reports) if isinstance(each, HostSample)), None),
        live=next((each for each in reversed(reports) if isinstance(each, RequestsInSystem)), None),
        ended=[request for each in samples for request in each.requests],
        events=[
            each
            for each in reports
            # A fleet is not recorded, nor what was before, but the server that is looked at.
            if not isinstance(
                each,
                Frame | HostSample | FleetSample | PastFrames | RequestsInSystem | FinishedSample,
            )
        ],
        sweeps=list(sweeps),
    )
