"""A step between its launch and the moment in which its tokens are taken in."""

from dataclasses import dataclass

from .runner import StepResult
from .step_plan import StepPlan


@dataclass(frozen=True, slots=True)
class Launched:
    """A step under way, whose requests took `cached_tokens` from the prefix cache. `drafting`: it
    was planned while drafts were asked for, whether there were any or not."""

    plan: StepPlan
    result: StepResult
    cached_tokens: int
    drafting: bool
