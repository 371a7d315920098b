"""What the whole screen says of each situation, at each size: health line, verdict, colours."""

import pytest
from frames import frame, host, ready
from prodtop.engine.metrics.relief import relief
from prodtop.engine.protocol import Frame
from prodtop.tui.state.condition import Word
from prodtop.tui.style.inks import Ink
from prodtop.tui.widgets.lines import LinesView
from running_app import RunningApp, open_app
from situations import SITUATIONS, changed

SIZES = [(60, 20), (80, 24), (120, 36), (160, 48)]

HEALTH = {
    "calm": (Word.OK, Ink.OK, "99 % within limits (10s)"),
    "overload": (Word.OVERLOADED, Ink.BAD, "2,145 waiting, +48/s"),
    "full KV cache": (Word.KV_FULL, Ink.BAD, "99 % held"),
    "stall": (Word.STALLED, Ink.BAD, "silent for 6 s"),
    "lost GPU": (Word.GPU_LOST, Ink.BAD, "for 5 s"),
    "failing": (Word.FAILING, Ink.BAD, "12 of 40 failed (10s)"),
    "packing": (Word.COMPILING, Ink.WARN, "for 6 s"),
    "capturing": (Word.COMPILING, Ink.WARN, "62 % of the last second"),
    "slow client": (Word.LAGGING, Ink.WARN, "67 % of frames dropped (10s)"),
    "slow": (Word.SLOW, Ink.BAD, "TTFT p95 5.04 s"),
    "idle": (Word.IDLE, Ink.MUTED, "no request (10s)"),
}
VERDICTS = {
    "calm": "bandwidth: 75 % of a copy's · fewer bits",
    "overload": "sequence cap: 64 of 64 run · raise --max-seqs",
    "full KV cache": "KV memory: 99 % · raise --kv-gib",
    "packing": "compiling 100 % · wait",
    "capturing": "compiling 62 % · wait",
    "idle": "no work 100 % · resume the load",
}
"""As the device panel says it: the figure, and what would relieve it; its widest words left out."""


def inks(running: RunningApp, text: str) -> set[Ink]:
    """The inks of what contains a text, in the header and in the panels."""
    found: set[Ink] = set()
    for view in running.app.screen.query(LinesView):
        for row in view.lines:
            found |= {ink for piece, ink, _ in row.pieces if text in piece}
    return found


AT_ONE_SIZE = ("calm", "slow", "idle", "capturing")
"""For these one size is enough: `test_health.py` has every width of the header."""
CASES = [
    *((name, (120, 36)) for name in AT_ONE_SIZE),
    *((name, size) for name in HEALTH if name not in AT_ONE_SIZE for size in SIZES[1:]),
    ("overload", (60, 20)),
]


@pytest.mark.parametrize(("name", "size"), CASES)
async def test_the_screen_says_what_is_wrong(name: str, size: tuple[int, int]) -> None:
    word, ink, reason = HEALTH[name]
    async with open_app(SITUATIONS[name], size=size) as running:
        header = running.app.query_one("#header", LinesView).lines[0]
        assert header.width <= size[0]
        assert f"{word.ljust(11)}  {reason}" in header.plain
        assert inks(running, f"{word} ") == {ink}
        text = running.text()
        wanted = VERDICTS.get(name)
        if wanted is not None and size[0] >= 120:
            shown = next(row for row in text.splitlines() if "│ limit  " in row)
            for part in wanted.split(" · "):
                assert all(word in shown for word in part.split())
        if name == "overload":
            assert inks(running, reason) == {Ink.BAD}
            if size[0] >= 80:
                assert "TTFT ≥  37.0 s" in text
        if name == "stall":
            assert "6 s old" in text


@pytest.mark.parametrize("name", ["overload", "full KV cache"])
async def test_a_wide_screen_says_all_that_would_relieve(name: str) -> None:
    async with open_app(SITUATIONS[name], size=(180, 50)) as running:
        shown = running.app.monitor.moment().frame
        assert shown is not None
        assert relief(shown) in running.text()


async def test_the_planners_header_has_the_health_too() -> None:
    async with open_app(SITUATIONS["overload"], size=(120, 36)) as running:
        await running.press("P")
        assert "OVERLOADED" in running.text().splitlines()[0]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_long_name_pushes_nothing_off_the_header(size: tuple[int, int]) -> None:
    named = changed(
        frame(), model=changed(frame().model, name="an-organization/" + "A-Very-Long-Name" * 8)
    )

    async def header(shown: Frame) -> str:
        async with open_app([[ready(), shown, host()]], size=size) as running:
            return running.line("header")

    long, short = await header(named), await header(frame())
    for wanted in ("OK", "[Live]", "within limits"):
        assert long.find(wanted) == short.find(wanted)
    assert len(long) <= size[0]
    if size[0] >= 120:
        assert "…" in long
    if size[0] >= 160:
        assert "hybrid" in long


async def test_nothing_in_the_header_moves_when_figures_change() -> None:
    places = set()
    for running, waiting in ((1, 0), (32, 7), (999, 0)):
        shown = frame()
        shown = changed(shown, queue=changed(shown.queue, running=running, waiting=waiting))
        async with open_app([[ready(), shown, host()]], size=(200, 48)) as app:
            line = app.line("header")
            places.add((line.find("running"), line.find("●"), line.find("OK"), line.find("req/s")))
    assert len(places) == 1
    assert min(*places.pop()) > 0
