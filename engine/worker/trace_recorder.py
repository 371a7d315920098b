"""Writes down what the engine serves as a trace: when, how long, and which blocks prompts shared.

Hashes are taken over the tokens of a block and all before it; what of them is written, and in which
order, is decided in `engine/traces/growing_trace.py`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..protocol import TraceRecording
from ..serving.blocks import extend_hashes
from ..serving.request import Completion, Request
from ..traces.growing_trace import GrowingTrace
from ..traces.mooncake import BLOCK_TOKENS


class TraceRecorder:
    """Records the requests that end, in the order of their arrival.

    A request that got no token is left out: nothing of it could be played. Raises `BadInputError`
    where the file cannot be made.
    """

    def __init__(self, path: Path, now_s: float) -> None:
        self._trace = GrowingTrace(path, now_s)

    @property
    def path(self) -> Path:
        """The file, whose name may have a number behind the one asked for."""
        return self._trace.path

    def state(self) -> TraceRecording:
        """How far the recording is."""
        return self._trace.state()

    def on_completions(self, completions: Sequence[Completion]) -> None:
        """Requests ended, whoever asked for them."""
        if self._trace.stopped:
            return
        for completion in completions:
            request = completion.request
            if request.num_output_tokens:
                prompt, hashes = request.prompt_tokens, list[bytes]()
                extend_hashes(hashes, prompt, BLOCK_TOKENS, -(-len(prompt) // BLOCK_TOKENS))
                self._trace.add(
                    request.arrival_at_s,
                    request.request_id,
                    len(prompt),
                    request.num_output_tokens,
                    hashes,
                )

    def flush(self, now_s: float, in_system: Iterable[Request]) -> str | None:
        """Now and then: write what ended before the oldest of those in the system came.

        Returns what is to be told where the recording stops.
        """
        if not self._trace.due(now_s):
            return None
        oldest_s = min((request.arrival_at_s for request in in_system), default=float("inf"))
        return self._trace.flush(now_s, oldest_s)

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        self._trace.close()
