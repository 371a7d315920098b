"""What a server says of what it served in some span: sums and counts at `/metrics`."""

import threading
import time
import urllib.request
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

LOOK_INTERVAL_S = 0.05
SUBMITTED, ENDED = "prodtop_requests_submitted_total", "prodtop_requests_ended_total"
ANSWER_S = 60.0


@dataclass(frozen=True)
class Figures:
    """What one side says of a run. Latencies are means over requests, `itl_ms` over gaps."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    ttft_ms: float
    itl_ms: float
    e2e_ms: float
    output_tok_s: float

    @property
    def counts(self) -> tuple[int, int, int]:
        """What must be equal on both sides."""
        return self.requests, self.prompt_tokens, self.output_tokens


def scrape(url: str) -> dict[str, float]:
    """What `/metrics` says now."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=ANSWER_S) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


class Watch:
    """Scrapes a server until it is told to stop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: list[tuple[float, dict[str, float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        self._seen.append((time.monotonic(), scrape(self._url)))

    def figures(self) -> Figures:
        """Of all that came and ended meanwhile."""
        (_, before), (_, after) = self._seen[0], self._seen[-1]

        def grown(name: str) -> float:
            return after[name] - before.get(name, 0.0)

        def mean_ms(family: str) -> float:
            family = f"prodtop_{family}_seconds"
            return 1e3 * grown(f"{family}_sum") / grown(f"{family}_count")

        tokens = grown("prodtop_generation_tokens_total")
        return Figures(
            requests=round(grown(ENDED)),
            prompt_tokens=round(grown("vllm:prompt_tokens_total")),
            output_tokens=round(tokens),
            ttft_ms=mean_ms("time_to_first_token"),
            itl_ms=mean_ms("inter_token_latency"),
            e2e_ms=mean_ms("request_duration"),
            output_tok_s=tokens / self._busy_s(),
        )

    def _busy_s(self) -> float:
        """From the first request's arrival to the last one's end, each between two scrapes."""
        (_, first), (_, last) = self._seen[0], self._seen[-1]
        changes = [
            (0.5 * (one_s + other_s), other)
            for (one_s, _), (other_s, other) in pairwise(self._seen)
        ]
        begin_s = next(at for at, now in changes if now[SUBMITTED] > first[SUBMITTED])
        end_s = next(at for at, now in changes if now[ENDED] == last[ENDED])
        return end_s - begin_s
