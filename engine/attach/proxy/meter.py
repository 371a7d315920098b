"""The figures of what passes the proxy, over the usual windows, from the engine's own meters."""

from collections.abc import Iterable

from ...metrics.attainment import AttainmentMeter
from ...metrics.latency import LatencyWindows
from ...metrics.latency_counts import LatencyCounter
from ...metrics.little import LittleMeter
from ...metrics.steadiness import unsteady
from ...metrics.windows import WindowedCounter
from ...protocol import (
    RATE_SPAN_S,
    WINDOW_SECONDS,
    Accounting,
    Attainment,
    Averages,
    Latency,
    LatencyCounts,
    Queue,
    SloSpec,
    Window,
)
from .exchange import Exchange

MOST_REASONS = 8
OTHER_REASONS = "other reasons"
_SPANS_S = {window: WINDOW_SECONDS.get(window, float("inf")) for window in Window}
"""Nothing is switched here: since the last switch is since the beginning."""


class ProxyMeter:
    """Counts requests and their pieces since `start_s`. All times are monotonic, in seconds."""

    def __init__(self, start_s: float, slo: SloSpec | None = None) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, capacity_s=WINDOW_SECONDS[Window.M5])

        self._arrivals, self._ended = counter(), counter()
        self._pieces, self._whole_tokens = counter(), counter()
        self._told_tokens, self._told_pieces = counter(), counter()
        """Of streams that told how many tokens they had: those, and their pieces."""
        self._prompt_tokens = counter()
        self._submitted = self._finished = self._failed = 0
        self._reasons: dict[str, int] = {}
        self._latency = LatencyWindows()
        self._latency_counts = LatencyCounter()
        self._little = LittleMeter(start_s)
        self._attainment = AttainmentMeter(start_s, slo or SloSpec())
        self.generated_tokens = 0

    def set_slo(self, slo: SloSpec, now_s: float) -> None:
        """Judge by these limits from now on."""
        if slo != self._attainment.slo:
            self._attainment.set_slo(slo, now_s)

    def on_arrival(self, now_s: float) -> None:
        """A request came."""
        self._submitted += 1
        self._arrivals.add(1, now_s)
        self._little.on_arrival(now_s)

    def on_pieces(self, pieces: int, now_s: float) -> None:
        """Pieces with text passed."""
        self._pieces.add(pieces, now_s)

    def on_end(self, exchange: Exchange, now_s: float) -> None:
        """A request ended, somehow."""
        self._little.on_departure(now_s, now_s - exchange.arrival_at_s)
        answer = exchange.answer
        if answer is not None and answer.told_tokens is not None:
            if answer.streamed:
                self._told_tokens.add(answer.told_tokens, now_s)
                self._told_pieces.add(answer.pieces, now_s)
            else:
                self._whole_tokens.add(answer.told_tokens, now_s)
        self.generated_tokens += exchange.num_output_tokens
        if exchange.failure is not None:
            self._failed += 1
            reason = exchange.failure
            if reason not in self._reasons and len(self._reasons) >= MOST_REASONS:
                reason = OTHER_REASONS
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
            self._attainment.on_failed(now_s)
            return
        self._finished += 1
        self._ended.add(1, now_s)
        self._prompt_tokens.add(exchange.prompt_tokens or 0, now_s)
        latency = exchange.latency()
        self._latency.record(latency, now_s, exchange.arrival_at_s)
        self._latency_counts.record(latency)
        self._attainment.on_finished(latency, now_s)

    # Figures

    def latency(self, now_s: float) -> dict[Window, Latency]:
        """The percentiles over every window."""
        return self._latency.all_windows(now_s)

    def latency_counts(self) -> LatencyCounts:
        return self._latency_counts.counts()

    def attainment(self, in_flight: Iterable[Exchange], now_s: float) -> dict[Window, Attainment]:
        """Goodput and attainment over every window, by the limits that were set."""
        return self._attainment.all_windows(in_flight, _SPANS_S, now_s)

    def accounting(self) -> Accounting:
        """Where every request went."""
        return Accounting(
            submitted=self._submitted,
            finished=self._finished,
            failed=self._failed,
            in_system=self.in_system,
        )

    @property
    def failures(self) -> dict[str, int]:
        """Those that failed, by reason."""
        return dict(self._reasons)

    @property
    def in_system(self) -> int:
        return self._submitted - self._finished - self._failed

    def tokens_per_piece(self, now_s: float) -> float | None:
        """How many tokens a piece of a stream stood for in the last five minutes; `None` where no
        stream told."""
        span_s = WINDOW_SECONDS[Window.M5]
        tokens, _ = self._told_tokens.over(span_s, now_s)
        pieces, _ = self._told_pieces.over(span_s, now_s)
        return tokens / pieces if pieces else None

    def output_tok_s(self, now_s: float, span_s: float = RATE_SPAN_S) -> float:
        """Tokens per second: pieces of streams, each for as many tokens as they were seen to stand
        for (one where none told), and whole answers as they end."""
        pieces_s = self._pieces.rate(span_s, now_s) * (self.tokens_per_piece(now_s) or 1.0)
        return pieces_s + self._whole_tokens.rate(span_s, now_s)

    def requests_per_s(self, now_s: float, span_s: float = RATE_SPAN_S) -> float:
        return self._ended.rate(span_s, now_s)

    def arrivals_per_s(self, now_s: float, span_s: float = RATE_SPAN_S) -> float:
        return self._arrivals.rate(span_s, now_s)

    def averages(self, now_s: float) -> dict[Window, Averages]:
        """What the headlines show, over every window."""
        return {
            window: Averages(
                decode_tok_s=self.output_tok_s(now_s, span_s),
                requests_per_s=self.requests_per_s(now_s, span_s),
            )
            for window, span_s in _SPANS_S.items()
        }

    def queue(self, now_s: float) -> Queue:
        """All in the system count as running: what waits in the server is not seen from outside."""
        in_system = self._little.mean_in_system(now_s)
        residence = self._little.rate_times_residence(now_s)
        return Queue(
            running=self.in_system,
            waiting=None,
            mean_in_system=in_system,
            arrival_rate_times_residence=residence,
            unsteady=unsteady(in_system, residence),
            preemptions=None,
        )
