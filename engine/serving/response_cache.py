"""Whole answers, kept for requests that come again exactly as before."""

import sys
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol import PrecisionName
from .logit_edits import NO_EDITS, LogitEdits
from .request import Request, Sampling

_GREEDY = Sampling()
_NODE_BYTES = 300
"""What an entry costs in the two ordered tables, beside the objects it consists of."""


def _pack(tokens: Sequence[int]) -> bytes:
    return array("I", tokens).tobytes()


@dataclass(frozen=True, slots=True)
class ResponseKey:
    """All that decides an answer. `prompt` is the prompt's token ids, packed as 32-bit integers."""

    model: str
    precision: PrecisionName
    prompt: bytes
    sampling: Sampling
    max_tokens: int
    stop_token_ids: frozenset[int]
    extra_stop_token_ids: frozenset[int]
    stop_strings: tuple[str, ...]
    ignore_eos: bool
    edits: LogitEdits
    grammar: str | None
    undecoded: bool

    @classmethod
    def of(cls, request: Request, model: str, precision: PrecisionName) -> "ResponseKey | None":
        """The key of a request; None if the same request may give another answer next time, or if
        it asks for logprobs, which are not kept."""
        sampling = request.sampling
        wants_logprobs = request.logprobs is not None or request.prompt_logprobs is not None
        if not sampling.deterministic or wants_logprobs:
            return None
        return cls(
            model=model,
            precision=precision,
            prompt=_pack(request.prompt_tokens),
            # Greedy sampling looks at nothing else.
            sampling=_GREEDY if sampling.greedy else sampling,
            max_tokens=request.max_tokens,
            stop_token_ids=request.stop_token_ids,
            extra_stop_token_ids=request.extra_stop_token_ids,
            stop_strings=request.stop_strings,
            ignore_eos=request.ignore_eos,
            edits=request.edits,
            grammar=request.grammar,
            undecoded=request.undecoded,
        )

    @property
    def size_bytes(self) -> int:
        """What the key occupies, the model's name left out: all keys share it."""
        own: list[object] = [self, self.prompt, *self.stop_strings]
        # The default and the empty ones are one object in the whole process.
        own += [self.sampling] if self.sampling is not _GREEDY else []
        own += [self.edits] if self.edits is not NO_EDITS else []
        own += [part for pair in self.edits.logit_bias for part in (pair, *pair)]
        own += [] if self.grammar is None else [self.grammar]
        sets = self.stop_token_ids, self.extra_stop_token_ids, self.stop_strings
        own += [part for part in (*sets, self.edits.logit_bias) if part]
        return sum(map(sys.getsizeof, own))


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """An answer. `packed_tokens` is its token ids, packed as 32-bit integers."""

    packed_tokens: bytes
    text: str
    finish_reason: str

    @classmethod
    def of(cls, output_tokens: Sequence[int], text: str, finish_reason: str) -> "CachedResponse":
        """An answer from its token ids."""
        return cls(_pack(output_tokens), text, finish_reason)

    @property
    def output_tokens(self) -> list[int]:
        return array("I", self.packed_tokens).tolist()

    @property
    def size_bytes(self) -> int:
        """What the answer occupies."""
        return sys.getsizeof(self) + sys.getsizeof(self.packed_tokens) + sys.getsizeof(self.text)


@dataclass(frozen=True, slots=True)
class _Entry:
    response: CachedResponse
    expires_at_s: float
    size_bytes: int


class ResponseCache:
    """Answers by key: at most `limit_bytes`, least recently used out first, none over `ttl_s` old.

    The age counts from when the answer was stored; a hit does not renew it. `hits` and `lookups`
    count since the start and survive `clear`. Times are on the caller's monotonic clock.
    """

    def __init__(self, limit_bytes: int, ttl_s: float) -> None:
        self.limit_bytes = limit_bytes
        self.ttl_s = ttl_s
        self.hits = 0
        self.lookups = 0
        self._bytes_used = 0
        self._by_use: OrderedDict[ResponseKey, _Entry] = OrderedDict()
        self._by_age: OrderedDict[ResponseKey, _Entry] = OrderedDict()

    @property
    def entries(self) -> int:
        return len(self._by_use)

    @property
    def bytes_used(self) -> int:
        return self._bytes_used

    def get(self, key: ResponseKey, now_s: float) -> CachedResponse | None:
        """The answer under this key, if there is one that is not too old; counts as a lookup."""
        self._expire(now_s)
        self.lookups += 1
        entry = self._by_use.get(key)
        if entry is None:
            return None
        self.hits += 1
        self._by_use.move_to_end(key)
        return entry.response

    def put(self, key: ResponseKey, response: CachedResponse, now_s: float) -> bool:
        """Store an answer, in place of an older one; False if it is larger than the whole cache."""
        self._expire(now_s)
        self._remove(key)
        size_bytes = key.size_bytes + response.size_bytes + _NODE_BYTES
        if size_bytes > self.limit_bytes:
            return False
        while self._bytes_used + size_bytes > self.limit_bytes:
            self._remove(next(iter(self._by_use)))
        entry = _Entry(response, now_s + self.ttl_s, size_bytes)
        self._by_use[key] = entry
        self._by_age[key] = entry
        self._bytes_used += size_bytes
        return True

    def clear(self) -> None:
        """Forget all answers."""
        self._by_use.clear()
        self._by_age.clear()
        self._bytes_used = 0

    def _expire(self, now_s: float) -> None:
        # One time to live for all: the order of storing is the order of expiring.
        while self._by_age:
            key, entry = next(iter(self._by_age.items()))
            if entry.expires_at_s > now_s:
                break
            self._remove(key)

    def _remove(self, key: ResponseKey) -> None:
        entry = self._by_use.pop(key, None)
        if entry is not None:
            del self._by_age[key]
            self._bytes_used -= entry.size_bytes
