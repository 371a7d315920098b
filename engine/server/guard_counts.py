"""What the guards of texts have done since the server's start, for `/metrics` and the screen."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .guards.findings import Failure, Finding, Outcome
from .guards.tally import ALL


class GuardCounts:
    """Counts by guard. All calls are made on the event loop's thread.

    `texts` are counted by guard and by the strongest thing it did to each, `failures` by guard.
    `unjudged` are those that a guard let pass, as it knows nothing of the model served.
    `by_model` are the guards that ask the model; they have no part in `all`.
    """

    def __init__(self, guards: Iterable[str], by_model: Iterable[str] = ()) -> None:
        own, asking = tuple(dict.fromkeys(guards)), tuple(by_model)
        names = (*own, *asking, ALL) if own else asking
        self.names = names
        # From the beginning, so that the first one of a kind is an increase.
        self.texts = Counter({(name, outcome): 0 for name in names for outcome in Outcome})
        self.failures = Counter(dict.fromkeys(names, 0))
        self.unjudged = Counter(dict.fromkeys(asking, 0))

    def add(
        self,
        guards: Sequence[str],
        findings: Iterable[Finding],
        blocked_by: Finding | Failure | None,
        failed: Iterable[str],
    ) -> None:
        """A text was judged by `guards`, those of text."""
        if not guards:
            return
        outcomes = dict.fromkeys(guards, Outcome.PASS)
        for finding in findings:
            did = Outcome.of(finding.rule.action)
            outcomes[finding.guard] = max(outcomes[finding.guard], did)
        if isinstance(blocked_by, Failure):
            outcomes[blocked_by.guard] = Outcome.BLOCK
        self.texts.update([*outcomes.items(), (ALL, max(outcomes.values()))])
        failures = list(failed)
        self.failures.update(failures)
        self.failures[ALL] += bool(failures)

    def add_asked(self, guard: str, outcome: Outcome | None) -> None:
        """A guard has asked the model about a text; `None`: it could not judge it."""
        if outcome is None:
            self.unjudged[guard] += 1
        else:
            self.texts[guard, outcome] += 1
