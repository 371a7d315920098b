"""A replay shows what the live screen showed, and its keys walk through the recording."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from frames import ScriptedClient, play
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.protocol import Report
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.app import ProdtopApp
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.state.monitor import READ_ONLY
from recording_samples import CLOCK_S, recorded_session
from running_app import SLOW, Clock, terminal_text
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]
WALL_S = 1_790_000_000.0
FACTS = {"prodtop": "0.1.0"}
Keys = Callable[[Pilot[None]], Awaitable[None]]


def panels_of(svg: str) -> list[str]:
    """The picture of all rows but the header and the footer, which speak of the replay."""
    rows = re.findall(r"<(?:text|rect)[^>]*-line-(\d+)\)[^>]*>[^<]*", svg)
    most = max(map(int, rows))
    lines = re.findall(
        r"<text[^>]*class=\"terminal-\d+-(r\d+)\"[^>]*-line-(\d+)\)[^>]*>([^<]*)", svg
    )
    styles = dict(re.findall(r"terminal-\d+-(r\d+) \{([^}]*)\}", svg))
    return [f"{row} {styles[style]} {text}" for style, row, text in lines if 0 < int(row) < most]


async def live_picture(
    polls: list[list[Report]], size: tuple[int, int], path: Path, window: int = 0
) -> list[str]:
    """Show polls live, recorded to `path`; returns the picture at the last."""
    clock = Clock()
    client = ScriptedClient(polls)
    engine = RecordedEngine(
        client, facts=lambda: FACTS, clock=clock, wall=lambda: WALL_S + clock() - CLOCK_S
    )
    engine.start_recording(path)
    app = ProdtopApp(engine, clock=clock, config=SLOW, theme="prodtop-dark")
    async with app.run_test(size=size) as pilot:
        await pilot.press(*["w"] * window)
        while client.polls:
            clock.now_s += 0.25
            app.monitor.poll()
        app.draw()
        await pilot.pause()
        return panels_of(app.export_screenshot())


class Replay:
    """A replay under the pilot, with a clock that stands still until it is told."""

    def __init__(self, path: Path, *, loop: bool = False, speed: float = 1.0) -> None:
        self.clock = Clock()
        self.engine = ReplayEngine(Recording(path), clock=self.clock, loop=loop, speed=speed)
        self.app = ReplayApp(self.engine, clock=self.clock, config=SLOW, theme="prodtop-dark")

    async def advance(self, pilot: Pilot[None], seconds: float) -> None:
        self.clock.now_s += seconds
        self.app.tick()
        await pilot.pause()

    @property
    def sequence(self) -> int:
        """The number of the frame that is shown."""
        frame = self.app.monitor.moment().frame
        assert frame is not None
        return frame.sequence

    def header(self) -> str:
        return terminal_text(self.app).splitlines()[0]

    def event(self) -> str:
        return terminal_text(self.app).splitlines()[-2]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_replayed_frame_is_drawn_as_it_was_live(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.ptop"
    live = await live_picture(play(40), size, path)
    replay = Replay(path)
    async with replay.app.run_test(size=size) as pilot:
        await replay.advance(pilot, replay.engine.length_s)
        replay.app.draw()
        await pilot.pause()
        assert panels_of(replay.app.export_screenshot()) == live


async def test_a_frame_that_is_sought_is_drawn_as_it_was_live(tmp_path: Path) -> None:
    """Without all that was before it having been played."""
    path = tmp_path / "a.ptop"
    live = await live_picture(play(50), (120, 36), path)
    replay = Replay(path)
    async with replay.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("end")
        await replay.advance(pilot, 0.0)
        replay.app.monitor.say("", fault=False)
        shown = panels_of(replay.app.export_screenshot())
        # The event line says where it stands.
        assert [line for line in shown if not line.startswith("34 ")] == [
            line for line in live if not line.startswith("34 ")
        ]
