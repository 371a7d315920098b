"""The laws of the load against the moments they should have, with fixed seeds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.load.arrivals import (
    ArrivalTimes,
    GapLaw,
    Stream,
    ZipfLaw,
    fit_tokens,
    random_stream,
    spread_lengths,
)

SAMPLES = 20_000


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("rate_per_s", [0.5, 40.0])
def test_gaps_have_the_rate_and_the_burstiness_asked_for(
    rate_per_s: float, burstiness: float
) -> None:
    law = GapLaw(rate_per_s, burstiness, np.random.default_rng(5))
    gaps = law.next_gaps_s(SAMPLES)
    variation = 1 / np.sqrt(burstiness)
    assert gaps.mean() == pytest.approx(1 / rate_per_s, rel=4 * variation / np.sqrt(SAMPLES))
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=20), st.sampled_from([0.25, 1.0, 4.0]))
def test_gaps_are_the_same_however_many_are_drawn_at_once(
    parts: list[int], burstiness: float
) -> None:
    whole, cut = (GapLaw(5.0, burstiness, np.random.default_rng(4)) for _ in range(2))
    pieces = [cut.next_gaps_s(part) for part in parts]
    assert np.array_equal(whole.next_gaps_s(sum(parts)), np.concatenate([np.empty(0), *pieces]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 1500)), max_size=9))
def test_due_arrivals_come_once_each_in_their_order(looks: list[tuple[float, int]]) -> None:
    """Whenever somebody looks, and however many are wanted then: none is lost or overtaken."""
    law = GapLaw(200.0, 1.0, np.random.default_rng(3))
    expected = iter((10.0 + np.cumsum(law.next_gaps_s(20_000))).tolist())
    times = ArrivalTimes(GapLaw(200.0, 1.0, np.random.default_rng(3)), 10.0)
    now_s = 10.0
    for later_s, most in looks:
        now_s += later_s
        popped = times.pop_due(now_s, most)
        assert popped == pytest.approx([next(expected) for _ in popped])
        assert len(popped) <= most
        assert all(at_s <= now_s for at_s in popped)
        assert popped or not most or times.next_s > now_s


@pytest.mark.parametrize("rate_per_s", [1e-300, 5e-324])
@pytest.mark.parametrize("burstiness", [1e-300, 1.0, 1e6])
def test_a_rate_of_next_to_nothing_has_finite_times(rate_per_s: float, burstiness: float) -> None:
    law = GapLaw(rate_per_s, burstiness, np.random.default_rng(5))
    assert np.isfinite(np.cumsum(law.next_gaps_s(SAMPLES))).all()


def test_poisson_counts_vary_as_much_as_their_mean() -> None:
    law = GapLaw(20.0, 1.0, np.random.default_rng(6))
    times = np.cumsum(law.next_gaps_s(SAMPLES))
    counts = np.bincount(times.astype(int))[:-1]
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("rate", "burstiness"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_an_impossible_law_is_refused(rate: float, burstiness: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        GapLaw(rate, burstiness, np.random.default_rng(0))


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.1, 2.0])
def test_prompts_are_chosen_by_zipfs_law(exponent: float) -> None:
    count = 50
    law = ZipfLaw(count, exponent, np.random.default_rng(7))
    uniform = np.random.default_rng(8).random(SAMPLES)
    chosen = Counter(law.choose(float(each)) for each in uniform)
    weights = 1 / np.arange(1, count + 1) ** exponent
    expected = SAMPLES * weights / weights.sum()
    found = np.array(sorted((chosen[index] for index in range(count)), reverse=True))
    # Sorting favours high counts among equals: compare the sums of ranks, not each of them.
    deviation = np.abs(found.cumsum() - expected.cumsum()).max() / SAMPLES
    assert deviation < (0.03 if exponent == 0.0 else 0.015)


def test_popularity_is_a_seeded_permutation() -> None:
    favourites = {ZipfLaw(50, 1.1, np.random.default_rng(seed)).choose(0.0) for seed in range(20)}
    assert len(favourites) > 10
    one, same = (ZipfLaw(50, 1.1, np.random.default_rng(3)) for _ in range(2))
    assert [one.choose(u / 99) for u in range(99)] == [same.choose(u / 99) for u in range(99)]


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.0, 20.0), st.floats(0.0, 1.0, exclude_max=True))
def test_a_choice_is_always_one_of_them(count: int, exponent: float, uniform: float) -> None:
    assert 0 <= ZipfLaw(count, exponent, np.random.default_rng(0)).choose(uniform) < count


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 300), st.integers(0, 99))
def test_lengths_stay_in_their_range_and_fill_it(
    least: int, width: int, count: int, seed: int
) -> None:
    most = least + width
    lengths = spread_lengths(least, most, count, np.random.default_rng(seed))
    assert lengths.shape == (count,)
    assert least <= lengths.min() <= lengths.max() <= most
    # One from each of `count` equal parts: sorted, none is further than a part from its place.
    place = least + (np.arange(count) + 0.5) / count * (width + 1)
    assert np.abs(np.sort(lengths) + 0.5 - place).max() <= (width + 1) / count / 2 + 0.5


def test_lengths_are_uniform() -> None:
    lengths = spread_lengths(16, 95, 80_000, np.random.default_rng(9))
    counts = np.bincount(lengths, minlength=96)[16:]
    assert counts.min() >= 990
    assert counts.max() <= 1010
    assert abs(np.corrcoef(lengths[:-1], lengths[1:])[0, 1]) < 0.02


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="between 5 and 4"):
        spread_lengths(5, 4, 10, np.random.default_rng(0))


def test_streams_of_one_seed_differ_and_repeat() -> None:
    first = {stream: random_stream(11, stream).random() for stream in Stream}
    assert len(set(first.values())) == len(Stream)
    assert first == {stream: random_stream(11, stream).random() for stream in Stream}
    assert random_stream(11, Stream.CHOICES, part=1).random() != first[Stream.CHOICES]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4095), min_size=1, max_size=50), st.integers(1, 200))
def test_fitted_tokens_have_the_length_and_keep_the_beginning(
    tokens: list[int], length: int
) -> None:
    fitted = fit_tokens(tokens, length)
    assert len(fitted) == length
    assert all(token == tokens[index % len(tokens)] for index, token in enumerate(fitted))


@pytest.mark.parametrize(("tokens", "length"), [([], 4), ([1, 2], 0)])
def test_nothing_cannot_be_fitted(tokens: list[int], length: int) -> None:
    with pytest.raises(ValueError, match="cannot be made"):
        fit_tokens(tokens, length)
