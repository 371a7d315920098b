"""Speeds of precisions: only of steady stretches under conditions that compare."""

from collections.abc import Callable

import msgspec
import pytest
from frames import frame
from of_our_own import known
from prodtop.engine.protocol import Frame, LoadSpec, PrecisionName, StrategyName
from prodtop.tui.state.speeds import (
    LEAST_S,
    NO_SPEEDS,
    SETTLE_S,
    Conditions,
    Speeds,
    after_frame,
)

INT8, BF16 = PrecisionName.INT8, PrecisionName.BF16
Change = Callable[[Frame], Frame]


def served(
    seconds: float,
    *,
    begin: float = 0.0,
    tok_s: float = 1000.0,
    precision: PrecisionName = BF16,
    speeds: Speeds = NO_SPEEDS,
    disturbed: bool = False,
    change: Change = lambda shown: shown,
) -> Speeds:
    """What is known after serving at so many tokens a second, a frame every half second."""
    for index in range(int(seconds * 2) + 1):
        at = begin + index / 2
        shown = msgspec.structs.replace(
            frame(at, precision=precision), generated_tokens_total=int(1e6 + tok_s * at)
        )
        speeds = after_frame(speeds, change(shown), disturbed=disturbed)
    return speeds


def speed_of(speeds: Speeds, precision: PrecisionName = BF16) -> float | None:
    found = speeds.under(known(Conditions.of(frame()))).get(precision)
    return None if found is None else found.tok_s


def test_a_steady_stretch_gives_the_speed_of_its_tokens() -> None:
    assert speed_of(served(SETTLE_S + LEAST_S - 0.5)) is None
    assert speed_of(served(SETTLE_S + LEAST_S)) == pytest.approx(1000, rel=1e-3)
    assert speed_of(served(60, tok_s=321)) == pytest.approx(321, rel=1e-2)


def with_load(load: LoadSpec) -> Change:
    return lambda shown: msgspec.structs.replace(shown, load=load)


@pytest.mark.parametrize(
    ("disturbed", "change"),
    [
        (True, lambda shown: shown),
        (False, with_load(LoadSpec(paused=True))),
        (False, with_load(LoadSpec(rate_per_s=4.0))),
        (False, lambda shown: msgspec.structs.replace(shown, switching="bf16 → int8")),
        (False, lambda shown: msgspec.structs.replace(shown, preparing="compiling kernels")),
        (False, lambda shown: msgspec.structs.replace(shown, generated_tokens_total=0)),
    ],
    ids=["beside quality", "paused", "arrivals decide", "switching", "preparing", "no tokens"],
)
def test_what_is_no_steady_serving_gives_no_speed(disturbed: bool, change: Change) -> None:
    assert served(30, disturbed=disturbed, change=change).measured == {}


def test_a_disturbance_ends_the_stretch() -> None:
    speeds = served(SETTLE_S + LEAST_S - 1)
    speeds = served(1, begin=6, speeds=speeds, disturbed=True)
    assert speed_of(served(SETTLE_S + LEAST_S - 1, begin=7, speeds=speeds)) is None


def test_a_worker_that_was_started_again_counts_anew() -> None:
    def from_zero(shown: Frame) -> Frame:
        return msgspec.structs.replace(
            shown, generated_tokens_total=known(shown.generated_tokens_total) - 1_000_000
        )

    speeds = served(6)
    speeds = served(6, begin=6, speeds=speeds, change=from_zero)
    assert speed_of(speeds) is None


def test_precisions_compare_only_under_the_same_conditions() -> None:
    speeds = served(10)
    speeds = served(10, begin=20, tok_s=1500, precision=INT8, speeds=speeds)
    found = speeds.under(known(Conditions.of(frame())))
    assert {name: round(speed.tok_s, -2) for name, speed in found.items()} == {
        BF16: 1000,
        INT8: 1500,
    }
    assert speeds.under(known(Conditions.of(frame(strategy=StrategyName.SINGLE)))) == {}
    assert speeds.under(known(Conditions.of(frame(load=LoadSpec(users=9))))) == {}
    slower = served(10, begin=40, tok_s=900, speeds=speeds)
    assert speed_of(slower) == pytest.approx(900, rel=1e-2), "the newest stretch counts"
