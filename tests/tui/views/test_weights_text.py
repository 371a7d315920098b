"""What the bar says of the weights, and why they weigh more than their parameters."""

import msgspec
import pytest
from frames import frame
from of_our_own import known
from prodtop.engine.protocol import StrategyName
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.state.moment import Moment
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.cache import NO_CACHE
from prodtop.tui.views.controls import control_lines
from prodtop.tui.views.panel import Room
from running_app import open_app

MIB = 1024**2


@pytest.mark.parametrize(
    ("copy_bytes", "width", "words"),
    [
        (2 * MIB, 200, "weights 16.0 MiB, 2.00 MiB of them the head packed again"),
        (2 * MIB, 102, "weights 16.0 MiB, 2.00 MiB head copy"),
        (None, 200, "weights 16.0 MiB"),
    ],
)
def test_a_head_that_is_in_them_twice_is_named(
    copy_bytes: int | None, width: int, words: str
) -> None:
    memory = msgspec.structs.replace(
        known(frame().memory), weights_bytes=16 * MIB, head_copy_bytes=copy_bytes
    )
    moment = Moment(wall_s=0.0, now_s=0.0, frame=msgspec.structs.replace(frame(), memory=memory))
    bar = control_lines(moment, Room(width, 1, UNICODE), DEFAULT_KEYMAP)[1].plain
    assert f"{words}  " in bar


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (StrategyName.CONTINUOUS, NO_CACHE),
        (StrategyName.HYBRID, "nothing looked up yet"),
    ],
)
async def test_an_empty_chart_of_hits_says_why(strategy: StrategyName, words: str) -> None:
    shown = frame(strategy=strategy)
    cache = msgspec.structs.replace(shown.cache, rates={})
    shown = msgspec.structs.replace(shown, cache=cache)
    async with open_app([[shown]], size=(160, 48)) as running:
        assert words in running.text()
