"""The requests that wait to run, the next one first, and what they hold."""

from collections import OrderedDict
from collections.abc import Iterator

from .request import Request


class WaitingQueue:
    """Requests by id in the order in which they are to run. A preempted one goes to the head."""

    def __init__(self) -> None:
        self._requests: OrderedDict[int, Request] = OrderedDict()
        self.tokens = 0
        """The tokens of all of them, those that preempted ones have generated too."""

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests.values())

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._requests

    @property
    def head(self) -> Request:
        """The next one to run. Raises StopIteration where none waits."""
        return next(iter(self._requests.values()))

    def get(self, request_id: int) -> Request | None:
        return self._requests.get(request_id)

    def append(self, request: Request) -> None:
        """Queue a request behind all others."""
        self._requests[request.request_id] = request
        self.tokens += len(request.tokens)

    def push_front(self, request: Request) -> None:
        """Queue a request before all others."""
        self.append(request)
        self._requests.move_to_end(request.request_id, last=False)

    def pop(self, request_id: int) -> Request | None:
        """Take a request out; `None` where it does not wait."""
        request = self._requests.pop(request_id, None)
        if request is not None:
            self.tokens -= len(request.tokens)
        return request
