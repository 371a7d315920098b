"""How much is taken at once: what is above the limits is told to come again, and when.

A request takes a slot with its head, before its body is read, and keeps it until the last of its
answer is on its way: a client that has read all of it and asks again finds the place free. Once its
texts are known it takes as many places as it has choices, and their tokens.
"""

import math
import time
from collections import deque
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..protocol.served import Serving
from ..protocol.server_operations import ServerLimits
from .errors import ApiError, bad_request, refuse
from .scope_keys import SLOT

QUEUE_FULL = "queue_full"
KV_CACHES = 8
"""By default tokens of so many full KV caches are taken …"""
WHOLE_CONTEXTS = 256
"""… and never fewer than those of so many requests that ask for all of the context, as chats do
that name no `max_tokens`."""

LONGEST_RETRY_S = 60
_RATE_WINDOW_S = 30.0
_REMEMBERED = 256


def most_tokens(limits: ServerLimits, serving: Serving) -> int:
    """The most tokens in flight: those given, or what follows from the model."""
    if limits.max_tokens is not None:
        return limits.max_tokens
    return max(KV_CACHES * serving.kv_tokens, WHOLE_CONTEXTS * serving.context_tokens)


class Admission:
    """What is in flight of all that clients asked for, and when there will be room for more."""

    def __init__(self, limits: ServerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.requests = 0
        self.tokens = 0
        self._clock = clock
        self._left_at_s: deque[float] = deque(maxlen=_REMEMBERED)
        """When requests ended lately."""

    def enter(self) -> "Slot":
        """A slot for one more request. Raises `ApiError` (429) where all are taken."""
        if self.requests >= self.limits.max_requests:
            raise self._full(f"{self.requests} requests are in flight, as many as are taken")
        self.requests += 1
        return Slot(self)

    def grow(self, choices: int, tokens: int, serving: Serving) -> None:
        """Take a request's choices, beyond its first, and its tokens.

        Raises `ApiError`: 429 where there is no room now, 400 where there never is.
        """
        self.check(tokens, serving)
        if choices > self.limits.max_requests:
            raise bad_request(
                f"{choices} texts in one request: {self.limits.max_requests} are taken at once", "n"
            )
        if self.requests - 1 + choices > self.limits.max_requests:
            raise self._full(f"no room for {choices} texts beside {self.requests - 1} in flight")
        self.requests += choices - 1
        self.tokens += tokens

    def check(self, tokens: int, serving: Serving) -> None:
        """Raise what `grow` would raise for so many tokens: to be asked as soon as they are known,
        or some of them."""
        most = most_tokens(self.limits, serving)
        if tokens > most:
            raise bad_request(
                f"{tokens} tokens of prompt and answer in one request: {most} are taken at once",
                "max_tokens",
            )
        if self.tokens + tokens > most:
            raise self._full(f"no room for {tokens} tokens beside {self.tokens} in flight")

    def leave(self, choices: int, tokens: int) -> None:
        """A request has ended."""
        self.requests -= choices
        self.tokens -= tokens
        self._left_at_s.append(self._clock())

    @property
    def retry_after_s(self) -> int:
        """When the next request will have ended, as they did of late; 1 where none has."""
        now_s = self._clock()
        lately = [at_s for at_s in self._left_at_s if now_s - at_s <= _RATE_WINDOW_S]
        if not lately:
            return 1
        # From the oldest one to now: a server that has come to a halt gets slower and slower.
        mean_gap_s = (now_s - lately[0]) / len(lately)
        return min(max(1, math.ceil(mean_gap_s)), LONGEST_RETRY_S)

    def _full(self, message: str) -> ApiError:
        return ApiError(
            429,
            f"{message}: try again later",
            code=QUEUE_FULL,
            headers={"retry-after": str(self.retry_after_s)},
        )


class Slot:
    """One HTTP request's part of what is in flight."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._choices, self._tokens = 1, 0
        self._left = False

    def take(self, choices: int, tokens: int, serving: Serving) -> None:
        """Its texts are known: so many choices, with so many tokens in all. Raises `ApiError`."""
        self._admission.grow(choices, tokens, serving)
        self._choices, self._tokens = choices, tokens

    def check(self, tokens: int, serving: Serving) -> None:
        """As `Admission.check`: the request has so many tokens at least."""
        self._admission.check(tokens, serving)

    def leave(self) -> None:
        """The request has ended. Only the first call counts."""
        if self._left:
            return
        self._left = True
        self._admission.leave(self._choices, self._tokens)


class AdmissionGuard:
    """Middleware: every POST takes a slot, and those above the limits are answered by 429."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            slot = self._admission.enter()
        except ApiError as error:
            await refuse(error, scope, receive, send)
            return
        scope[SLOT] = slot

        async def sending(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # Not once the app returns: its tasks end some turns of the loop later, and the
                # client may have come again by then.
                slot.leave()

        try:
            await self._app(scope, receive, sending)
        finally:
            slot.leave()


def slot_of(request: Request) -> Slot:
    """The request's slot; every POST has one."""
    slot: Slot = request.scope[SLOT]
    return slot
