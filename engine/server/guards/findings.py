"""What guards find, and what becomes of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Severity = Literal["low", "medium", "high"]
ActionName = Literal["flag", "redact", "block"]
"""What a rule does with what it finds: note it, replace it, end the text before it."""


class Outcome(IntEnum):
    """What became of a text; the stronger the higher."""

    PASS = 0
    FLAG = 1
    REDACT = 2
    BLOCK = 3

    @staticmethod
    def of(action: ActionName) -> "Outcome":
        """What one finding makes of a text."""
        return _OUTCOMES[action]


_OUTCOMES: dict[ActionName, Outcome] = {
    "flag": Outcome.FLAG,
    "redact": Outcome.REDACT,
    "block": Outcome.BLOCK,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a guard looks for: its name, how bad it is, and what is done about it.

    `label` is what stands in the place of redacted text.
    """

    name: str
    severity: Severity = "medium"
    action: ActionName = "flag"
    label: str = "[REDACTED]"


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end` of a text, which `rule` of a guard is about."""

    guard: str
    rule: Rule
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A guard raised, and is set to close: nothing passes that it has not judged."""

    guard: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guards make of a whole text.

    `text` is what may pass: redacted, and of a blocked text what came before. `blocked_by` says
    why it ends there; `failed` names the guards that raised, also those that let pass.
    """

    outcome: Outcome
    text: str
    findings: tuple[Finding, ...]
    blocked_by: Finding | Failure | None = None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a text is to be looked at: a rule of a guard that only flags."""

    guard: str
    rule: str


def flags_of(findings: Iterable[Finding]) -> list[Flag]:
    """The rules that flagged a text, each once, in the order in which they did."""
    flagged = (each for each in findings if each.rule.action == "flag")
    return list(dict.fromkeys(Flag(each.guard, each.rule.name) for each in flagged))
