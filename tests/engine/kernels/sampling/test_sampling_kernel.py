"""Tokens chosen on the device are those of the reference sampler, whose noise is the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.kernels.sampling.sampling import (
    HostTokens,
    SamplerScratch,
    SamplerSettings,
    sample_tokens,
)
from prodtop.engine.kernels.sampling.thresholds import GREEDY_BELOW
from prodtop.engine.serving.request import GREEDY_BELOW as ENGINES_GREEDY_BELOW
from prodtop.engine.serving.sampler import BROKEN_LOGITS, SamplingBatch, _sample_rows
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def host_tokens(ring_rows: int, rows: int, ring_row: int) -> HostTokens:
    tokens = torch.full((ring_rows, rows), -7)
    if DEVICE.type == "cuda":
        tokens = tokens.pin_memory()
    return HostTokens(tokens, torch.tensor([ring_row], dtype=torch.int32, device=DEVICE))


class Draw:
    """Rows of logits with a setting each."""

    def __init__(self, logits: Tensor, rows: list[tuple[float, float, int]], seed: int = 0) -> None:
        """`rows` holds temperature, top-p and top-k."""
        temperature, top_p, top_k = zip(*rows, strict=True)
        generator = torch.Generator().manual_seed(seed)
        keys = torch.randint(-(1 << 62), 1 << 62, (len(rows),), generator=generator)
        self.logits = logits.to(DEVICE)
        self.settings = SamplerSettings(
            temperature=torch.tensor(temperature, device=DEVICE),
            top_p=torch.tensor(top_p, device=DEVICE),
            top_k=torch.tensor(top_k, dtype=torch.int32, device=DEVICE),
            keys=keys.to(DEVICE),
        )
        self.scratch = SamplerScratch.of(len(rows), DEVICE)

    def tokens(self, *, filtered: bool, splits: int | None = None) -> list[int]:
        out = torch.full((len(self.logits),), -2, dtype=torch.int32, device=DEVICE)
        host = host_tokens(1, len(self.logits), 0)
        sample_tokens(
            self.logits, self.settings, self.scratch, out, host, filtered=filtered, splits=splits
        )
        fresh = SamplerScratch.of(len(self.logits), DEVICE)
        for name in ("offers", "arrived", "maxima", "measures"):
            assert torch.equal(getattr(self.scratch, name), getattr(fresh, name)), name
        chosen: list[int] = out.tolist()
        return chosen

    def expected(self) -> list[int]:
        settings = self.settings
        chosen = self.logits.argmax(dim=1)
        drawn = settings.temperature > 0
        if drawn.any():
            batch = SamplingBatch(
                settings.temperature[drawn],
                settings.top_p[drawn],
                settings.top_k[drawn].long(),
                settings.keys[drawn],
            )
            chosen[drawn] = _sample_rows(self.logits[drawn], batch)
        tokens: list[int] = chosen.tolist()
        return tokens


def random_logits(rows: int, vocabulary: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    values = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 3
    return values.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("vocabulary", [1, 7, 1024, 3000])
def test_tokens_are_the_references(dtype: torch.dtype, vocabulary: int) -> None:
    rows = [(0.0, 1.0, 0), (1.0, 1.0, 0), (0.3, 1.0, 0), (2.0, 1.0, 0)]
    draw = Draw(random_logits(4, vocabulary, dtype), rows)
    for splits in (1, 3):
        assert draw.tokens(filtered=False, splits=splits) == draw.expected()


@settings(deadline=None, max_examples=12)
@given(
    dtype=st.sampled_from(DTYPES),
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.7, 1.0, 2.5]),
            st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
            st.sampled_from([0, 1, 5, 40, 500]),
        ),
        min_size=1,
        max_size=3,
    ),
    seed=st.integers(0, 99),
)
def test_filtered_tokens_are_the_references(
    dtype: torch.dtype, rows: list[tuple[float, float, int]], seed: int
) -> None:
    draw = Draw(random_logits(len(rows), 400, dtype, seed), rows, seed)
    assert draw.tokens(filtered=True) == draw.expected()


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_as_the_temperature_falls_the_largest_is_taken(dtype: torch.dtype, filtered: bool) -> None:
    temperatures = [0.0, 1e-46, 1e-39, 1e-37, 1e-20, 1e-6, 0.99e-5]
    for top_p, top_k in [(0.95, 0), (1.0, 40), (0.5, 3)] if filtered else [(1.0, 0)]:
        logits = random_logits(len(temperatures), 400, dtype)
        logits[:, 300:] = logits[:, :100]
        draw = Draw(logits, [(each, top_p, top_k) for each in temperatures])
        assert draw.tokens(filtered=filtered) == logits.argmax(dim=1).tolist()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("filters", [(1.0, 0), (0.9, 0), (1.0, 5)], ids=str)
def test_no_temperature_takes_logits_out_of_range(sign: float, filters: tuple[float, int]) -> None:
    """The best of logits near fp32's largest, of either sign, and -inf that stays out."""
    logits = sign * (2.0 + random_logits(4, 300, torch.float32).clamp(-1, 1)) * 1e38
    logits[:, 3] = -float("inf")
    draw = Draw(logits, [(each, *filters) for each in (1e-5, 1e-3, 0.7, 3.4e38)])
    chosen = draw.tokens(filtered=filters != (1.0, 0))
    assert chosen[:3] == logits.argmax(dim=1).tolist()[:3]
    assert chosen[3] not in (3, BROKEN_LOGITS)


def test_kernel_and_engine_agree_on_what_is_greedy() -> None:
    assert GREEDY_BELOW.value == ENGINES_GREEDY_BELOW


@pytest.mark.parametrize(("top_p", "top_k"), [(1.0, 1), (0.4, 0)])
def test_equally_likely_tokens_are_kept_together(top_p: float, top_k: int) -> None:
    logits = torch.tensor([[0.0, 5.0, -1.0, 5.0]]).expand(16, -1)
    draw = Draw(logits.contiguous(), [(1.0, top_p, top_k)] * 16)
    assert set(draw.tokens(filtered=True)) == {1, 3}


def test_zeros_of_either_sign_are_equal() -> None:
    logits = torch.tensor([[-1.0, -0.0, 0.0, -2.0]]).expand(16, -1)
    draw = Draw(logits.contiguous(), [(1.0, 1.0, 1)] * 16)
    assert set(draw.tokens(filtered=True)) == {1, 2}


def test_of_equal_largest_logits_the_first_is_taken() -> None:
    logits = torch.zeros(1, 3000)
    logits[0, [1700, 2900]] = 2.0
    assert Draw(logits, [(0.0, 1.0, 0)]).tokens(filtered=False, splits=3) == [1700]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), float("inf")])
def test_rows_of_nothing_but_broken_logits_have_no_token(value: float) -> None:
    draw = Draw(torch.full((2, 50), value), [(0.0, 1.0, 0), (1.0, 0.9, 3)])
    assert draw.tokens(filtered=True) == [BROKEN_LOGITS] * 2


def test_a_scratch_serves_step_after_step() -> None:
    logits = random_logits(2, 3000, torch.float32)
    first = Draw(logits, [(1.0, 1.0, 0)] * 2, seed=1)
    second = Draw(logits, [(1.0, 1.0, 0)] * 2, seed=2)
    second.scratch = first.scratch
    assert first.tokens(filtered=False, splits=3) == first.expected()
    assert second.tokens(filtered=False, splits=3) == second.expected()


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "count"), [(torch.bfloat16, 1), (torch.bfloat16, 256), (torch.float32, 8)]
)
def test_shapes_that_are_served(dtype: torch.dtype, count: int) -> None:
    kinds = [(0.0, 1.0, 0), (1.0, 1.0, 0), (0.6, 0.95, 20), (1.0, 0.9, 0), (0.8, 1.0, 50)]
    rows = [kinds[(row + 2) % len(kinds)] for row in range(count)]
    draw = Draw(random_logits(count, 151_936, dtype), rows)
    ours, reference = draw.tokens(filtered=True), draw.expected()
    different = sum(a != b for a, b in zip(ours, reference, strict=True))
    assert different <= count // 100, "more than ties in the last bit"


@pytest.mark.parametrize("on_gpu", [False, pytest.param(True, marks=pytest.mark.gpu)])
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_row_that_is_no_numbers_has_no_token_and_its_neighbours_keep_theirs(
    temperature: float, filtered: bool, on_gpu: bool
) -> None:
    assert torch.cuda.is_available() or not on_gpu
    logits = random_logits(5, 700, torch.float32)
    sound = Draw(logits.clone(), [(temperature, 0.9 if filtered else 1.0, 0)] * 5)
    broken = Draw(logits, [(temperature, 0.9 if filtered else 1.0, 0)] * 5)
    broken.logits[0, 699] = torch.nan
    broken.logits[1, 3] = torch.inf
    broken.logits[3] = -torch.inf
    expected = sound.tokens(filtered=filtered)
    for row in (0, 1, 3):
        expected[row] = BROKEN_LOGITS
    assert broken.tokens(filtered=filtered, splits=2) == expected


@pytest.mark.parametrize("ring_row", [0, 2])
def test_tokens_are_written_to_the_hosts_row_of_this_step(ring_row: int) -> None:
    draw = Draw(random_logits(5, 300, torch.float32), [(0.8, 1.0, 0)] * 5)
    out = torch.empty(5, dtype=torch.int64, device=DEVICE)
    host = host_tokens(3, 8, ring_row)
    sample_tokens(draw.logits, draw.settings, draw.scratch, out, host, filtered=False)
    tokens = out.tolist()  # waits for the device
    expected = [[-7] * 8 for _ in range(3)]
    expected[ring_row][:5] = tokens
    assert tokens == draw.expected()
    assert host.tokens.tolist() == expected
