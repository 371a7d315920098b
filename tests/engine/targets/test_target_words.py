"""Figures of targets in words: no miss is rounded into a pass, and every unit is its target's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import Burn, TargetFigure, TargetName
from prodtop.engine.targets.words import (
    alert_text,
    burn_text,
    figure_text,
    limit_text,
    span_text,
)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (TargetName.E2E, 84.2, "84.2 ms"),
        (TargetName.E2E, 5551.8, "5.55 s"),
        (TargetName.REQUESTS, 2.41, "2.41/s"),
        (TargetName.GPU, 0.931, "93.1 %"),
        (TargetName.AVAILABILITY, 0.99995, "99.995 %"),
        (TargetName.AVAILABILITY, 0.999996, "100.000 %"),
        (TargetName.AVAILABILITY, 1.0, "100.00 %"),
        (TargetName.SAFETY, 0.00001, "0.001 %"),
        (TargetName.SAFETY, 0.0, "0.00 %"),
        (TargetName.COST, 0.0000334, "$0.000033"),
        (TargetName.COST, 0.25, "$0.25"),
        (TargetName.COST, 0.0, "$0.00"),
    ],
)
def test_a_figure_has_its_unit(name: TargetName, value: float, words: str) -> None:
    assert figure_text(name, value) == words


def test_limits_have_their_side() -> None:
    assert limit_text(TargetName.E2E, 100.0) == "< 100 ms"
    assert limit_text(TargetName.REQUESTS, 100.0) == "> 100/s"
    assert limit_text(TargetName.COST, 0.01) == "< $0.01"
    assert limit_text(TargetName.SAFETY, 0.001) == "< 0.1 %"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.5, "2.5s"), (25, "25s"), (150, "2.5m"), (21_600, "6h"), (259_200, "3d")],
)
def test_spans_are_called_as_windows_are(seconds: float, words: str) -> None:
    assert span_text(seconds) == words


def test_an_alert_names_the_rule_that_fires() -> None:
    burns = [
        Burn(factor=14.4, long_s=300, short_s=25, long=9.0, short=30.0),
        Burn(factor=6.0, long_s=1800, short_s=150, long=7.0, short=18.0),
    ]
    assert burn_text(6.0, burns) == "budget burns 7× over 30m and 18× over 2.5m"
    figure = TargetFigure(name=TargetName.AVAILABILITY, limit=0.999, value=0.982, burns=burns)
    assert alert_text(figure, burn_text(6.0, burns), active=True) == (
        "availability 98.20 % (target > 99.9 %): budget burns 7× over 30m and 18× over 2.5m"
    )
    assert alert_text(figure, "", active=False).endswith("the alert has ended")


@given(st.sampled_from(list(TargetName)), st.floats(0, 1e9))
def test_every_figure_has_words(name: TargetName, value: float) -> None:
    assert figure_text(name, value)
