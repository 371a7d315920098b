"""Measures what guards must know of a model, and how well they tell with it, on the sets that ship.

Whoever calls it brings something that completes and scores texts with the model.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from .bias import LEVEL, RESAMPLES
from .model_reference import ModelReference, limits_of
from .perplexity import AFFIX_WORDS, perplexity, texts_to_score
from .samples.sets import benign_texts, labelled_prompts, reference_prompts
from .uncertainty import UncertaintyReference, auroc, calibrate, measure

REFERENCE_TOKENS = 32
"""Of a reference answer."""
REFERENCE_TEMPERATURE = 0.7
JOINED_WORDS = (2 * AFFIX_WORDS, 80, 160, 320)
LABELLED_TOKENS = 3
"""Of a labelled answer, whose first word alone is judged."""

Tell = Callable[[str, float], None]
"""Says what is measured, and which share of it is done."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and the entropies of its tokens in nats."""

    text: str
    entropies: list[float]


class Completions(Protocol):
    """A model that answers and scores texts."""

    @property
    def model(self) -> str:
        """Its name, as a server serves it."""
        ...

    @property
    def precision(self) -> str:
        """That of its weights."""
        ...

    def answer(self, prompt: str, max_tokens: int, temperature: float, seed: int) -> Answered:
        """Continue a prompt."""
        ...

    def score(self, text: str) -> list[float]:
        """The logprobs of a text's tokens but the first."""
        ...

    def score_end(self, beginning: str, end: str) -> list[float]:
        """The logprobs of the tokens of `end` after `beginning`."""
        ...


class LabelledAuroc(msgspec.Struct, frozen=True, kw_only=True):
    """How well a figure tells wrong answers from right ones: the chance that a wrong one has the
    higher figure, with its bootstrap interval of 95 %; 0.5 is as good as a coin."""

    value: float
    low: float
    high: float


class UncertaintyQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Over `n` labelled answers, of which `wrong` were wrong: the AUROC of the score, and of the
    mean and the largest entropy alone; `None` where all answers were right, or all wrong."""

    n: int
    wrong: int
    score: LabelledAuroc | None
    mean_entropy: LabelledAuroc | None
    max_entropy: LabelledAuroc | None


def measure_reference(completions: Completions, day: str, tell: Tell) -> ModelReference:
    """The reference of a model: uncertainty over answers to beginnings of prose, and limits of
    perplexity over the benign prompts. Raises `ValueError` where the model says too little."""
    prompts = reference_prompts()
    answers = []
    for place, prompt in enumerate(prompts):
        tell("reference answers", place / len(prompts))
        answers.append(
            completions.answer(prompt, REFERENCE_TOKENS, REFERENCE_TEMPERATURE, place).entropies
        )
    uncertainty = calibrate(completions.model, answers)
    ratios, affixes = _perplexities(completions, tell)
    return ModelReference(
        model=completions.model,
        precision=completions.precision,
        measured=day,
        uncertainty=uncertainty,
        perplexity=limits_of(ratios, affixes),
    )


def calibration_prompts() -> list[str]:
    """The benign texts, and what comes of joining them, and beginnings of prose, to longer ones:
    length ÷ perplexity grows with the length, and short texts have no affixes."""
    texts = [each.text for each in benign_texts()]
    return [*texts, *_joined(texts), *_joined(reference_prompts())]


def _joined(texts: Sequence[str]) -> list[str]:
    """Texts joined in their order, to at least so many words by turns."""
    joined: list[str] = []
    words: list[str] = []
    for text in texts:
        words += text.split()
        if len(words) >= JOINED_WORDS[len(joined) % len(JOINED_WORDS)]:
            joined.append(" ".join(words))
            words = []
    return joined


def _perplexities(completions: Completions, tell: Tell) -> tuple[list[float], list[float]]:
    """Length ÷ perplexity of each prompt, and the perplexities of their affixes."""
    prompts = calibration_prompts()
    ratios: list[float] = []
    affixes: list[float] = []
    for place, prompt in enumerate(prompts):
        tell("benign prompts", place / len(prompts))
        whole, *parts = [
            perplexity(completions.score(text)) for text in texts_to_score(prompt).texts()
        ]
        if whole is not None:
            ratios.append(len(prompt) / whole)
        affixes += [each for each in parts if each is not None]
    return ratios, affixes


def measure_uncertainty(
    completions: Completions, reference: UncertaintyReference, tell: Tell
) -> UncertaintyQuality:
    """How well uncertainty tells the wrong ones of the labelled answers."""
    prompts = labelled_prompts()
    wrong: list[bool] = []
    scores: list[float] = []
    means: list[float] = []
    maxima: list[float] = []
    for place, prompt in enumerate(prompts):
        tell("labelled answers", place / len(prompts))
        answer = completions.answer(prompt.text, LABELLED_TOKENS, 0.0, 0)
        found = measure(answer.entropies, reference)
        if found is None or found.score is None:
            continue
        wrong.append(not prompt.is_right(answer.text))
        scores.append(found.score)
        means.append(found.mean_entropy)
        maxima.append(found.max_entropy)
    return UncertaintyQuality(
        n=len(wrong),
        wrong=sum(wrong),
        score=auroc_with_interval(scores, wrong),
        mean_entropy=auroc_with_interval(means, wrong),
        max_entropy=auroc_with_interval(maxima, wrong),
    )


def auroc_with_interval(
    scores: Sequence[float], labels: Sequence[bool], seed: int = 1
) -> LabelledAuroc | None:
    """AUROC with the percentile interval over resamples of the answers; `None` without one of each
    label. Resamples without one of each are left out."""
    value = auroc(scores, labels)
    if value is None:
        return None
    draw = random.Random(seed)
    places = range(len(scores))
    resampled = []
    for _ in range(RESAMPLES):
        drawn = draw.choices(places, k=len(scores))
        found = auroc([scores[place] for place in drawn], [labels[place] for place in drawn])
        if found is not None:
            resampled.append(found)
    resampled.sort()
    tail = round(len(resampled) * (1 - LEVEL) / 2)
    return LabelledAuroc(value=value, low=resampled[tail], high=resampled[-tail - 1])
