"""Prompts that no person writes: suffixes found by search have a perplexity far above text's.

After NVIDIA's NeMo Guardrails ("jailbreak detection heuristics"): a prompt is suspect where
length ÷ perplexity > 89.79, or where its first or last 20 words have a perplexity above 1845.65.
Those limits were calibrated for GPT-2 large. Perplexity depends on the model and its tokenizer:
`prodtop guards calibrate` measures limits for another one, on the benign set that ships.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

Limit = Annotated[float, msgspec.Meta(gt=0, le=1e300)]
AFFIX_WORDS = 20
"""Of the first and last part that are scored by themselves; a shorter prompt is not judged."""


class PerplexitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[guards.perplexity]`. Off unless it is given: it costs a prompt three passes.

    Limits that are `None` are those calibrated for the model that is served. `on_failure`: what
    becomes of a prompt that the engine would not score.
    """

    enabled: bool = False
    action: Literal["flag", "block"] = "flag"
    on_failure: Literal["open", "closed"] = "closed"
    length_per_perplexity: Limit | None = None
    affix_perplexity: Limit | None = None


@dataclass(frozen=True, slots=True)
class ScoredTexts:
    """The texts whose perplexity is needed, in this order; parts only where a prompt is long."""

    whole: str
    prefix: str | None
    suffix: str | None

    def texts(self) -> list[str]:
        """Those that there are."""
        return [text for text in (self.whole, self.prefix, self.suffix) if text is not None]


def texts_to_score(prompt: str) -> ScoredTexts:
    """What to ask the engine the prompt logprobs of."""
    words = prompt.split()
    if len(words) < AFFIX_WORDS:
        return ScoredTexts(prompt, None, None)
    return ScoredTexts(prompt, " ".join(words[:AFFIX_WORDS]), " ".join(words[-AFFIX_WORDS:]))


def perplexity(logprobs: Sequence[float]) -> float | None:
    """e to the mean of −logprob over a text's tokens but the first; `None` without a token."""
    if not logprobs:
        return None
    # Where it would overflow it is above every limit anyway.
    return math.exp(min(700.0, -math.fsum(logprobs) / len(logprobs)))


@dataclass(frozen=True, slots=True)
class PerplexityVerdict:
    """Which of the two limits a prompt is above, and by what figures; `None`: not measured."""

    length_per_perplexity: float | None
    affix_perplexity: float | None
    reasons: tuple[str, ...]


def judge_perplexity(
    prompt: str,
    whole: float | None,
    affixes: Sequence[float],
    most_length_per_perplexity: float,
    most_affix_perplexity: float,
) -> PerplexityVerdict:
    """Judge a prompt by the perplexities of its `texts_to_score`, and two limits."""
    ratio = None if whole is None else len(prompt) / whole
    worst = max(affixes, default=None)
    reasons = [
        name
        for name, value, limit in (
            ("length_per_perplexity", ratio, most_length_per_perplexity),
            ("affix_perplexity", worst, most_affix_perplexity),
        )
        if value is not None and value > limit
    ]
    return PerplexityVerdict(ratio, worst, tuple(reasons))
