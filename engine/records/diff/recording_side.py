"""What a stretch of a recording has to compare: every request that ended in it, and its curves."""

from ...protocol import FinishedRequest
from ...protocol.errors import BadInputError
from ..columns import figures
from ..engine_gpu import engine_gpu
from ..recording.reader import Recording
from ..recording.stretch import WHOLE, Stretch
from ..recording.tick import Tick
from .metrics import SERIES
from .side import Ended, Side, counted_of, request_samples, settings_of, together
from .snapshot_side import energy_growth, spaced


def recording_side(name: str, recording: Recording, stretch: Stretch = WHOLE) -> Side:
    """A stretch of a recording as a side. Raises `BadInputError` for one that it has not, and
    `RecordingError` where the file is damaged."""
    began_s, ended_s = recording.began_clock_s, recording.ended_clock_s
    first_s = began_s + (stretch.from_s or 0.0)
    last_s = ended_s if stretch.to_s is None else min(began_s + stretch.to_s, ended_s)
    if first_s >= last_s and stretch is not WHOLE:
        raise BadInputError(f"{name} has nothing there: it is {ended_s - began_s:.0f} s long")
    collector = _Collector()
    first, last = recording.tick_at(first_s), recording.tick_at(last_s)
    for tick in recording.ticks(first, last + 1):
        if tick.clock_s >= first_s:
            collector.add(tick)
    return collector.side(name, last_s - first_s, recording)


class _Collector:
    """Takes in tick by tick what is compared."""

    def __init__(self) -> None:
        self._columns: dict[str, list[tuple[float, float]]] = {}
        self._ended: list[Ended] = []
        self._settings: list[dict[str, str]] = []
        self._newest: Tick | None = None

    def add(self, tick: Tick) -> None:
        self._ended += map(_ended, tick.ended)
        if tick.frame is not None:
            self._newest = tick
            told = settings_of(tick.frame)
            if not self._settings or self._settings[-1] != told:
                self._settings.append(told)
        frame = None if self._newest is None else self._newest.frame
        gpu = None if tick.host is None else engine_gpu(frame, tick.host.gpus)
        for name, value in figures(tick.frame, tick.host, gpu).items():
            if value is not None:
                self._columns.setdefault(name, []).append((tick.clock_s, value))

    def side(self, name: str, span_s: float, recording: Recording) -> Side:
        """What there was in all of them."""
        frame = None if self._newest is None else self._newest.frame
        versions = {
            f"version {key}": [text]
            for key, text in recording.facts.items()
            if key in ("prodtop", "python")
        }
        return Side(
            name=name,
            kind="recording",
            span_s=span_s,
            settings={**together(self._settings), **versions},
            series={
                key: [value for _, value in spaced(points)]
                for key, points in self._columns.items()
                if key in SERIES
            },
            requests=request_samples(self._ended),
            counted={} if frame is None else counted_of(frame),
            energy=energy_growth(
                self._columns.get("energy_j", []), self._columns.get("generated_tokens", [])
            ),
        )


def _ended(request: FinishedRequest) -> Ended:
    return Ended(
        failed=request.failed,
        ttft=request.ttft_ms,
        ttfb=request.ttfb_ms,
        tpot=request.tpot_ms,
        e2e=request.e2e_ms,
        queue=request.queue_ms,
    )
