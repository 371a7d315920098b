"""The guards of one server: prompts before they are submitted, answers as they come, and load."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..protocol.server_options import GuardOptions
from .errors import CONTENT_FILTER, ApiError, bad_request
from .generation import Asked, Generation
from .guard_counts import GuardCounts
from .guards.findings import Failure, Outcome, Verdict
from .guards.pipeline import GuardPipeline
from .guards.rate_limit import Denied, RateLimiter
from .guards.request_limits import check_request
from .guards.settings import GuardSettings, check_served, read_settings
from .guards.stream import StreamGuard

RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"


class Guarding:
    """Everything of `[guards]` that a server does. Called on the event loop's thread, but for
    `judge`."""

    def __init__(
        self,
        settings: GuardSettings,
        folder: Path,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lists are sought from `folder`. Raises `GuardSettingsError` or `WordListError`."""
        check_served(settings)
        # Two, since a pipeline is for one thread at a time, and answers must not wait for prompts.
        self._prompts = GuardPipeline.of(settings, folder)
        self._outputs = GuardPipeline.of(settings, folder)
        self._judging = threading.Lock()
        self._limiter = RateLimiter(settings.rate)
        self._clock_s = clock_s
        self.limits = settings.limits
        self.counts = GuardCounts((*self._prompts.prompt_guards, *self._outputs.output_guards))

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

    def seconds(self) -> dict[str, float]:
        """By guard: how long it has judged texts, in all."""
        pipelines = (self._prompts, self._outputs)
        return {
            name: sum(each.tallies[name].added.total_s for each in pipelines)
            for name in self._prompts.tallies
        }

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
                raise _refused(param, verdict.blocked_by.guard)
            redacting = [each for each in verdict.findings if each.rule.action == "redact"]
            if redacting and not redacts:
                raise _refused(param, redacting[0].guard)
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
        denied = self._limiter.admit(key, taken, self._clock_s())
        if denied is not None:
            raise _denial(denied)

        def settle(generation: Generation) -> None:
            self._limiter.settle(key, taken, _used_tokens(generation), self._clock_s())
            self._count_outputs(generation)

        return settle

    def _count_outputs(self, generation: Generation) -> None:
        names = self._outputs.output_guards
        for choice in generation.choices:
            guard = choice.text.guard
            if guard is not None:
                guard.close()
                self.counts.add(names, guard.findings, guard.blocked, guard.failed)


def _refused(param: str, guard: str) -> ApiError:
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
