"""A trace as the load: each request arrives when the trace says, whoever is ready for it."""

from dataclasses import dataclass

import numpy as np

from ..protocol import LoadSpec, TraceSpec
from ..protocol.bounds import check_load
from ..protocol.errors import BadInputError
from ..traces.trace import Ints, Trace
from .counted_arrivals import CountedArrivals
from .generator import MOST_DUE
from .sequence import Arrival
from .synthetic import SyntheticPrompt

_ROUND_WITHOUT_SPAN_S = 1.0
"""How long a round of a loop takes whose requests all come at once."""
_MOST_ROUNDS = 1024
"""Rounds that one look counts at most, some milliseconds: a short trace may be played fast."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """Requests that were made shorter to fit into the context."""

    prompts: int = 0
    outputs: int = 0


class TraceLoad(CountedArrivals):
    """Plays `trace`, which is the part of the file that `spec.trace` asks for, from `now_s` on.

    Open loop: an arrival is the trace's moment on a clock that goes `speed` times as fast, whenever
    the worker looks; a pause stops that clock, and another speed changes its pace from then on. A
    loop begins again one mean gap after the last arrival. `room_tokens`: what prompt and output
    may have together. An output that alone is longer is cut to what leaves one prompt token; then
    of a prompt its beginning is kept, which is what prompts share.
    With a `limit`, that many requests are made and no more. Raises BadInputError for an impossible
    spec.
    """

    def __init__(
        self,
        spec: LoadSpec,
        trace: Trace,
        now_s: float,
        room_tokens: int,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        check_load(spec)
        if spec.trace is None or room_tokens < 2:
            raise BadInputError("a trace needs a context of two tokens or more")
        self.spec = spec
        self._trace = trace
        self._lengths = _fitted(trace, room_tokens)
        self._limit = limit
        self._round_s = _round_s(trace)
        self._anchor_at_s, self._anchor_s = now_s, 0.0
        """A moment of the worker's clock, and that of the trace's."""
        self._clipped = Clipped()

    @property
    def exhausted(self) -> bool:
        """Whether the limit is reached, or the end of a trace that is not looped."""
        return self._left() == 0

    @property
    def entries(self) -> int:
        """Requests of the trace."""
        return len(self._trace)

    @property
    def clipped(self) -> Clipped:
        """Of the requests that were taken, how many were made shorter."""
        return self._clipped

    @property
    def will_clip(self) -> Clipped:
        """Of the trace's requests, how many are longer than fits."""
        prompts, outputs = self._lengths
        return Clipped(
            int(np.count_nonzero(prompts < self._trace.prompt_tokens)),
            int(np.count_nonzero(outputs < self._trace.output_tokens)),
        )

    def arrive(self, now_s: float, room: int | None = None) -> None:
        """Let arrive what is due by `now_s`, `MOST_DUE` requests at most.

        `room` is how many may wait to be taken, those from earlier looks too; the rest of them are
        rejected. `None`: all may.
        """
        if self.spec.paused:
            return
        most = min(MOST_DUE, self._left())
        position_s = self._position_s(now_s)
        for _ in range(_MOST_ROUNDS):
            played, index = divmod(self._made, len(self._trace))
            base_s = played * self._round_s
            end = int(np.searchsorted(self._trace.arrival_s, position_s - base_s, side="right"))
            due = min(end - index, most)
            if due <= 0:
                return
            kept = self._fitting(due, room)
            offsets_s = base_s + self._trace.arrival_s[index : index + kept]
            times_s = self._anchor_at_s + (offsets_s - self._anchor_s) / self._speed
            # The way back may round up: nothing has arrived after now.
            self._come(np.minimum(times_s, now_s).tolist(), kept, due)
            most -= due

    def take(self, now_s: float) -> Arrival | None:
        """The next request that has arrived by `now_s`, in order of arrival; `None` if none has."""
        if not self._arrived:
            return None
        number, at_s = self._arrived.popleft()
        return self._draw(number, at_s)

    def next_due_s(self) -> float | None:
        """When the next request arrives; `None` where none will."""
        if self._arrived:
            return self._arrived[0][1]
        if self.spec.paused or self.exhausted:
            return None
        played, index = divmod(self._made, len(self._trace))
        offset_s = played * self._round_s + float(self._trace.arrival_s[index])
        return self._anchor_at_s + (offset_s - self._anchor_s) / self._speed

    def on_done(self, now_s: float) -> None:
        """A request ended, well or not. Raises ValueError where none is in flight."""
        self._end_one()

    def on_refused(self, now_s: float) -> None:
        """A request was refused at once; nobody asks again. Raises as `on_done` does."""
        self.on_done(now_s)

    def set_spec(self, spec: LoadSpec, now_s: float) -> None:
        """Change speed, pause or sampling from `now_s` on; the same trace goes on where it is.

        Raises BadInputError for an impossible spec, ValueError for another trace.
        """
        check_load(spec)
        if recording_of(spec) != recording_of(self.spec):
            raise ValueError("another trace is another load")
        self._anchor_s, self._anchor_at_s = self._position_s(now_s), now_s
        self.spec = spec

    @property
    def _speed(self) -> float:
        return 1.0 if self.spec.trace is None else self.spec.trace.speed

    def _position_s(self, now_s: float) -> float:
        """Where the trace's clock stands."""
        if self.spec.paused:
            return self._anchor_s
        return self._anchor_s + max(0.0, now_s - self._anchor_at_s) * self._speed

    def _left(self) -> int:
        """Requests that are still to be made; of an endless loop as many as one look takes."""
        left = MOST_DUE if self.spec.trace and self.spec.trace.loop else self.entries - self._made
        return left if self._limit is None else max(0, min(left, self._limit - self._made))

    def _draw(self, number: int, at_s: float) -> Arrival:
        played, index = divmod(number, len(self._trace))
        entry = self._trace.entry(index)
        prompts, outputs = self._lengths
        prompt_tokens, output_tokens = int(prompts[index]), int(outputs[index])
        self._clipped = Clipped(
            self._clipped.prompts + (prompt_tokens < entry.prompt_tokens),
            self._clipped.outputs + (output_tokens < entry.output_tokens),
        )
        return Arrival(
            arrival_at_s=at_s,
            number=number,
            prompt_index=None,
            text=f"{prompt_tokens:,} synthetic tokens: request {index + 1:,} of {self._trace.name}",
            max_tokens=output_tokens,
            prompt_tokens=prompt_tokens,
            temperature=self.spec.temperature,
            top_p=self.spec.top_p,
            # As long as it was, whatever this model would say.
            ignore_eos=True,
            seed=None,
            synthetic=SyntheticPrompt(
                tokens=prompt_tokens,
                number=index,
                round=played,
                hash_ids=entry.hash_ids or (),
                block_tokens=self._trace.block_tokens or 0,
            ),
        )


def recording_of(spec: LoadSpec) -> TraceSpec | None:
    """Which requests a load plays, whatever its speed; `None` where it makes its own."""
    if spec.trace is None:
        return None
    trace = spec.trace
    return TraceSpec(
        path=trace.path,
        loop=trace.loop,
        start_s=trace.start_s,
        most_requests=trace.most_requests,
    )


def _fitted(trace: Trace, room_tokens: int) -> tuple[Ints, Ints]:
    """Prompt and output tokens of each entry `[n]`, once they fit together."""
    outputs = np.minimum(trace.output_tokens, room_tokens - 1)
    return np.minimum(trace.prompt_tokens, room_tokens - outputs), outputs


def _round_s(trace: Trace) -> float:
    """From one beginning of a loop to the next."""
    gaps = len(trace) - 1
    last_s = float(trace.arrival_s[-1])
    mean_gap_s = trace.span_s / gaps if gaps else 0.0
    return last_s + mean_gap_s if last_s + mean_gap_s > 0 else _ROUND_WITHOUT_SPAN_S
