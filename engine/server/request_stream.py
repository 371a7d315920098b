"""What one request has got and its client has not taken yet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import Enum

import msgspec

from ..protocol.errors import ProdtopError
from ..protocol.served import Output


class Ending(Enum):
    """How the server ends a request that the worker still serves."""

    STOP = "stop"
    ABORT = "abort"


End = Callable[["LinkedRequest", Ending, int, str], None]
"""Ends a request: with the number of tokens of a `STOP`, and the reason of an `ABORT`."""


def joined(first: Output, second: Output) -> Output:
    """Two outputs of one request, one after the other, as one."""
    logprobs = None
    if first.logprobs is not None or second.logprobs is not None:
        logprobs = [*(first.logprobs or ()), *(second.logprobs or ())]
    return msgspec.structs.replace(
        second,
        token_ids=[*first.token_ids, *second.token_ids],
        logprobs=logprobs,
        prompt_logprobs=first.prompt_logprobs or second.prompt_logprobs,
    )


class LinkedRequest:
    """One request that was submitted over a link; it implements `RequestStream`.

    What comes faster than it is taken is joined into one output, so that a slow reader costs the
    memory of its tokens and nothing else.
    """

    def __init__(self, key: int, tokens: int, end: End) -> None:
        """`tokens`: those of its prompt and the most that it may generate."""
        self.key = key
        self.tokens = tokens
        self.ended = False
        """The worker does not serve it any more."""
        self._end = end
        self._waiting: Output | None = None
        self._error: ProdtopError | None = None
        self._news = asyncio.Event()

    def push(self, output: Output) -> None:
        """Take in what the worker sent."""
        self._waiting = output if self._waiting is None else joined(self._waiting, output)
        self.ended = output.finish_reason is not None
        self._news.set()

    def fail(self, error: ProdtopError) -> None:
        """It ends here: whoever iterates gets what came before, and then the error."""
        self.ended, self._error = True, error
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Output]:
        while True:
            await self._news.wait()
            self._news.clear()
            output, self._waiting = self._waiting, None
            if output is not None:
                yield output
                if output.finish_reason is not None:
                    return
            if self._error is not None:
                raise self._error
            if self.ended:
                return

    def close(self) -> None:
        """Nothing more comes: iterating ends after what has come."""
        self.ended = True
        self._news.set()

    def stop(self, output_tokens: int) -> None:
        self._end(self, Ending.STOP, output_tokens, "")

    def abort(self, reason: str) -> None:
        self._end(self, Ending.ABORT, 0, reason)
