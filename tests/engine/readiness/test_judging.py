"""Every item holds by a fitting proof, and by nothing else: missing, old, another's, failed."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol.slo import SloSpec
from prodtop.engine.readiness.items import ABOUT, OF_PRECISION, OF_SETTINGS, Item, Proof
from prodtop.engine.readiness.judging import (
    Mark,
    checklist,
    is_ready,
    requirements,
    standing,
    summary,
)
from prodtop.engine.readiness.measures import measure
from prodtop.engine.readiness.settings import DAY_S, Limits, ReadinessSettings
from readiness_samples import GOOD, NOW_S, SUBJECT, proof, proofs

LIMITS = Limits(slo=SloSpec(e2e_ms=1000.0))


def mark(item: Item, *kept: Proof, limits: Limits = LIMITS) -> Mark:
    return standing(item, kept, SUBJECT, limits, NOW_S).mark


def changed(item: Item, **figures: float | None) -> Proof:
    """A proof with other figures; `None` leaves one out."""
    merged: dict[str, float | None] = {**GOOD[item], **figures}
    kept = {name: value for name, value in merged.items() if value is not None}
    return msgspec.structs.replace(proof(item), figures=kept)


def test_ready_is_when_every_item_is_proved() -> None:
    every = checklist(proofs(), SUBJECT, LIMITS, NOW_S)
    assert is_ready(every)
    assert summary(every) == "ready: every item holds"
    assert not is_ready(every[1:])


@pytest.mark.parametrize("item", Item)
def test_an_item_without_its_proof_is_open(item: Item) -> None:
    every = checklist(proofs(leave_out=[item]), SUBJECT, LIMITS, NOW_S)
    assert [each.item for each in every if not each.holds] == [item]
    assert mark(item) is Mark.MISSING
    assert not is_ready(every)
    assert ABOUT[item].command
    assert summary(every).startswith("not ready: 1 of 8")


@pytest.mark.parametrize("item", Item)
def test_a_proof_holds_for_its_age_and_no_longer(item: Item) -> None:
    assert mark(item, proof(item, age_s=7 * DAY_S)) is Mark.HOLDS
    assert mark(item, proof(item, age_s=7 * DAY_S + 1)) is Mark.OLD
    day = Limits(settings=ReadinessSettings(max_age_days=0.5), slo=LIMITS.slo)
    assert mark(item, proof(item), limits=day) is Mark.OLD


@pytest.mark.parametrize("item", Item)
def test_a_proof_of_the_future_does_not_count(item: Item) -> None:
    assert mark(item, proof(item, age_s=-3600)) is Mark.FAILED
    # A clock that was set back a little.
    assert mark(item, proof(item, age_s=-60)) is Mark.HOLDS


OTHERS: dict[str, dict[str, object]] = {
    "model": {"model": "large", "checkpoint": None},
    "checkpoint": {"checkpoint": "fedcba9876543210"},
    "device": {"device": "another"},
    "release": {"versions": {"prodtop": "0.2.0", "torch": "2.11"}},
    "no release": {"versions": {}},
}


@pytest.mark.parametrize("item", Item)
@pytest.mark.parametrize("other", OTHERS)
def test_a_proof_of_something_else_does_not_count(item: Item, other: str) -> None:
    subject = msgspec.structs.replace(SUBJECT, **OTHERS[other])
    found = standing(item, [proof(item, subject=subject)], SUBJECT, LIMITS, NOW_S)
    assert found.mark is Mark.OTHER
    assert found.reasons[0].startswith("measured of")


@pytest.mark.parametrize("item", Item)
@pytest.mark.parametrize(
    ("field", "items"), [("precision", OF_PRECISION), ("strategy", OF_SETTINGS)]
)
def test_settings_count_where_they_change_what_is_measured(
    item: Item, field: str, items: frozenset[Item]
) -> None:
    subject = msgspec.structs.replace(SUBJECT, **{field: "another"})
    expected = Mark.OTHER if item in items else Mark.HOLDS
    assert mark(item, proof(item, subject=subject)) is expected


def test_without_a_look_at_the_checkpoint_the_name_tells() -> None:
    screen = msgspec.structs.replace(SUBJECT, checkpoint=None)
    assert mark(Item.QUALITY, proof(Item.QUALITY, subject=screen)) is Mark.HOLDS


@pytest.mark.parametrize("item", Item)
def test_every_requirement_is_needed_and_kept(item: Item) -> None:
    """Whatever figure is left out, no number, or beyond its limit: the item has failed."""
    for each in requirements(item, LIMITS):
        broken: list[float | None] = [None, math.nan]
        broken += [each.least - 0.001] if math.isfinite(each.least) else []
        broken += [each.most + 0.001] if math.isfinite(each.most) else []
        for value in broken:
            found = standing(item, [changed(item, **{each.figure: value})], SUBJECT, LIMITS, NOW_S)
            assert found.mark is Mark.FAILED, (each, value)
            assert any(each.what in reason for reason in found.reasons)


@pytest.mark.parametrize("item", Item)
def test_the_newest_proof_decides(item: Item) -> None:
    figures = dict.fromkeys(GOOD[item], math.nan)
    failed = msgspec.structs.replace(proof(item, age_s=60), figures=figures)
    assert mark(item, proof(item), failed) is Mark.FAILED
    assert mark(item, failed, proof(item, age_s=30)) is Mark.HOLDS
    # Of others nothing follows for this subject.
    other = msgspec.structs.replace(SUBJECT, device="another")
    assert mark(item, proof(item), proof(item, age_s=30, subject=other)) is Mark.HOLDS


def test_a_latency_without_a_limit_is_not_asked_for() -> None:
    off = Limits(slo=SloSpec(ttft_ms=None, tpot_ms=None, e2e_ms=None))
    missing = changed(Item.LOAD, ttft_p95_ms=None, tpot_p95_ms=None, e2e_p95_ms=None)
    assert mark(Item.LOAD, missing, limits=off) is Mark.HOLDS
    assert mark(Item.LOAD, missing) is Mark.FAILED


def test_a_target_of_throughput_is_met_at_the_load() -> None:
    fast = Limits(slo=LIMITS.slo, least_requests_per_s=100.0)
    assert mark(Item.LOAD, proof(Item.LOAD), limits=fast) is Mark.FAILED


@given(
    item=st.sampled_from(Item),
    figures=st.dictionaries(st.text(max_size=8), st.floats(), max_size=8),
)
def test_any_figures_can_be_judged_and_told(item: Item, figures: dict[str, float]) -> None:
    given_proof = msgspec.structs.replace(proof(item), figures=figures)
    assert mark(item, given_proof) is Mark.FAILED
    assert "\n" not in measure(given_proof)
