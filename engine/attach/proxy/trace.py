"""What passes the proxy as a Mooncake trace without text (`engine/traces/growing_trace.py`).

Lengths are the server's own counts; of a prompt whose answer does not tell, its bytes divided by
the average that was measured, and of a stream that does not tell, its pieces. Each line also says
how its request went, as its client saw it; one that failed before its first token has no output.
"""

import secrets
from pathlib import Path
from typing import NamedTuple

from ...protocol import TraceRecording
from ...traces.growing_trace import GrowingTrace
from ...traces.rows import Measured
from .asked import Asked
from .exchange import Exchange
from .prompt_blocks import bytes_per_token, fitted, text_chain, token_chain

LEARNED_ANSWERS = 8
"""After so many answers that tell how long their prompts were, the size of a block is fixed."""
MOST_UNTOLD = 32
"""It is fixed after so many answers in any case: most of these tell nothing."""
MOST_FAILED = 1024
"""Or so many that failed: these do not tell either, and may be all that come for a while."""
MOST_KEPT_BYTES = 64 << 20
"""Of prompts in memory, until then: no text is written anywhere."""


class _Prompt(NamedTuple):
    """A prompt as hashes of its blocks, and how many tokens it has unless its answer tells."""

    chain: list[bytes]
    tokens: int


class _Ended(NamedTuple):
    arrival_at_s: float
    request_id: int
    text: bytes
    prompt_tokens: int | None
    output_tokens: int
    measured: Measured


class ProxyTrace:
    """Records what passes. Raises `BadInputError` where the file cannot be made."""

    def __init__(self, path: Path, now_s: float) -> None:
        self._trace = GrowingTrace(path, now_s)
        self._key = secrets.token_bytes(32)
        self._token_bytes: float | None = None
        self._texts: dict[int, bytes] = {}
        self._prompts: dict[int, _Prompt] = {}
        """Of requests that have not ended."""
        self._waiting: list[_Ended] = []
        """Ended before the size of a block was fixed."""
        self._kept_bytes = 0

    def state(self) -> TraceRecording:
        """How far the recording is."""
        return self._trace.state()

    def on_sent(self, request_id: int, asked: Asked) -> None:
        """A request went on to the server: its prompt becomes hashes as soon as it can."""
        if self._trace.stopped:
            return
        if asked.token_ids is not None:
            chain = token_chain(asked.token_ids, self._key)
            self._prompts[request_id] = _Prompt(chain, len(asked.token_ids))
        elif not asked.prompt:
            return
        elif self._token_bytes is not None:
            self._prompts[request_id] = self._prompt(asked.prompt, self._token_bytes)
        else:
            self._texts[request_id] = asked.prompt
            self._kept_bytes += len(asked.prompt)
            if self._kept_bytes > MOST_KEPT_BYTES:
                self._fix()

    def on_ended(self, exchange: Exchange) -> None:
        """A request ended. Left out are those that did not fail and have no token, or a prompt of
        unknown length; one that failed has a line in any case, so that failures are all counted.
        """
        request_id, output_tokens = exchange.request_id, exchange.num_output_tokens
        failed = exchange.failure is not None
        text = self._texts.pop(request_id, b"")
        prompt = self._prompts.pop(request_id, None)
        unknown = not (text or prompt)
        if self._trace.stopped or not (failed or (output_tokens and not unknown)):
            self._kept_bytes -= len(text)
            return
        arrival_at_s, told = exchange.arrival_at_s, exchange.prompt_tokens
        measured = measured_of(exchange)
        if unknown:
            self._trace.add(arrival_at_s, request_id, told or 0, output_tokens, (), measured)
            return
        if prompt is not None:
            self._add(arrival_at_s, request_id, prompt, told, output_tokens, measured)
            return
        self._waiting.append(_Ended(arrival_at_s, request_id, text, told, output_tokens, measured))
        telling = sum(each.prompt_tokens is not None for each in self._waiting)
        answered = sum(each.output_tokens > 0 for each in self._waiting)
        failures = len(self._waiting) - answered
        if telling >= LEARNED_ANSWERS or answered >= MOST_UNTOLD or failures >= MOST_FAILED:
            self._fix()

    def flush(self, now_s: float, oldest_s: float) -> str | None:
        """Now and then: write what ended before the oldest of those in the system came. Returns
        what is to be told where the recording stops."""
        if not self._trace.due(now_s):
            return None
        # What waits for the size of a block comes before what came later.
        waiting_s = min((each.arrival_at_s for each in self._waiting), default=oldest_s)
        return self._trace.flush(now_s, min(oldest_s, waiting_s))

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        self._fix()
        self._trace.close()

    def _fix(self) -> None:
        """From now on a block is as long as what was seen says."""
        told = [each for each in self._waiting if each.prompt_tokens is not None]
        tokens = sum(each.prompt_tokens or 0 for each in told)
        token_bytes = self._token_bytes or bytes_per_token(
            sum(len(each.text) for each in told), tokens
        )
        self._token_bytes = token_bytes
        for request_id, text in self._texts.items():
            self._prompts[request_id] = self._prompt(text, token_bytes)
        for each in self._waiting:
            prompt = self._prompt(each.text, token_bytes)
            self._add(
                each.arrival_at_s,
                each.request_id,
                prompt,
                each.prompt_tokens,
                each.output_tokens,
                each.measured,
            )
        self._texts.clear()
        self._waiting.clear()
        self._kept_bytes = 0

    def _prompt(self, text: bytes, token_bytes: float) -> _Prompt:
        tokens = max(1, round(len(text) / token_bytes))
        return _Prompt(text_chain(text, token_bytes, self._key), tokens)

    def _add(
        self,
        arrival_at_s: float,
        request_id: int,
        prompt: _Prompt,
        told_tokens: int | None,
        output_tokens: int,
        measured: Measured,
    ) -> None:
        tokens = prompt.tokens if told_tokens is None else told_tokens
        hashes = fitted(prompt.chain, tokens, self._key)
        if measured.cached_tokens is not None and measured.cached_tokens > tokens:
            # A server that counts oddly makes no line that cannot be read again.
            measured = measured._replace(cached_tokens=None)
        self._trace.add(arrival_at_s, request_id, tokens, output_tokens, hashes, measured)


def measured_of(exchange: Exchange) -> Measured:
    """How a request went that has ended, as its client saw it."""
    latency = exchange.latency()
    if exchange.failure is not None:
        return Measured(e2e_ms=latency.e2e_s * 1e3, ok=False)
    return Measured(
        ttft_ms=None if latency.ttft_s is None else latency.ttft_s * 1e3,
        tpot_ms=None if latency.tpot_s is None else latency.tpot_s * 1e3,
        e2e_ms=latency.e2e_s * 1e3,
        cached_tokens=exchange.cached_tokens,
        ok=True,
    )
