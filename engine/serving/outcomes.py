"""How requests end: what their clients get, what is counted, and which answers are kept."""

from collections.abc import Callable

from ..metrics.collector import Metrics
from .cached_answers import CachedAnswers
from .delivery import RequestDelivery
from .request import Completion, Request, Status
from .response_cache import CachedResponse
from .scheduler import Scheduler
from .step_plan import StepPlan


class Outcomes:
    """The deliveries of the requests that are in the system, and the completions of those that
    ended.

    `metrics` may be replaced between requests. `on_end` is told of each request that ended.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        answers: CachedAnswers,
        metrics: Metrics,
        clock: Callable[[], float],
        on_end: Callable[[Request], None],
    ) -> None:
        self.metrics = metrics
        self.deliveries: dict[int, RequestDelivery] = {}
        self.completions: list[Completion] = []
        self._scheduler = scheduler
        self._answers = answers
        self._clock = clock
        self._on_end = on_end

    def take(self) -> list[Completion]:
        """The requests that ended since the last call."""
        done, self.completions = self.completions, []
        return done

    def finish(self, request: Request, reason: str, now_s: float) -> None:
        """End a running request because a stop rule holds."""
        delivery = self.deliveries[request.request_id]
        delivery.close(now_s, reason)
        self._scheduler.finish(request, reason)
        latency = self.metrics.on_finished(request, now_s)
        if self._scheduler.strategy.response_cache:
            self._answers.keep(request, delivery.text, reason, now_s)
        self._end(Completion(request, delivery.text, latency))

    def finish_prompts(self, plan: StepPlan, now_s: float) -> None:
        """End the requests of a step that want nothing but the logprobs of their prompts."""
        for chunk in plan.chunks:
            request = chunk.request
            if chunk.samples and not request.max_tokens and request.status is Status.RUNNING:
                self.finish(request, "length", now_s)

    def follow_grammars(self, got_token: list[Request]) -> list[Request]:
        """Take the newest tokens into the grammars of the requests that have one; fails those that
        cannot go on, and returns the others."""
        for request in got_token:
            if request.match is not None:
                request.match.take(request.tokens[-1])
                if request.match.failed:
                    self.fail(request.request_id, "grammar")
        return [each for each in got_token if each.status is Status.RUNNING]

    def finish_early(self, request_id: int, output_tokens: int) -> None:
        """End a request by `stop` after its first `output_tokens`; one that has ended stays as it
        is. Its answer is not kept: who asks for the same without a stop string wants more."""
        request = self._scheduler.find(request_id)
        if request is None:
            return
        now_s = self._clock()
        self._scheduler.finish(request, "stop")
        request.cut_output(output_tokens)
        delivery = self.deliveries[request_id]
        delivery.cut(now_s)
        latency = self.metrics.on_finished(request, now_s)
        self._end(Completion(request, delivery.text, latency))

    def complete_from_cache(self, request: Request, cached: CachedResponse) -> None:
        """End a request with a cached response, which its client gets all at once."""
        now_s = self._clock()
        delivery = self.deliveries[request.request_id]
        request.tokens.extend(cached.output_tokens)
        request.status = Status.FINISHED
        request.finish_reason = cached.finish_reason
        request.last_token_at_s = now_s
        delivery.replay(cached.text, now_s)
        latency = self.metrics.on_finished(request, now_s, from_response_cache=True)
        self._end(Completion(request, delivery.text, latency, from_response_cache=True))

    def fail(self, request_id: int, reason: str) -> None:
        """End a request wherever it is: its client keeps what was delivered, and it has failed."""
        request = self._scheduler.abort(request_id, reason)
        if request is not None:
            now_s = self._clock()
            delivery = self.deliveries[request_id]
            delivery.fail(reason)
            self.metrics.on_failed(now_s, request.arrival_at_s, request)
            self._end(Completion(request, delivery.text, None))

    def _end(self, completion: Completion) -> None:
        self.deliveries.pop(completion.request.request_id, None)
        self._answers.forget(completion.request)
        self._on_end(completion.request)
        self.completions.append(completion)
