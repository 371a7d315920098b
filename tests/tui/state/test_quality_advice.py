"""Figures worked out of what was measured, and the one recommendation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from frames import frame
from hypothesis import given, settings
from hypothesis import strategies as st
from of_our_own import known
from prodtop.engine.protocol import Interval, LevelQuality, LoadSpec, PrecisionName
from prodtop.tui.state.moment import Moment
from prodtop.tui.state.quality import NO_QUALITY, Quality
from prodtop.tui.state.quality_advice import Keys, advice, missing
from prodtop.tui.state.quality_figures import LevelFigures, level_figures, speed_obstacle
from prodtop.tui.state.speeds import Conditions, Speed, Speeds
from prodtop.tui.state.stage import Stage
from quality_samples import BF16, INT4, INT8, LEVELS, REFERENCE, SKIPPED, interval, level

FP32, FP16, FP8 = PrecisionName.FP32, PrecisionName.FP16, PrecisionName.FP8
KEYS = Keys("b", "p")


def moment_of(
    levels: Sequence[LevelQuality],
    speeds: Mapping[PrecisionName, float] | None = None,
    run: Stage = Stage.DONE,
) -> Moment:
    shown = frame()
    quality = Quality(
        run=run, model=shown.model.name, device=shown.device_name, levels=tuple(levels)
    )
    where = known(Conditions.of(shown))
    speeds_known = {(where, name): Speed(tok_s, 10) for name, tok_s in (speeds or {}).items()}
    return Moment(0.0, 0.0, frame=shown, quality=quality, speeds=Speeds(speeds_known))


def figures(moment: Moment) -> dict[PrecisionName, LevelFigures]:
    return {each.precision: each for each in level_figures(moment)}


def advised(moment: Moment) -> str:
    return advice(moment.quality, level_figures(moment), KEYS)


def test_the_score_is_made_of_its_parts() -> None:
    found = figures(moment_of([*LEVELS.values()], {BF16: 1000, INT4: 1500}))
    int4 = found[INT4]
    assert int4.compression == pytest.approx(16 / 7.4, rel=1e-3)
    assert int4.speedup == 1.5
    loss = 100 * (1 - 1 / 1.0367)
    assert int4.loss_percent == pytest.approx(loss)
    assert int4.efficiency == pytest.approx(16 / 7.4 * 1.5 / (1 + loss / 10), rel=1e-3)
    assert found[BF16].efficiency == 1.0, "the reference's own"


def test_without_both_speeds_there_is_no_score() -> None:
    for speeds in ({}, {INT4: 1500.0}, {BF16: 1000.0}):
        int4 = figures(moment_of([*LEVELS.values()], speeds))[INT4]
        assert (int4.speedup, int4.efficiency) == (None, None)
        assert int4.compression is not None


def test_a_difference_inside_its_interval_costs_nothing() -> None:
    found = figures(moment_of([*LEVELS.values()]))
    assert found[INT8].loss_percent == 0
    better = level(INT8, ratio=interval(0.98, 0.01), mib=10)
    assert figures(moment_of([REFERENCE, better]))[INT8].loss_percent == 0, "a gain is no loss"


def test_speeds_of_another_model_are_not_shown() -> None:
    shown = frame()
    other = replace(known(Conditions.of(shown)), model="another")
    moment = replace(moment_of([REFERENCE]), speeds=Speeds({(other, BF16): Speed(5000, 10)}))
    assert figures(moment)[BF16].speed is None


def test_without_a_speed_under_the_present_conditions_the_last_ones_are_shown() -> None:
    where = known(Conditions.of(frame(load=LoadSpec(users=7))))
    speeds_known = {(where, BF16): Speed(100, 10), (where, INT8): Speed(150, 10)}
    moment = replace(moment_of([REFERENCE, LEVELS[INT8]]), speeds=Speeds(speeds_known))
    assert figures(moment)[INT8].speedup == 1.5


def test_unavailable_and_skipped_levels_say_why() -> None:
    moment = moment_of([REFERENCE])
    quality = replace(moment.quality, skipped=(SKIPPED,))
    found = figures(replace(moment, quality=quality))
    assert found[FP16].reason == SKIPPED.reason
    assert "compute capability" in (found[FP8].reason or "")
    assert found[INT8].reason is None


COSTLY_INT8 = level(INT8, ratio=interval(1.02, 0.001), mib=10)
ALIKE_FP8 = level(FP8, ratio=interval(1.0002, 0.0006), mib=10.1)
COSTLY_FP8 = level(FP8, ratio=interval(1.01, 0.001), mib=10.1)
LOW_INT4 = level(INT4, ratio=interval(0.99, 0.001), mib=7.4)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (
            [*LEVELS.values()],
            "int8: 38 % less memory, no difference measured; int4 saves another 26 % and costs"
            " 3.7 % perplexity",
        ),
        ([REFERENCE, LEVELS[INT8]], "int8: 38 % less memory, no difference measured"),
        (
            [REFERENCE, LEVELS[INT8], ALIKE_FP8],
            "int8 or fp8: 38 % less memory, no difference measured",
        ),
        ([REFERENCE, LEVELS[INT8], COSTLY_FP8], "int8: 38 % less memory, no difference measured"),
        ([REFERENCE, COSTLY_INT8], "int8: 38 % less memory, costs 2.0 % perplexity"),
        (
            [REFERENCE, COSTLY_INT8, LEVELS[INT4]],
            "int8: 38 % less memory, costs 2.0 % perplexity; int4 saves another 26 % and costs"
            " 3.7 % perplexity",
        ),
        (
            [REFERENCE, LEVELS[INT8], LOW_INT4],
            "int8: 38 % less memory, no difference measured; int4 saves another 26 % and lowers"
            " perplexity by 1.0 %",
        ),
        ([REFERENCE], "no level that was measured is smaller than bf16: b measures"),
        (
            [REFERENCE, LEVELS[FP32]],
            "no level that was measured is smaller than bf16: b measures",
        ),
        ([], "nothing measured yet: b measures what each precision costs in quality"),
    ],
)
def test_the_recommendation(levels: list[LevelQuality], expected: str) -> None:
    run = Stage.DONE if levels else Stage.NONE
    text = advised(moment_of(levels, run=run))
    assert text == expected


@pytest.mark.parametrize(
    ("run", "levels", "words"),
    [
        (Stage.RUNNING, [], "nothing to compare with yet"),
        (Stage.RUNNING, [REFERENCE], "being compared"),
        (Stage.RUNNING, [REFERENCE, LEVELS[INT8]], "so far: int8"),
        (Stage.CANCELLED, [], "cancelled before anything could be compared: b begins again"),
        (Stage.CANCELLED, [REFERENCE, LEVELS[INT8]], "int8: 38 % less memory"),
        (Stage.FAILED, [], "not measured: it died; b begins again"),
        (Stage.FAILED, [REFERENCE, LEVELS[INT8]], "int8: 38 % less memory"),
    ],
)
def test_what_is_said_of_a_run(run: Stage, levels: list[LevelQuality], words: str) -> None:
    moment = moment_of(levels, run=run)
    quality = replace(moment.quality, reason="it died" if run is Stage.FAILED else "")
    assert words in advice(quality, level_figures(moment), KEYS)


def test_a_faster_level_says_so() -> None:
    assert "at 1.5 times the speed" in advised(
        moment_of([REFERENCE, LEVELS[INT8]], {BF16: 1000, INT8: 1500})
    )


def test_what_is_missing_names_the_key_that_measures_it() -> None:
    moment = moment_of([REFERENCE, LEVELS[INT8]], {BF16: 1000})
    unmeasured, slow = missing(moment.quality, level_figures(moment), KEYS, None)
    assert unmeasured == "not measured: fp32, fp16, int4 (b measures)"
    assert slow.startswith("no speed yet of int8: choose one, p serves at it")
    obstructed = missing(moment.quality, level_figures(moment), KEYS, "the load is paused")
    assert obstructed[1] == "no speed yet of int8: the load is paused"
    assert missing(NO_QUALITY, level_figures(Moment(0, 0)), KEYS, None) == []


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (LoadSpec(), None),
        (LoadSpec(paused=True), "the load is paused"),
        (LoadSpec(rate_per_s=4.0), "arrivals"),
    ],
)
def test_what_stands_in_the_way_of_a_speed(load: LoadSpec, words: str | None) -> None:
    obstacle = speed_obstacle(Moment(0, 0, frame=frame(load=load)))
    assert obstacle is None if words is None else words in str(obstacle)


RATIOS = st.builds(
    lambda value, half: Interval(value=value, low=value - half, high=value + half),
    st.floats(0.5, 50),
    st.floats(0, 0.4),
)


@given(
    st.dictionaries(
        st.sampled_from([name for name in PrecisionName if name is not BF16]),
        st.tuples(RATIOS, st.floats(0.5, 64)),
    )
)
@settings(deadline=None, max_examples=60)
def test_no_advice_names_a_level_that_another_one_beats(
    drawn: dict[PrecisionName, tuple[Interval, float]],
) -> None:
    levels = [level(name, ratio=ratio, mib=mib) for name, (ratio, mib) in drawn.items()]
    moment = moment_of([REFERENCE, *levels])
    text, found = advised(moment), figures(moment)
    named = [found[name] for name in drawn if f"{name}" in text.replace(":", " ").split()]
    for one in named:
        assert one.measured is not None
        for other in found.values():
            if other.measured is None or other.is_reference:
                continue
            smaller = other.measured.weights_bytes < 0.96 * one.measured.weights_bytes
            assert not (smaller and other.loss_percent == 0.0), (text, other.precision)
