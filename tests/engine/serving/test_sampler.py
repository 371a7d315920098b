"""The next token: the distribution it is drawn from, and that it can be drawn again."""

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.sampler import BROKEN_LOGITS, gumbel_noise, sample
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

VOCABULARY = 12
PLAIN = Sampling(temperature=1.0)
CHI_SQUARE_ONE_IN_A_MILLION = {11: 51.0, 4: 34.0}
"""By degrees of freedom: the statistic that chance exceeds once in about a million times."""


def request(sampling: Sampling = PLAIN, *, seed: int = 0, generated: int = 0) -> Request:
    """A request about to get output token number `generated`."""
    made = Request(0, [1, 2, 3], 10_000, sampling, 0.0, noise_seed=seed)
    made.tokens.extend([4] * generated)
    return made


def random_logits(rows: int, vocabulary: int, seed: int = 0, spread: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, vocabulary, generator=generator) * spread


def draws(logits: Tensor, sampling: Sampling, count: int) -> NDArray[np.int64]:
    """How often each token of one row of logits is drawn, at the positions of several seeds."""
    per_seed = 500
    requests = [
        request(sampling, seed=7 + n // per_seed, generated=n % per_seed) for n in range(count)
    ]
    tokens = sample(logits.expand(count, -1), requests)
    counts: NDArray[np.int64] = np.bincount(tokens, minlength=logits.shape[-1])
    return counts


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def chi_square(counts: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    expected = counts.sum() * probabilities
    return float((((counts - expected) ** 2) / expected).sum())


def test_greedy_takes_the_largest() -> None:
    logits = random_logits(5, 300)
    greedy = [request(Sampling()) for _ in range(5)]
    assert sample(logits, greedy) == np.argmax(logits.numpy(), axis=1).tolist()


def test_greedy_ignores_the_other_settings() -> None:
    logits = random_logits(1, 300)
    plain, dressed = request(Sampling()), request(Sampling(0.0, top_p=0.1, top_k=2, seed=9))
    assert sample(logits, [plain]) == sample(logits, [dressed])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("sampling", [Sampling(), PLAIN, Sampling(1.0, top_p=0.9, top_k=3)])
def test_a_single_logit_that_is_no_number_breaks_its_row_alone(
    dtype: torch.dtype, value: float, sampling: Sampling
) -> None:
    logits = random_logits(3, 300).to(dtype)
    whole = sample(logits, [request(sampling)] * 3)
    for place in (0, 150, 299):
        broken = logits.clone()
        broken[1, place] = value
        assert sample(broken, [request(sampling)] * 3) == [whole[0], BROKEN_LOGITS, whole[2]]


@pytest.mark.parametrize("sampling", [Sampling(), PLAIN, Sampling(1.0, top_p=0.9, top_k=3)])
def test_tokens_may_be_ruled_out_but_not_all(sampling: Sampling) -> None:
    logits = torch.full((2, 300), -math.inf)
    logits[0, 17] = 1.0
    assert sample(logits, [request(sampling)] * 2) == [17, BROKEN_LOGITS]


TINY = [0.99e-5, 1e-6, 1e-20, 1e-37, 1e-38, 1e-39, 1e-44, 1e-46, 1e-300, 5e-324]
FILTERS = [(1.0, 0), (0.95, 0), (0.0, 0), (1.0, 40), (0.5, 3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", TINY)
@pytest.mark.parametrize(("top_p", "top_k"), FILTERS)
def test_as_the_temperature_falls_sampling_becomes_greedy(
    temperature: float, top_p: float, top_k: int, dtype: torch.dtype
) -> None:
    """Also among equal logits, of which greedy takes the first."""
    logits = random_logits(16, 300, spread=4.0).to(dtype)
    logits[:, 200:] = logits[:, :100]
    requests = [request(Sampling(temperature, top_p, top_k), seed=seed) for seed in range(16)]
    assert sample(logits, requests) == sample(logits, [request(Sampling())] * 16)
    assert requests[0].sampling.deterministic


@settings(deadline=None, max_examples=60)
@given(
    temperature=st.floats(5e-324, 1e308),
    scale=st.sampled_from([1e-30, 1.0, 1e4, 1e30, 3e37]),
    shift=st.sampled_from([0.0, -6.0, 6.0]),
    filters=st.sampled_from(FILTERS),
)
def test_no_temperature_takes_logits_out_of_range(
    temperature: float, scale: float, shift: float, filters: tuple[float, int]
) -> None:
    """A token is one that the softmax in fp64 leaves a chance."""
    logits = (random_logits(4, 50, spread=0.3).clamp(-1, 1) + shift) * scale
    logits[:, 7] = -math.inf
    tokens = sample(logits, [request(Sampling(temperature, *filters), seed=n) for n in range(4)])
    for row, token in zip(logits.double().numpy(), tokens, strict=True):
        assert token not in (7, BROKEN_LOGITS)
        assert (row.max() - row[token]) / temperature < 40.0


def test_a_row_out_of_range_changes_no_other() -> None:
    logits = random_logits(3, 300)
    plain = [request(Sampling(0.7), seed=seed) for seed in range(3)]
    alone = sample(logits, plain)
    logits[1] = 3e38
    logits[1, 5] = 3.1e38
    hot = request(Sampling(1e-4))
    assert sample(logits, [plain[0], hot, plain[2]]) == [alone[0], 5, alone[2]]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_softmax_says(temperature: float) -> None:
    logits = random_logits(1, VOCABULARY, spread=1.0)
    counts = draws(logits, Sampling(temperature=temperature), 20_000)
    probabilities = softmax(logits[0].double().numpy() / temperature)
    assert chi_square(counts, probabilities) < CHI_SQUARE_ONE_IN_A_MILLION[VOCABULARY - 1]


def test_that_test_can_tell_a_wrong_temperature() -> None:
    logits = random_logits(1, VOCABULARY, spread=1.0)
    counts = draws(logits, Sampling(temperature=1.0), 20_000)
    wrong = softmax(logits[0].double().numpy() / 1.1)
    assert chi_square(counts, wrong) > CHI_SQUARE_ONE_IN_A_MILLION[VOCABULARY - 1]


def test_within_top_k_the_proportions_stay() -> None:
    logits = random_logits(1, VOCABULARY, spread=1.0)
    counts = draws(logits, Sampling(temperature=1.0, top_k=5), 20_000)
    best = np.argsort(-logits[0].numpy())[:5]
    assert counts.sum() == counts[best].sum()
    probabilities = softmax(logits[0, best].double().numpy())
    assert chi_square(counts[best], probabilities) < CHI_SQUARE_ONE_IN_A_MILLION[4]


def warped(logits: Tensor, sampling: Sampling) -> Tensor:
    """What transformers leaves: temperature, then top-k, then top-p, as its `generate` does."""
    scores = TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k > 0:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    kept: Tensor = scores > float("-inf")
    return kept


def drawn_set(logits: Tensor, sampling: Sampling, repeats: int) -> set[int]:
    requests = [request(sampling, seed=n) for n in range(repeats)]
    return set(sample(logits.expand(repeats, -1), requests))


@settings(deadline=None, max_examples=50)
@given(
    temperature=st.sampled_from([0.5, 1.0, 4.0]),
    top_k=st.integers(0, 14),
    top_p=st.sampled_from([0.001, 0.3, 0.5, 0.8, 0.95, 1.0]),
    seed=st.integers(0, 1000),
)
def test_exactly_what_transformers_keeps_can_be_drawn(
    temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    # Nearly flat, so that every token that is left comes up within the draws.
    logits = random_logits(1, VOCABULARY, seed, spread=0.5 * temperature)
    sampling = Sampling(temperature, top_p=top_p, top_k=top_k)
    kept = set(warped(logits, sampling)[0].nonzero().flatten().tolist())
    assert drawn_set(logits, sampling, 1200) == kept


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(1.0, top_p=0.9),
        Sampling(1.0, top_k=300),
        Sampling(1.0, top_k=400, top_p=0.9),
        Sampling(1.0, top_k=900, top_p=0.5),
        Sampling(1.0, top_p=0.999),
    ],
    ids=str,
)
def test_sets_larger_than_the_first_candidates_are_not_cut(sampling: Sampling) -> None:
    """A flat distribution over 1000 tokens, of which a few hundred are kept."""
    logits = random_logits(1, 1000, spread=0.1)
    kept = set(warped(logits, sampling)[0].nonzero().flatten().tolist())
    assert len(kept) > 256
    drawn = drawn_set(logits, sampling, 8000)
    assert drawn <= kept
    assert len(drawn) > 0.99 * len(kept)


@pytest.mark.parametrize("sampling", [Sampling(1.0, top_k=1), Sampling(1.0, top_p=0.4)])
def test_equally_likely_tokens_are_kept_together(sampling: Sampling) -> None:
    logits = torch.tensor([[0.0, 5.0, 1.0, 5.0]])
    assert drawn_set(logits, sampling, 64) == {1, 3}


def mixed_requests(rng: random.Random, count: int) -> list[Request]:
    choices = [
        Sampling(),
        Sampling(0.7, seed=3),
        Sampling(1.0, top_p=0.9, seed=3),
        Sampling(1.3, top_k=5, seed=3),
        Sampling(1.0, top_p=0.5, top_k=300, seed=3),
        Sampling(5.0, top_p=0.999, seed=3),
    ]
    return [
        request(rng.choice(choices), seed=rng.randrange(2**62), generated=rng.randrange(50))
        for _ in range(count)
    ]


@settings(deadline=None, max_examples=30)
@given(rng=st.randoms(use_true_random=False), narrow=st.booleans())
def test_neither_the_batch_nor_the_row_changes_a_token(rng: random.Random, narrow: bool) -> None:
    requests = mixed_requests(rng, rng.randint(2, 9))
    logits = random_logits(len(requests), 700, rng.randrange(1000))
    # In bf16 many logits are equal, at the edges of top-k and top-p too.
    logits = logits.bfloat16() if narrow else logits
    alone = [sample(logits[row : row + 1], [each])[0] for row, each in enumerate(requests)]
    order = rng.sample(range(len(requests)), len(requests))
    together = sample(logits[order], [requests[row] for row in order])
    assert together == [alone[row] for row in order]


def test_positions_and_seeds_have_noise_of_their_own() -> None:
    logits = torch.zeros(1, 1000)
    by_position = {sample(logits, [request(seed=1, generated=n)])[0] for n in range(50)}
    by_seed = {sample(logits, [request(seed=n)])[0] for n in range(50)}
    assert len(by_position) > 40
    assert len(by_seed) > 40


def test_the_noise_comes_from_the_seed_drawn_for_the_request() -> None:
    """Without a seed asked for, two requests must not get the same text."""
    unseeded = Sampling(temperature=1.0)
    logits = torch.zeros(2, 1000)
    first, second = sample(logits, [request(unseeded, seed=1), request(unseeded, seed=2)])
    assert first != second


def test_noise_is_standard_gumbel() -> None:
    keys = torch.randint(-(2**62), 2**62, (400,), generator=torch.Generator().manual_seed(1))
    noise = gumbel_noise(keys, torch.arange(1000)).double().numpy().ravel()
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.01)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.03)
    # Against the distribution function, where each hundredth of the noise should lie.
    expected = np.exp(-np.exp(-np.quantile(noise, np.linspace(0.01, 0.99, 99))))
    np.testing.assert_allclose(expected, np.linspace(0.01, 0.99, 99), atol=0.004)


def test_noise_of_neighbouring_keys_and_tokens_is_unrelated() -> None:
    noise = gumbel_noise(torch.arange(500), torch.arange(500)).double().numpy()
    for shifted in (noise[1:, :-1], noise[:-1, 1:], noise[1:, 1:]):
        related = np.corrcoef(noise[:-1, :-1].ravel(), shifted.ravel())[0, 1]
        assert abs(related) < 0.01


def test_noise_is_that_of_the_token_wherever_it_stands() -> None:
    keys = torch.tensor([5, -6])
    whole = gumbel_noise(keys, torch.arange(100))
    picked = torch.tensor([[7, 3, 99], [0, 50, 7]])
    assert torch.equal(gumbel_noise(keys, picked), whole.gather(1, picked))


def unmixed(word: int) -> int:
    """The input that splitmix64's finalizer turns into `word`: each of its steps undone."""
    mask = (1 << 64) - 1

    def unshift(value: int, bits: int) -> int:
        result = value
        for _ in range(64 // bits):
            result = value ^ (result >> bits)
        return result

    word = unshift(word, 31)
    word = unshift(word * pow(0x94D049BB133111EB, -1, 1 << 64) & mask, 27)
    word = unshift(word * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & mask, 30)
    return word - (1 << 64) if word >= 1 << 63 else word


@pytest.mark.parametrize("word", [0, (1 << 64) - 1, 1 << 40, (1 << 64) - (1 << 39)])
def test_noise_is_finite_even_at_the_ends_of_the_hash(word: int) -> None:
    """Infinite noise would choose its token whatever its probability, and one in 2²⁴ is often."""
    noise = gumbel_noise(torch.tensor([unmixed(word)]), torch.tensor([0])).item()
    assert math.isfinite(noise)
    # The ends are really met: the smallest and the largest noise that there are.
    assert noise < -2.7 if word < 1 << 41 else noise > 15


@pytest.mark.gpu
def test_cuda_draws_the_tokens_of_the_cpu() -> None:
    rng = random.Random(4)
    requests = mixed_requests(rng, 64)
    logits = random_logits(64, 4096)
    there = sample(logits.cuda(), requests)
    here = sample(logits, requests)
    # `log` may differ in its last bit between the two, which can tip a near tie.
    assert sum(a != b for a, b in zip(here, there, strict=True)) <= 1
