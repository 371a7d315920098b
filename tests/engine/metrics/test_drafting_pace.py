"""Whether drafts pay: steps with and without them compared, and rests while they lose."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.drafting_pace import (
    LONGEST_REST,
    REST,
    REST_AFTER_LOSS,
    TRIAL,
    DraftingPace,
)


def run(
    pace: DraftingPace,
    steps: int,
    *,
    tokens_per_row: float,
    ratio: float,
    rows: int = 4,
    plain_s: float = 0.01,
) -> list[bool]:
    """Steps of an engine in which drafts give so many tokens and make a step `ratio` as long."""
    drafted = []
    for _ in range(steps):
        drafting = pace.drafting
        drafted.append(drafting)
        pace.on_step(
            drafting=drafting,
            rows=rows,
            tokens=round(tokens_per_row * rows) if drafting else rows,
            duration_s=plain_s * ratio if drafting else plain_s,
        )
    return drafted


def test_drafts_that_win_go_on() -> None:
    pace = DraftingPace(adaptive=True)
    drafted = run(pace, 4000, tokens_per_row=2.0, ratio=1.25)
    assert not any(drafted[:REST])
    assert sum(drafted) / len(drafted) > 0.9
    assert pace.gain is not None
    assert pace.gain.tokens_per_step == 2.0
    assert pace.gain.step_ratio == pytest.approx(1.25)
    assert pace.gain.speedup == pytest.approx(1.6)


def test_drafts_that_lose_rest_longer_and_longer() -> None:
    pace = DraftingPace(adaptive=True)
    drafted = run(pace, 20_000, tokens_per_row=1.0, ratio=1.3)
    text = "".join("d" if each else "-" for each in drafted)
    trials, rests = text.split("-"), text.split("d")
    assert {len(trial) for trial in trials if trial} == {TRIAL}
    lengths = [len(rest) for rest in rests if rest]
    assert lengths[:4] == [REST, REST_AFTER_LOSS, 2 * REST_AFTER_LOSS, 4 * REST_AFTER_LOSS]
    assert max(lengths) == LONGEST_REST
    assert pace.gain is not None
    assert pace.gain.speedup == pytest.approx(1 / 1.3)


def test_drafts_that_come_to_win_are_found_to() -> None:
    pace = DraftingPace(adaptive=True)
    run(pace, 3000, tokens_per_row=1.0, ratio=1.3)
    drafted = run(pace, 4000, tokens_per_row=2.5, ratio=1.3)
    assert all(drafted[-10:])


def test_steps_are_compared_with_those_of_as_many_rows() -> None:
    """On a CPU eight rows take longer than one: that is none of the drafts' doing."""
    pace = DraftingPace(adaptive=True)
    for step in range(10 * (REST + TRIAL)):
        rows = 1 + step % 8
        drafting = pace.drafting
        pace.on_step(
            drafting=drafting,
            rows=rows,
            tokens=2 * rows if drafting else rows,
            duration_s=0.001 * rows * (1.5 if drafting else 1.0),
        )
    assert pace.gain is not None
    assert pace.gain.step_ratio == pytest.approx(1.5)


def test_without_times_there_is_no_verdict() -> None:
    pace = DraftingPace(adaptive=True)
    for _ in range(500):
        pace.on_step(drafting=pace.drafting, rows=3, tokens=3, duration_s=None)
    assert pace.gain is None


def test_what_is_not_adaptive_always_drafts() -> None:
    pace = DraftingPace(adaptive=False)
    assert all(run(pace, 500, tokens_per_row=1.0, ratio=9.0))
    assert pace.gain is None


def test_a_switch_forgets_what_was_measured() -> None:
    pace = DraftingPace(adaptive=True)
    run(pace, 500, tokens_per_row=1.0, ratio=2.0)
    pace.reset()
    assert pace.gain is None
    drafted = run(pace, REST + TRIAL, tokens_per_row=2.0, ratio=1.1)
    assert drafted == [False] * REST + [True] * TRIAL


@given(
    steps=st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 300), st.integers(0, 900), st.none() | st.floats(0, 1)
        ),
        max_size=300,
    )
)
@settings(deadline=None)
def test_no_order_of_steps_breaks_it(
    steps: list[tuple[bool, int, int, float | None]],
) -> None:
    """Steps planned before a turn may end after it."""
    pace = DraftingPace(adaptive=True)
    for drafting, rows, tokens, duration_s in steps:
        pace.on_step(drafting=drafting, rows=rows, tokens=tokens, duration_s=duration_s)
        assert pace.gain is None or pace.gain.step_ratio > 0
