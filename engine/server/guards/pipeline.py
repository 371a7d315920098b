"""All guards of text in one object, for the HTTP routes: whole prompts, and answers as they come.

It is used on one thread. Guards work on text alone: what they cost is the server's time, none of
the GPU's.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .findings import Verdict
from .hidden_text import hidden_rule
from .personal_data import personal_rules
from .secrets import secret_rules
from .settings import (
    ContentSettings,
    GuardSettings,
    InjectionSettings,
    ListSettings,
    PiiSettings,
    some,
)
from .stream import StreamGuard
from .tally import ALL, GuardTally
from .text_guard import TextGuard
from .word_lists import RuleList, read_list


class GuardPipeline:
    """The guards that settings ask for, with what they have counted. `tallies` by guard.

    `prompt_guards` and `output_guards` are the names of those that look at either.
    """

    def __init__(
        self,
        prompts: Sequence[TextGuard],
        outputs: Sequence[TextGuard],
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._prompts, self._outputs = list(prompts), list(outputs)
        self._clock_ns = clock_ns
        self.prompt_guards = tuple(guard.name for guard in prompts)
        self.output_guards = tuple(guard.name for guard in outputs)
        names = dict.fromkeys(guard.name for guard in (*prompts, *outputs))
        self.tallies = {name: GuardTally(name) for name in names}
        self.all_guards = GuardTally(ALL)
        """Over all guards together: texts, and the latency added to each."""

    @staticmethod
    def of(
        settings: GuardSettings,
        folder: Path,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> "GuardPipeline":
        """The guards after `settings`; lists are sought from `folder`.

        Raises `WordListError` for a list that cannot be used.
        """
        content = content_guard(settings.content, folder)
        pii = pii_guard(settings.pii)
        prompts = [content] if settings.content.prompts else []
        prompts += [pii] if settings.pii.prompts else []
        prompts += [injection_guard(settings.injection, folder)] * settings.injection.enabled
        outputs = [content] if settings.content.outputs else []
        outputs += [pii] if settings.pii.outputs else []
        return GuardPipeline(prompts, outputs, clock_ns)

    def alone(self, name: str) -> "GuardPipeline":
        """One of its guards by itself, which counts anew. Not on another thread at the same time:
        both judge by the same rules."""
        return GuardPipeline(
            [guard for guard in self._prompts if guard.name == name],
            [guard for guard in self._outputs if guard.name == name],
            self._clock_ns,
        )

    def check_prompt(self, text: str) -> Verdict:
        """Judge a whole prompt, or one message of it."""
        return self._check(text, self._prompts)

    def check_output(self, text: str) -> Verdict:
        """Judge a whole answer, as a stream of it would be."""
        return self._check(text, self._outputs)

    def guard_output(self) -> StreamGuard:
        """The guard of one answer that comes in pieces; one for each choice of a request."""
        return self._stream(self._outputs)

    def _stream(self, guards: Sequence[TextGuard]) -> StreamGuard:
        tallies = [self.tallies[guard.name] for guard in guards]
        return StreamGuard(guards, tallies, self._clock_ns, self.all_guards)

    def _check(self, text: str, guards: Sequence[TextGuard]) -> Verdict:
        stream = self._stream(guards)
        passed = stream.push_all(text)
        return Verdict(
            stream.outcome, passed, tuple(stream.findings), stream.blocked, tuple(stream.failed)
        )


def content_guard(settings: ContentSettings, folder: Path) -> TextGuard:
    """The guard `content`. Raises `WordListError`."""
    lists = _lists(settings.lists, folder)
    return TextGuard(
        "content",
        words=[word for each in lists for word in each.words],
        caseless=[pattern for each in lists for pattern in each.patterns],
        closes=settings.on_failure == "closed",
    )


def pii_guard(settings: PiiSettings) -> TextGuard:
    """The guard `pii`."""
    rules = [*personal_rules(settings.action_of), *secret_rules(settings.action_of)]
    return TextGuard("pii", exact=rules, closes=settings.on_failure == "closed")


def injection_guard(settings: InjectionSettings, folder: Path) -> TextGuard:
    """The guard `injection`. Raises `WordListError`."""
    lists = _lists(settings.lists, folder)
    hidden = some(settings.hidden_text)
    return TextGuard(
        "injection",
        words=[word for each in lists for word in each.words],
        caseless=[pattern for each in lists for pattern in each.patterns],
        hidden=[] if hidden is None else [hidden_rule(hidden)],
        closes=settings.on_failure == "closed",
    )


def _lists(settings: Sequence[ListSettings], folder: Path) -> list[RuleList]:
    return [read_list(each.name, folder, each.actions(), each.severity) for each in settings]
