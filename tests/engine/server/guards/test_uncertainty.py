"""Entropies against their definition, the reference's places, and NeMo's limits of perplexity."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.perplexity import (
    judge_perplexity,
    perplexity,
    texts_to_score,
)
from prodtop.engine.server.guards.uncertainty import auroc, calibrate, entropy_of_top, measure


@given(weights=st.lists(st.floats(1e-3, 1), min_size=1, max_size=30), kept=st.integers(1, 30))
def test_the_entropy_of_the_likeliest_is_a_lower_bound(weights: list[float], kept: int) -> None:
    shares = sorted((weight / sum(weights) for weight in weights), reverse=True)
    whole = -math.fsum(share * math.log(share) for share in shares)
    logprobs = [math.log(share) for share in shares]
    assert entropy_of_top(logprobs) == pytest.approx(whole, abs=1e-9)
    assert 0 <= entropy_of_top(logprobs[:kept]) <= whole + 1e-9


def test_a_sure_token_has_none() -> None:
    assert entropy_of_top([0.0, -math.inf]) == 0
    assert entropy_of_top([math.log(0.5)] * 2) == pytest.approx(math.log(2))


def test_an_answer_has_its_place_in_the_reference() -> None:
    reference = calibrate("m", [[float(n), float(2 * n)] for n in range(1, 101)])
    lowest, middle, highest = (measure([n, 2 * n], reference) for n in (0.5, 50.0, 500.0))
    assert lowest is not None
    assert middle is not None
    assert highest is not None
    assert (lowest.score, middle.score, highest.score) == (0.0, 0.5, 1.0)
    assert (middle.mean_entropy, middle.max_entropy, middle.tokens) == (75.0, 100.0, 2)


def test_what_is_not_known_has_no_figure() -> None:
    assert measure([], None) is None
    bare = measure([1.0, 2.0], None)
    assert bare is not None
    assert bare.score is None
    with pytest.raises(ValueError, match="20 answers"):
        calibrate("m", [[1.0]] * 19 + [[]])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    true = [score for score, label in pairs if label]
    false = [score for score, label in pairs if not label]
    wins = [(a > b) + 0.5 * (a == b) for a in true for b in false]
    expected = sum(wins) / len(wins) if wins else None
    measured = auroc([float(score) for score, _ in pairs], [label for _, label in pairs])
    assert measured == (None if expected is None else pytest.approx(expected))


def test_perplexity_and_its_limits() -> None:
    assert perplexity([]) is None
    assert perplexity([math.log(0.25)] * 3) == pytest.approx(4.0)
    assert perplexity([-1e6]) is not None
    limits = (89.79, 1845.65)
    assert judge_perplexity("a" * 100, 2.0, [], *limits).reasons == ()
    assert judge_perplexity("a" * 400, 2.0, [], *limits).reasons == ("length_per_perplexity",)
    assert judge_perplexity("a", 2.0, [1.0, 2000.0], *limits).reasons == ("affix_perplexity",)
    assert judge_perplexity("a", None, [], *limits).length_per_perplexity is None


def test_the_parts_that_are_scored() -> None:
    assert texts_to_score("a b").texts() == ["a b"]
    prompt = " ".join(str(n) for n in range(50))
    scored = texts_to_score(prompt)
    assert scored.prefix == " ".join(str(n) for n in range(20))
    assert scored.suffix == " ".join(str(n) for n in range(30, 50))
    assert len(scored.texts()) == 3
