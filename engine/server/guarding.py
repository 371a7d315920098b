"""The guards of one server: prompts before they are submitted, answers as they come, and load."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..metrics.histogram import LogHistogram
from ..protocol import FalsePositives, GuardSample, ReviewSample
from ..protocol.server_options import GuardOptions
from .errors import CONTENT_FILTER, ApiError, bad_request
from .generation import Asked, Generation
from .guard_counts import GuardCounts
from .guards import answer_entropy
from .guards.answer_entropy import UncertaintyGuard
from .guards.findings import Failure, Outcome, Verdict
from .guards.measured import Rate, measure_false_positives
from .guards.model_reference import ModelReference, PerplexityLimits, load_reference
from .guards.pipeline import GuardPipeline
from .guards.rate_limit import Denied, RateLimiter
from .guards.request_limits import check_request
from .guards.review_queue import queue_file
from .guards.settings import GuardSettings, read_settings
from .guards.stream import StreamGuard
from .guards.tally import ALL
from .guards.uncertainty import UncertaintyReference
from .prompt_perplexity import NAME as PERPLEXITY
from .prompt_perplexity import PerplexityGuard
from .reviewing import Reviewing

RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"


class Guarding:
    """Everything of `[guards]` that a server does. Called on the event loop's thread, but for
    `judge` and `measure_false_positives`."""

    def __init__(
        self,
        settings: GuardSettings,
        folder: Path,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lists and the review queue are sought from `folder`. Raises `WordListError` or
        `ReviewQueueError`."""
        # Two, since a pipeline is for one thread at a time, and answers must not wait for prompts.
        self._prompts = GuardPipeline.of(settings, folder)
        self._outputs = GuardPipeline.of(settings, folder)
        self._judging = threading.Lock()
        self._limiter = RateLimiter(settings.rate)
        self._clock_s = clock_s
        self._counts_blocked = settings.rate.count_blocked
        self._references: dict[str, ModelReference | None] = {}
        self.limits = settings.limits
        self.false_positives: Mapping[str, Rate] = {}
        """By guard of text, and `all`; none before they were measured."""
        self.uncertainty: UncertaintyGuard | None = None
        if settings.uncertainty.enabled:
            self.uncertainty = UncertaintyGuard(settings.uncertainty, self._uncertainty_reference)
        self.perplexity: PerplexityGuard | None = None
        if settings.perplexity.enabled:
            self.perplexity = PerplexityGuard(settings.perplexity, self._perplexity_limits)
        self.reviewing: Reviewing | None = None
        if settings.review.mode != "off":
            self.reviewing = Reviewing(settings.review, queue_file(settings.review, folder))
        by_model = {
            PERPLEXITY: settings.perplexity.enabled,
            answer_entropy.NAME: settings.uncertainty.enabled,
        }
        self.counts = GuardCounts(
            (*self._prompts.prompt_guards, *self._outputs.output_guards),
            [name for name, on in by_model.items() if on],
        )

    @staticmethod
    def of(options: GuardOptions) -> "Guarding":
        """The guards that a server is started with. Raises as `Guarding` does."""
        return Guarding(read_settings(options.table), Path(options.folder))

    @property
    def guards_prompts(self) -> bool:
        """Whether any guard looks at prompts."""
        return bool(self._prompts.prompt_guards)

    @property
    def guards_outputs(self) -> bool:
        """Whether any guard looks at answers."""
        return bool(self._outputs.output_guards)

    def close(self) -> None:
        """Let go of what is open."""
        if self.reviewing is not None:
            self.reviewing.close()

    def measure_false_positives(self) -> None:
        """Judge the benign texts that ship by the rules in force; on any thread. Prompts wait for
        one of these texts at most."""
        self.false_positives = measure_false_positives(self._prompts, judging=self._judging)

    def added(self) -> dict[str, LogHistogram]:
        """By guard, and `all` over those of text: the seconds that each text waited for it."""
        histograms: dict[str, LogHistogram] = {}
        for pipeline in (self._prompts, self._outputs):
            for name, tally in {**pipeline.tallies, ALL: pipeline.all_guards}.items():
                if name in self.counts.names:
                    histograms.setdefault(name, LogHistogram()).merge(tally.added)
        if self.perplexity is not None:
            histograms[PERPLEXITY] = self.perplexity.tally.added.copy()
        return histograms

    async def refresh(self) -> None:
        """Look at what other processes have changed, before something is told of it."""
        if self.reviewing is not None:
            await self.reviewing.refresh()

    def samples(self) -> dict[str, GuardSample]:
        """What each guard has done, and `all` together."""
        added = self.added()
        return {name: self._sample(name, added.get(name)) for name in self.counts.names}

    def _sample(self, name: str, added: LogHistogram | None) -> GuardSample:
        texts = {outcome: self.counts.texts[name, outcome] for outcome in Outcome}
        waits_s = [] if added is None else added.quantiles((0.5, 0.99))
        p50_ms, p99_ms = (wait_s * 1e3 for wait_s in waits_s) if waits_s else (None, None)
        rate = self.false_positives.get(name)
        return GuardSample(
            texts=sum(texts.values()),
            flagged=texts[Outcome.FLAG],
            redacted=texts[Outcome.REDACT],
            blocked=texts[Outcome.BLOCK],
            failures=self.counts.failures[name],
            added_p50_ms=p50_ms,
            added_p99_ms=p99_ms,
            false_positives=None
            if rate is None
            else FalsePositives(found=rate.hits, texts=rate.texts),
        )

    @property
    def review_sample(self) -> ReviewSample | None:
        """Of the review queue, as of the last `refresh`; `None` where there is none."""
        return None if self.reviewing is None else self.reviewing.sample

    # What is known of the model

    def lacking(self, model: str) -> list[str]:
        """The guards that are on and know nothing of a model: they judge none of its texts."""
        reference = self._reference(model)
        lacking = []
        if self.perplexity is not None and self.perplexity.limits(model) is None:
            lacking.append(PERPLEXITY)
        if self.uncertainty is not None and reference is None:
            lacking.append(answer_entropy.NAME)
        return lacking

    def _reference(self, model: str) -> ModelReference | None:
        if model not in self._references:
            self._references[model] = load_reference(model)
        return self._references[model]

    def _uncertainty_reference(self, model: str) -> UncertaintyReference | None:
        reference = self._reference(model)
        return None if reference is None else reference.uncertainty

    def _perplexity_limits(self, model: str) -> PerplexityLimits | None:
        reference = self._reference(model)
        return None if reference is None else reference.perplexity

    # Prompts

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """Judge texts of a prompt; on any thread."""
        with self._judging:
            return [self._prompts.check_prompt(text) for text in texts]

    def passed(
        self, texts: Sequence[str], verdicts: Sequence[Verdict], param: str, *, redacts: bool
    ) -> list[str]:
        """Of judged texts what may be tokenized; counts them.

        Raises `ApiError`: 400 for what is blocked, or would have to be redacted and cannot be
        (`redacts`), without saying by which of its words.
        """
        for verdict in verdicts:
            self.counts.add(
                self._prompts.prompt_guards, verdict.findings, verdict.blocked_by, verdict.failed
            )
        for verdict in verdicts:
            if isinstance(verdict.blocked_by, Failure):
                raise ApiError(500, f"the guard {verdict.blocked_by.guard!r} failed")
            if verdict.blocked_by is not None:
                raise refused_prompt(param, verdict.blocked_by.guard)
            redacting = [each for each in verdict.findings if each.rule.action == "redact"]
            if redacting and not redacts:
                raise refused_prompt(param, redacting[0].guard)
        # Other than what was redacted, a text passes as it was given.
        return [
            verdict.text if verdict.outcome is Outcome.REDACT else text
            for text, verdict in zip(texts, verdicts, strict=True)
        ]

    # Answers

    def guard_output(self) -> StreamGuard | None:
        """The guard of one choice's text; `None` where answers are not looked at."""
        return self._outputs.guard_output() if self.guards_outputs else None

    # Load

    def check_sizes(self, *, prompt_tokens: int, max_tokens: int | None, n: int, stop: int) -> None:
        """Raise `ApiError` (400) for a request over one of the limits."""
        over = check_request(
            self.limits, prompt_tokens=prompt_tokens, max_tokens=max_tokens, n=n, stop=stop
        )
        if over is not None:
            raise bad_request(over.message, over.param)

    def admit(self, key: str, asked: Sequence[Asked]) -> Callable[[Generation], None]:
        """Take a request from what `key` may use; what is returned settles it at its end.

        Raises `ApiError` (429) where there is too little left.
        """
        taken = _prompt_tokens((each.prompt_index, each.submit.prompt_tokens) for each in asked)
        taken += sum(each.submit.max_tokens for each in asked)
        self._admit(key, taken)

        def settle(generation: Generation) -> None:
            self._limiter.settle(key, taken, _used_tokens(generation), self._clock_s())
            self._count_outputs(generation)

        return settle

    def charge_blocked(self, key: str) -> None:
        """Take a request for a prompt that was blocked, where that is set. Raises as `admit`."""
        if self._counts_blocked:
            self._admit(key, 0)

    def _admit(self, key: str, tokens: int) -> None:
        denied = self._limiter.admit(key, tokens, self._clock_s())
        if denied is not None:
            raise _denial(denied)

    def _count_outputs(self, generation: Generation) -> None:
        names = self._outputs.output_guards
        for choice in generation.choices:
            guard = choice.text.guard
            if guard is not None:
                guard.close()
                self.counts.add(names, guard.findings, guard.blocked, guard.failed)
            entropy = choice.text.entropy
            if entropy is not None and entropy.entropies:
                self.counts.add_asked(answer_entropy.NAME, entropy.outcome())


def refused_prompt(param: str, guard: str) -> ApiError:
    """The answer to a prompt that a guard does not let pass."""
    return bad_request(
        f"the prompt was refused by the guard {guard!r}: change it and try again",
        param,
        CONTENT_FILTER,
    )


def _denial(denied: Denied) -> ApiError:
    if denied.retry_after_s is None:
        return ApiError(
            429,
            f"this request takes more {denied.kind} than a key may use at once: ask for less",
            code=RATE_LIMIT_EXCEEDED,
            # OpenAI's clients try again otherwise.
            headers={"x-should-retry": "false"},
        )
    return ApiError(
        429,
        f"too many {denied.kind} a minute: try again in {denied.retry_after_s} s",
        code=RATE_LIMIT_EXCEEDED,
        headers={"retry-after": str(denied.retry_after_s)},
    )


def _used_tokens(generation: Generation) -> int:
    """What the engine computed: prompts that it never began do not count."""
    begun = [choice for choice in generation.choices if choice.begun]
    prompts = _prompt_tokens((each.prompt_index, each.prompt_tokens) for each in begun)
    return prompts + sum(each.text.generated for each in begun)


def _prompt_tokens(prompts: Iterable[tuple[int, list[int]]]) -> int:
    """Of several choices of one prompt it counts once, as in an answer's usage."""
    return sum(map(len, dict(prompts).values()))
