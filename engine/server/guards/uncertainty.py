"""How uncertain a model was of an answer: a heuristic, from the entropies of its tokens.

After arXiv 2605.28264: the mean and the largest token entropy of an answer, each through the
distribution function of a reference, so that 0.9 means "more uncertain than nine in ten reference
answers". Confident errors are invisible to it, and long answers have larger maxima: it flags an
answer for a look, and proves nothing. Without a reference of the model at hand there is no figure.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

LEAST_REFERENCES = 20
"""Of answers in a reference; with fewer a quantile of 0.95 is no more than a guess."""


class UncertaintyReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mean and largest entropies, in nats, of reference answers of one model; both sorted."""

    model: str
    means: list[float]
    maxima: list[float]


class Uncertainty(msgspec.Struct, frozen=True, kw_only=True):
    """Of one answer: entropies in nats over `tokens` tokens, and their places in the reference.

    `score` is the mean of both places; `None` where there is no reference.
    """

    tokens: int
    mean_entropy: float
    max_entropy: float
    score: float | None


def entropy_of_top(logprobs: Sequence[float]) -> float:
    """The entropy in nats of a token's distribution, from the logprobs of its likeliest tokens.

    It is a lower bound, exact where they are the whole vocabulary: no token of the mass that they
    leave is likelier than the last of them, so that −Σ p ln p of those is at least that mass times
    −ln of it. (As one single outcome that mass would make a flat distribution look certain.) A
    logprob of minus infinity adds nothing.
    """
    shares = [math.exp(logprob) for logprob in logprobs]
    rest = max(0.0, 1.0 - math.fsum(shares))
    terms = [share * logprob for share, logprob in zip(shares, logprobs, strict=True) if share > 0]
    most = min([rest, *(share for share in shares if share > 0)])
    return max(0.0, -math.fsum(terms) - (rest * math.log(most) if rest > 0 else 0.0))


def calibrate(model: str, answers: Sequence[Sequence[float]]) -> UncertaintyReference:
    """The reference from the token entropies of answers `[answers][tokens]`; empty ones are left
    out. Raises `ValueError` for fewer than `LEAST_REFERENCES`."""
    filled = [answer for answer in answers if answer]
    if len(filled) < LEAST_REFERENCES:
        raise ValueError(f"a reference takes {LEAST_REFERENCES} answers, not {len(filled)}")
    return UncertaintyReference(
        model=model,
        means=sorted(math.fsum(answer) / len(answer) for answer in filled),
        maxima=sorted(max(answer) for answer in filled),
    )


def measure(
    entropies: Sequence[float], reference: UncertaintyReference | None
) -> Uncertainty | None:
    """The uncertainty of an answer from its tokens' entropies; `None` for an empty answer."""
    if not entropies:
        return None
    mean, most = math.fsum(entropies) / len(entropies), max(entropies)
    places = None
    if reference is not None:
        places = (_place(mean, reference.means), _place(most, reference.maxima))
    return Uncertainty(
        tokens=len(entropies),
        mean_entropy=mean,
        max_entropy=most,
        score=None if places is None else sum(places) / 2,
    )


def _place(value: float, reference: Sequence[float]) -> float:
    """The share of the reference that is not above a value."""
    return bisect_right(reference, value) / len(reference)


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that a true label has the higher score than a false one; ties count half.

    `None` without one of each. Mann and Whitney's U over the product of both counts.
    """
    true = [score for score, label in zip(scores, labels, strict=True) if label]
    false = sorted(score for score, label in zip(scores, labels, strict=True) if not label)
    if not true or not false:
        return None
    wins = math.fsum(bisect_right(false, score) - 0.5 * false.count(score) for score in true)
    return wins / (len(true) * len(false))
