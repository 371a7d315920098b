"""What the guards of texts have done since the server's start, for `/metrics`."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .guards.findings import Failure, Finding, Outcome


class GuardCounts:
    """Counts by guard. All calls are made on the event loop's thread.

    `texts` are counted by guard and by the strongest thing it did to each, `failures` by guard.
    """

    def __init__(self, guards: Iterable[str]) -> None:
        names = tuple(dict.fromkeys(guards))
        # From the beginning, so that the first one of a kind is an increase.
        self.texts = Counter({(name, outcome): 0 for name in names for outcome in Outcome})
        self.failures = Counter(dict.fromkeys(names, 0))

    def add(
        self,
        guards: Sequence[str],
        findings: Iterable[Finding],
        blocked_by: Finding | Failure | None,
        failed: Iterable[str],
    ) -> None:
        """A text was judged by `guards`."""
        outcomes = dict.fromkeys(guards, Outcome.PASS)
        for finding in findings:
            did = Outcome.of(finding.rule.action)
            outcomes[finding.guard] = max(outcomes[finding.guard], did)
        if isinstance(blocked_by, Failure):
            outcomes[blocked_by.guard] = Outcome.BLOCK
        self.texts.update(outcomes.items())
        self.failures.update(failed)
