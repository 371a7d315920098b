"""What becomes of a step's tokens: they join their requests, go to the clients, and are counted."""

from collections.abc import Callable

from ..model.decoder import Decoder
from ..protocol import PrecisionName
from .delivery import DecodingError
from .kv_cache import KVCache
from .logprobs import take_logprobs
from .notes import broken_logits_text
from .outcomes import Outcomes
from .request import Request
from .runner import StepInFlight
from .sampler import BROKEN_LOGITS
from .scheduler import Scheduler
from .speculation import Speculation
from .step_counter import StepCounter
from .step_plan import Chunk, StepPlan
from .stopping import stop_reason


class StepCollector:
    """Takes in the steps of an engine, in their order, once they are launched.

    `decoder` and `kv_cache` are those that compute them, `context_tokens` the most that a sequence
    may have.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        outcomes: Outcomes,
        context_tokens: int,
        clock: Callable[[], float],
        decoder: Decoder,
        kv_cache: KVCache,
    ) -> None:
        self._scheduler = scheduler
        self._outcomes = outcomes
        self._context_tokens = context_tokens
        self._clock = clock
        self._notes: list[str] = []
        self.set_decoder(decoder, kv_cache)

    def set_decoder(self, decoder: Decoder, kv_cache: KVCache) -> None:
        """Another decoder computes the steps: what goes wrong with it is told anew."""
        self._counter = StepCounter.of(decoder, kv_cache.layers[0].dtype)
        self._precision: PrecisionName = decoder.precision
        self._nan_reported = self._decoding_failed = False

    def take_notes(self) -> list[str]:
        """Messages for the user that were not taken yet."""
        notes, self._notes = self._notes, []
        return notes

    def collect(self, step: StepInFlight, speculation: Speculation) -> None:
        """Wait for a step and take in its tokens; `speculation` is told how it went."""
        plan = step.plan
        tokens = step.result.tokens()
        if BROKEN_LOGITS in tokens:
            self._end_broken(plan, tokens)
        now_s = self._clock()
        got_token = self._scheduler.advance(plan, tokens, now_s)
        logprobs = step.result.logprobs()
        if logprobs is not None:
            got_token = self._outcomes.follow_grammars(got_token)
            take_logprobs(plan.chunks, {each.request_id for each in got_token}, logprobs)
            self._outcomes.finish_prompts(plan, now_s)
        self._outcomes.metrics.exported.on_tokens(got_token)
        self._deliver(got_token, now_s)
        chunks, accepted = plan.chunks, [0]
        if plan.num_drafts:
            after_drafts = step.result.after_drafts()
            chunks = tuple(
                chunk.keeping(self._accept_drafts(chunk, tokens, now_s))
                for chunk, tokens in zip(plan.chunks, after_drafts, strict=True)
            )
            accepted = [len(chunk.drafts) for chunk in chunks]
            self._outcomes.metrics.on_drafts(
                plan.num_drafts, accepted, now_s, texts=plan.num_drafting
            )
        generated = len(got_token) + sum(accepted)
        self._counter.report(
            self._outcomes.metrics,
            chunks,
            generated=generated,
            cached_tokens=step.cached_tokens,
            device_s=step.result.device_s(),
            now_s=now_s,
        )
        speculation.on_step(step.drafting, chunks, generated, now_s)

    def _end_broken(self, plan: StepPlan, tokens: list[int | None]) -> None:
        """Abort the requests whose logits were NaN. The user is told once a precision."""
        for chunk, token in zip(plan.chunks, tokens, strict=True):
            if token == BROKEN_LOGITS:
                self._outcomes.fail(chunk.request.request_id, "NaN")
        if not self._nan_reported:
            self._nan_reported = True
            self._notes.append(broken_logits_text(self._precision))

    def _deliver(self, got_token: list[Request], now_s: float) -> None:
        """Give each request's newest token to its client, and end those that it ends."""
        for request in got_token:
            try:
                stopped = self._outcomes.deliveries[request.request_id].push(now_s)
                reason = "stop" if stopped else stop_reason(request, self._context_tokens)
                if reason is not None:
                    self._outcomes.finish(request, reason, now_s)
            except DecodingError as error:
                self._end_undecodable(request.request_id, error)

    def _end_undecodable(self, request_id: int, error: DecodingError) -> None:
        """Abort a request whose tokens are no text. The user is told once."""
        self._outcomes.fail(request_id, "no text")
        if not self._decoding_failed:
            self._notes.append(str(error))
        self._decoding_failed = True

    def _accept_drafts(self, chunk: Chunk, after_drafts: list[int], now_s: float) -> int:
        """Verify a chunk's drafts against the tokens sampled; returns how many are accepted."""
        for accepted, (draft, token) in enumerate(zip(chunk.drafts, after_drafts, strict=True)):
            # Broken logits are met again where this token is sampled without a draft.
            broken = token == BROKEN_LOGITS
            if broken or not self._scheduler.accept(chunk.request, draft, token, now_s):
                return accepted
            self._deliver([chunk.request], now_s)
        return len(chunk.drafts)
