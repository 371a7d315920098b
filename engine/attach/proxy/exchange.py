"""What the proxy measures of one request: when it came, when its pieces came back, how it ended."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...metrics.latency import RequestLatency
from ...metrics.request_timeline import Mark
from .answer import Answer
from .asked import LARGEST_READ_BYTES, Asked, asked_of
from .heads import RequestHead, ResponseHead


class Exchange:
    """One request and its answer. Times are monotonic, in seconds; `None`: not so far.

    It is filled while bytes pass, and fits what the metrics ask of a request
    (`engine/metrics/latency.py`, `engine/metrics/request_timeline.py`).
    """

    # From outside neither can be seen.
    queued_at_s: float | None = None
    scheduled_at_s: float | None = None
    marks: Sequence[Mark] = ()

    def __init__(self, request_id: int, arrival_at_s: float, head: RequestHead) -> None:
        self.request_id = request_id
        self.arrival_at_s = arrival_at_s
        self.asked = Asked()
        self.sent_at_s: float | None = None
        """When the last byte of the request went on to the server."""
        self.status: int | None = None
        self.answer: Answer | None = None
        self.first_content_at_s: float | None = None
        self.ended_at_s: float | None = None
        self.failure: str | None = None
        self._path = head.path
        self._body: list[bytes] | None = []
        self._body_bytes = 0

    # Filling

    def on_request_content(self, content: Sequence[bytes]) -> None:
        """More of the request's body passed."""
        if self._body is None:
            return
        self._body += content
        self._body_bytes += sum(map(len, content))
        if self._body_bytes > LARGEST_READ_BYTES:
            self._body = None

    def on_request_sent(self, at_s: float) -> Asked:
        """The request is with the server; returns what it asks, with its prompt, which is not kept
        here."""
        self.sent_at_s = at_s
        asked = Asked() if self._body is None else asked_of(self._path, b"".join(self._body))
        self._body = None
        self.asked = replace(asked, prompt=None)
        return asked

    def on_head(self, head: ResponseHead) -> None:
        """The answer begins."""
        self.status = head.status
        self.answer = Answer(head.field(b"content-type"), head.field(b"content-encoding"))

    def on_content(self, content: Sequence[bytes], at_s: float) -> int:
        """More of the answer's body passed; returns how many pieces with text were in it."""
        answer = self.answer
        if answer is None or not content:
            return 0
        if self.first_content_at_s is None:
            self.first_content_at_s = at_s
        before = answer.pieces
        for each in content:
            answer.take(each, at_s)
        return answer.pieces - before

    def end(self, at_s: float, failure: str | None = None) -> None:
        """Nothing more comes; `failure` says why it is not whole."""
        self.ended_at_s, self._body = at_s, None
        if self.answer is not None:
            self.answer.end(at_s)
        if failure is None and self.status is not None and self.status >= 400:
            failure = f"HTTP {self.status}"
        if failure is None and self.answer is not None and self.answer.failed:
            failure = "error in the answer"
        self.failure = failure

    # What is known of it

    @property
    def streams(self) -> bool:
        """Whether its answer comes in pieces, or will as far as was asked."""
        return self.asked.streams if self.answer is None else self.answer.streamed

    @property
    def unstarted(self) -> bool:
        """Whether nothing of its answer has come."""
        return self.first_byte_at_s is None

    @property
    def first_token_at_s(self) -> float | None:
        """When the first piece with text came; of a whole answer that is not known."""
        times_s = self.token_times_s
        return times_s[0] if times_s else None

    @property
    def first_byte_at_s(self) -> float | None:
        """When its client got the first of what it asked for."""
        return self.first_token_at_s if self.streams else self.first_content_at_s

    @property
    def last_token_at_s(self) -> float | None:
        return None if self.answer is None else self.answer.last_piece_at_s

    @property
    def token_times_s(self) -> Sequence[float]:
        """When each piece with text came."""
        return () if self.answer is None else self.answer.piece_times_s

    @property
    def longest_gap_s(self) -> float:
        gaps_s = () if self.answer is None else self.answer.gaps_s
        return max(gaps_s, default=0.0)

    @property
    def max_tokens(self) -> int:
        """0 where none was said: what it may still become is not known."""
        return self.asked.max_tokens or 0

    @property
    def prompt_tokens(self) -> int | None:
        if self.answer is not None and self.answer.prompt_tokens is not None:
            return self.answer.prompt_tokens
        token_ids = self.asked.token_ids
        return None if token_ids is None else len(token_ids)

    @property
    def num_output_tokens(self) -> int:
        return self.output_tokens or 0

    @property
    def output_tokens(self) -> int | None:
        return None if self.answer is None else self.answer.output_tokens

    @property
    def cached_tokens(self) -> int | None:
        return None if self.answer is None else self.answer.cached_tokens

    @property
    def end_s(self) -> float:
        """When it ended for its client: a stream with its last piece, else with its last byte."""
        last_at_s = self.last_token_at_s
        if self.failure is None and last_at_s is not None:
            return last_at_s
        return math.inf if self.ended_at_s is None else self.ended_at_s

    @property
    def queue_s(self) -> float | None:
        """Before the engine computed its prompt, where the engine says how long that took."""
        first_at_s = self.first_token_at_s
        prefill_ms = None if self.answer is None else self.answer.prefill_ms
        if first_at_s is None or prefill_ms is None:
            return None
        return max(0.0, first_at_s - self.arrival_at_s - prefill_ms / 1e3)

    def latency(self) -> RequestLatency:
        """Its latencies, once it has ended as it should."""
        e2e_s = self.end_s - self.arrival_at_s
        first_at_s, byte_at_s = self.first_token_at_s, self.first_byte_at_s
        ttft_s = None if first_at_s is None else first_at_s - self.arrival_at_s
        tokens = self.num_output_tokens
        choices = 0 if self.answer is None else self.answer.choices
        paced = ttft_s is not None and tokens > 1 and choices == 1
        return RequestLatency(
            e2e_s=e2e_s,
            ttfb_s=e2e_s if byte_at_s is None else min(e2e_s, byte_at_s - self.arrival_at_s),
            ttft_s=ttft_s,
            # Choices that come side by side have no pace of one text.
            tpot_s=(e2e_s - (ttft_s or 0.0)) / (tokens - 1) if paced else None,
            queue_s=self.queue_s,
            itl_s=np.array([] if self.answer is None else self.answer.gaps_s, dtype=np.float64),
        )
