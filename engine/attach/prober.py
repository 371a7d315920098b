"""The prober: a small streamed request every few seconds, for what a server's metrics hide.

A decode of 3 ms a token falls into the first bucket of most servers' histograms, and some export
none: a request of one's own shows the true times. It costs tokens of the server, so it is off
unless it is asked for, never more than one at a time, and what it took so far is shown.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from ..metrics.latency import LatencyWindows, RequestLatency
from ..protocol import Figure, Frame, Latency, Message, Note, Origin, Window
from ..protocol.errors import BadInputError, ProdtopError
from .asking.settings import SHORTEST_PROBE_S, USUAL_PROBE_S
from .probe_request import OUTPUT_TOKENS, WAYS, ProbeConnection, Probed, ProbeError
from .proxy.upstream import upstream_of
from .reading.overlaying import is_resolved, with_latencies, with_origins

LONGEST_WAIT_S = 60.0
"""Between probes of a server that does not answer."""
_CLOSE_S = 2.0
_PROBED = {"ttft": Figure.TTFT, "itl": Figure.ITL, "tpot": Figure.TPOT}


class Prober:
    """Probes the server at `url` every `interval_s`, with `model` or the first that it lists.

    `headers` gives those of each request (a key), and may raise `ProdtopError`; they are told
    nowhere. Raises `BadInputError`.
    """

    def __init__(
        self,
        url: str,
        interval_s: float = USUAL_PROBE_S,
        *,
        model: str | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not SHORTEST_PROBE_S <= interval_s < float("inf"):
            raise BadInputError(f"--probe: at least {SHORTEST_PROBE_S:g} s between two probes")
        self._upstream = upstream_of(url, tls)
        self._interval_s = interval_s
        self._given_model = self._model = model
        self._headers = headers
        self._clock = clock
        self._way = 0
        self._lock = threading.Lock()
        self._latency = LatencyWindows()
        self._answered = self._failed = self._tokens_in = self._tokens_out = 0
        self._notes: list[Message] = []
        self._failing: str | None = None
        self._ended = threading.Event()
        self._connection: ProbeConnection | None = None
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def start(self) -> None:
        """Begin to probe."""
        self._thread.start()

    def reports(self) -> list[Message]:
        """A note when probes begin to fail, or are answered again."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def overlay(self, frame: Frame) -> Frame:
        """The frame with true times where the server tells none, or only a bound."""
        with self._lock:
            latency = self._latency.all_windows(self._clock())
            cost = self.cost
        told, probed = frame.latency.get(Window.M5, Latency()), latency[Window.M5]
        names = [
            name
            for name in _PROBED
            if getattr(probed, name) is not None and not is_resolved(getattr(told, name))
        ]
        if not names:
            return frame
        origins = {_PROBED[name]: Origin(expression=cost) for name in names}
        latency = with_latencies(frame.latency, latency, names)
        return with_origins(msgspec.structs.replace(frame, latency=latency), origins)

    @property
    def begun(self) -> str:
        """What is sent, in words."""
        return f"probe of {OUTPUT_TOKENS} tokens every {self._interval_s:g} s"

    @property
    def cost(self) -> str:
        """What probing took so far, in words."""
        sent = self._answered + self._failed
        tokens = f"{self._tokens_in:,} tokens in, {self._tokens_out:,} out so far"
        return f"{self.begun}: {sent} sent, {tokens}"

    def close(self) -> None:
        """Stop, within a probe too."""
        self._ended.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    # In the thread

    def _run(self) -> None:
        wait_s = 0.0
        failures = 0
        while not self._ended.wait(wait_s):
            began_s = self._clock()
            try:
                self._take(self._probe())
                failures = 0
            except ProbeError as error:
                if self._ended.is_set():
                    return
                failures += 1
                self._on_failed(str(error))
            # Longer and longer while it fails: a server in trouble needs no probes.
            pause_s = min(self._interval_s * 2 ** min(failures, 6), LONGEST_WAIT_S)
            wait_s = max(self._interval_s if not failures else pause_s, SHORTEST_PROBE_S)
            wait_s = max(0.0, wait_s - (self._clock() - began_s))

    def _probe(self) -> Probed:
        if self._model is None:
            self._model = self._connect().model()
        while True:
            try:
                return self._connect().probe(self._model, WAYS[self._way])
            except ProbeError as error:
                if not error.unsupported or self._way + 1 >= len(WAYS):
                    # Another model may be served by now.
                    self._way, self._model = 0, self._given_model
                    raise
                self._way += 1

    def _connect(self) -> ProbeConnection:
        try:
            headers = self._headers()
        except ProdtopError as error:
            raise ProbeError(str(error)) from None
        self._connection = ProbeConnection(self._upstream, headers, self._clock)
        return self._connection

    def _take(self, probed: Probed) -> None:
        answer, sent_at_s = probed.answer, probed.sent_at_s
        first_s = answer.piece_times_s[0] - sent_at_s
        last_s = (answer.last_piece_at_s or probed.ended_at_s) - sent_at_s
        tokens = answer.output_tokens or 0
        latency = RequestLatency(
            e2e_s=last_s,
            ttfb_s=first_s,
            ttft_s=first_s,
            tpot_s=(last_s - first_s) / (tokens - 1) if tokens > 1 else None,
            queue_s=None,
            itl_s=np.array(answer.gaps_s, dtype=np.float64),
        )
        with self._lock:
            self._latency.record(latency, self._clock())
            self._answered += 1
            self._tokens_in += answer.prompt_tokens or 0
            self._tokens_out += tokens
            if self._failing is not None:
                self._notes.append(Note(message="the probe is answered again"))
                self._failing = None

    def _on_failed(self, reason: str) -> None:
        with self._lock:
            self._failed += 1
            if reason != self._failing:
                self._failing = reason
                self._notes.append(Note(message=f"the probe of {self._upstream.url}: {reason}"))
