"""The recommendation: the most goodput among the cells that meet every wish."""

import msgspec
import pytest
from comparisons import cell, comparison, result, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Cell, Measured
from prodtop.engine.compare.recommend import Wishes, recommend
from prodtop.engine.compare.samples import Limits
from prodtop.engine.protocol import PrecisionName

LIMITS = Limits(ttft_ms=100.0)
GIB = 2**30
QUALITY = {PrecisionName.BF16: 1.0, PrecisionName.INT4: 0.93}


def served(of: Cell, good: int, late: int = 0, *, memory: int = GIB, **fields: object) -> Measured:
    """Six repeats of so many requests within and beyond the limit; a repeat takes two seconds."""
    samples = [sample(ttft_ms=50.0)] * good + [sample(ttft_ms=150.0)] * late
    made = msgspec.structs.replace(result(of, samples=samples, memory=memory), **fields)
    return Measured(cell=of, repeats=[made] * 6)


def test_the_most_goodput_wins_and_not_the_most_requests() -> None:
    found = recommend(
        comparison(served(cell("batched"), 4, 40), served(cell("hybrid"), 10, 2)),
        Wishes(limits=LIMITS),
    )
    assert found.best is not None
    assert found.best.label == "hybrid bf16"
    assert found.best.goodput_req_s is not None
    assert found.best.goodput_req_s.value == 5.0
    assert found.best.attainment is not None
    assert found.best.attainment.value == pytest.approx(10 / 12)
    assert "5.00 req/s, 83.3 % of all" in found.why
    assert found.runner_up is not None
    assert found.runner_up.label == "batched bf16"
    assert found.runner_up_lacks == "goodput −60.0 %"
    assert "quality was not measured" in found.quality


def test_max_seqs_and_kv_are_what_was_used() -> None:
    one = served(cell(), 4)
    more = result(cell(), samples=[sample()], peak_running=9, peak_kv_bytes=GIB * 3 // 10)
    found = recommend(
        comparison(Measured(cell=one.cell, repeats=[*one.repeats, more])), Wishes(limits=LIMITS)
    )
    assert found.max_seqs == 9
    assert found.kv_gib == pytest.approx(0.3, abs=1e-3)
    assert found.kv_gib is not None
    assert found.kv_gib * GIB >= GIB * 3 // 10
    assert found.needs is not None
    assert "all that were allowed" not in found.needs
    full = recommend(comparison(served(cell(), 4, peak_running=32)), Wishes(limits=LIMITS))
    assert full.needs is not None
    assert "--max-seqs 32 (all that were allowed" in full.needs


@given(st.integers(1, 2**45))
def test_the_kv_cache_asked_for_is_never_less_than_was_used(used: int) -> None:
    found = recommend(comparison(served(cell(), 1, peak_kv_bytes=used)), Wishes(limits=LIMITS))
    assert found.kv_gib is not None
    assert used / GIB <= found.kv_gib * (1 + 1e-12)
    assert found.kv_gib <= used / GIB * 1.0101


@pytest.mark.parametrize(
    ("wishes", "retention", "lacks"),
    [
        (Wishes(limits=Limits(ttft_ms=10.0)), None, "TTFT missed by 100 %"),
        (Wishes(limits=LIMITS, memory_gib=0.5), None, "holds 1.00 GiB, above 0.5 GiB"),
        (Wishes(limits=LIMITS, min_quality=0.9), None, "quality of bf16 was not measured"),
        (Wishes(limits=LIMITS, min_quality=0.9), {PrecisionName.BF16: 0.8}, "keeps 80.0 %"),
    ],
)
def test_whoever_lacks_something_is_not_recommended(
    wishes: Wishes, retention: dict[PrecisionName, float] | None, lacks: str
) -> None:
    found = recommend(comparison(served(cell(), 10)), wishes, retention)
    assert found.best is None
    assert lacks in found.why
    assert lacks in found.candidates[0].lacks[0]
    assert (found.max_seqs, found.kv_gib) == (None, None)


def test_quality_takes_out_the_fastest_and_the_runner_up_says_so() -> None:
    both = comparison(served(cell("hybrid", "int4"), 20), served(cell(), 10))
    found = recommend(both, Wishes(limits=LIMITS, min_quality=0.99), QUALITY)
    assert found.best is not None
    assert found.best.label == "hybrid bf16"
    assert found.runner_up_lacks == "keeps 93.0 % of the quality, below 99.0 %"
    assert "int4 93.0 %" in found.quality
    free = recommend(both, Wishes(limits=LIMITS), QUALITY)
    assert free.best is not None
    assert free.best.label == "hybrid int4"


def test_what_goodput_does_not_tell_apart_is_taken_for_its_memory() -> None:
    both = comparison(served(cell(), 10, memory=GIB * 2), served(cell("hybrid", "int8"), 10))
    found = recommend(both, Wishes(limits=LIMITS))
    assert found.best is not None
    assert found.best.label == "hybrid int8"
    assert "no difference measured to hybrid bf16, and taken for its lower memory" in found.why
    assert found.runner_up_lacks == "no difference measured in goodput, but it holds more memory"


def test_without_limits_finished_requests_count() -> None:
    found = recommend(comparison(served(cell(), 10, 10)), Wishes(limits=Limits()))
    assert found.best is not None
    assert "the most finished requests: 10.0 req/s" in found.why


def test_nothing_measured_recommends_nothing() -> None:
    found = recommend(comparison(), Wishes(limits=LIMITS))
    assert (found.best, found.why) == (None, "nothing was measured")


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6))
def test_nobody_who_fits_has_more_goodput_than_the_best(counts: list[tuple[int, int]]) -> None:
    cells = [served(cell(users=n + 1), good, late) for n, (good, late) in enumerate(counts)]
    found = recommend(comparison(*cells), Wishes(limits=LIMITS))
    most = max(good for good, _ in counts) / 2
    if not most:
        assert found.best is None
    else:
        assert found.best is not None
        assert found.best.goodput_req_s is not None
        assert found.best.goodput_req_s.value == most
