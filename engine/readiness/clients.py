"""Clients that ask a server again and again, each in a thread of its own, until they are told."""

import itertools
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .http_client import Address, Answer, Completion, StreamRequest

PAUSE_AFTER_FAILURE_S = 0.2
JOIN_PATIENCE_S = 10.0

_STORY = (
    "The harbour lay quiet before sunrise, and the keeper of the light walked down to the water as"
    " on every morning. He counted the boats, looked at the clouds over the hills, and wrote both"
    " into his book, as those before him had done for a hundred years. Then he began to read: "
)
"""The prefix that all prompts share; caches of prefixes have something to hit."""


def prompt(number: int) -> str:
    """The prompt of one request: no two are the same, all begin alike."""
    return f"{_STORY}page {number}, line {number * 7919 % 9973}, and so on."


class Clients:
    """So many clients that stream completions of `max_tokens`, one after the other, until `most`
    requests were sent in all, or until `stop`; what they got is in `answers`."""

    def __init__(
        self, address: Address, clients: int, max_tokens: int, most: int | None = None
    ) -> None:
        self._address = address
        self._max_tokens = max_tokens
        self._most = most
        self._numbers = itertools.count()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._open: set[StreamRequest] = set()
        self._threads = [
            threading.Thread(target=self._ask_on, name=f"client {index}", daemon=True)
            for index in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            self.hang_up()
        self.join(JOIN_PATIENCE_S)

    @property
    def answers(self) -> Sequence[Answer]:
        """What has ended until now, in the order of the ends."""
        with self._lock:
            return tuple(self._answers)

    @property
    def running(self) -> bool:
        """Whether any client still asks, or reads."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Ask for nothing more; what was asked for is read to its end."""
        self._stopped.set()

    def hang_up(self) -> None:
        """End what is being read, too."""
        self.stop()
        with self._lock:
            requests = tuple(self._open)
        for request in requests:
            request.hang_up()

    def join(self, timeout_s: float) -> None:
        """Wait for the clients, each so long at most."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _ask_on(self) -> None:
        while not self._stopped.is_set():
            number = next(self._numbers)
            if self._most is not None and number >= self._most:
                return
            body = Completion(prompt=prompt(number), max_tokens=self._max_tokens)
            request = StreamRequest(self._address, body)
            with self._lock:
                self._open.add(request)
            answer = request.run()
            with self._lock:
                self._open.discard(request)
                self._answers.append(answer)
            if not answer.good:
                # A server that is away must not be asked thousands of times a second.
                self._stopped.wait(PAUSE_AFTER_FAILURE_S)
