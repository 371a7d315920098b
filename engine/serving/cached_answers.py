"""Which requests the response cache answers, and which answers it keeps."""

from ..metrics.collector import Metrics
from ..protocol import PrecisionName
from .request import Request
from .response_cache import CachedResponse, ResponseCache, ResponseKey


class CachedAnswers:
    """A response cache in front of an engine that serves `model` at `precision`.

    Answers are kept of requests that were queued and lived their whole life at one precision.
    """

    def __init__(self, cache: ResponseCache, model: str, precision: PrecisionName) -> None:
        self._cache = cache
        self._model = model
        self._precision = precision
        self._cacheable: set[int] = set()

    def find(self, request: Request, metrics: Metrics, now_s: float) -> CachedResponse | None:
        """The answer to a request, if it was given before."""
        key = self._key(request)
        if key is None:
            return None
        cached = self._cache.get(key, now_s)
        metrics.on_response_lookup(cached is not None, now_s)
        return cached

    def expect(self, request: Request) -> None:
        """A request was queued: its answer may be kept."""
        self._cacheable.add(request.request_id)

    def keep(self, request: Request, text: str, reason: str, now_s: float) -> None:
        """Keep the answer of a request that ended as it should."""
        key = self._key(request)
        if key is not None and request.request_id in self._cacheable:
            response = CachedResponse.of(request.output_tokens, text, reason)
            self._cache.put(key, response, now_s)

    def forget(self, request: Request) -> None:
        """A request has ended."""
        self._cacheable.discard(request.request_id)

    def set_precision(self, precision: PrecisionName) -> None:
        """Go on at another precision: a response that two wrote together is neither's."""
        self._cacheable.clear()
        self._precision = precision

    def _key(self, request: Request) -> ResponseKey | None:
        return ResponseKey.of(request, self._model, self._precision)
