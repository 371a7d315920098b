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
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.state.monitor import READ_ONLY
from prodtop.tui.widgets.lines import LinesView
from recording_samples import CLOCK_S, recorded_session
from running_app import SLOW, Clock
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]
WALL_S = 1_790_000_000.0
FACTS = {"prodtop": "0.1.0"}
Keys = Callable[[Pilot[None]], Awaitable[None]]


def panels_of(svg: str) -> list[str]:
    """The picture of all rows but the header and the footer, which speak of the replay."""
    lines = re.findall(
        r"<text[^>]*class=\"terminal-\d+-(r\d+)\"[^>]*-line-(\d+)\)[^>]*>([^<]*)", svg
    )
    styles = dict(re.findall(r"terminal-\d+-(r\d+) \{([^}]*)\}", svg))
    most = max(int(row) for _, row, _ in lines)
    assert len(lines) > 100
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
    app = ProdtopApp(engine, AppSetup(clock=clock, config=SLOW, theme="prodtop-dark"))
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
        self.app = ReplayApp(
            self.engine, AppSetup(clock=self.clock, config=SLOW, theme="prodtop-dark")
        )

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
        return self.app.query_one("#header", LinesView).lines[0].plain

    def event(self) -> str:
        return self.app.query_one("#event", LinesView).lines[0].plain


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_replayed_frame_is_drawn_as_it_was_live(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.ptop"
    live = await live_picture(play(12), size, path)
    replay = Replay(path)
    async with replay.app.run_test(size=size) as pilot:
        await replay.advance(pilot, replay.engine.length_s)
        replay.app.draw()
        await pilot.pause()
        assert panels_of(replay.app.export_screenshot()) == live


async def test_a_frame_that_is_sought_is_drawn_as_it_was_live(tmp_path: Path) -> None:
    """Without all that was before it having been played."""
    path = tmp_path / "a.ptop"
    live = await live_picture(play(15), (120, 36), path)
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


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    """Of twenty seconds, whose first poll has no frame."""
    recorded_session(tmp_path / "a.ptop", 20)
    return Replay(tmp_path / "a.ptop")


async def test_single_frames_forward_and_back(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 5.0)
        await pilot.press("space")
        at = replay.sequence
        shown = panels_of(replay.app.export_screenshot())
        await replay.advance(pilot, 3.0)
        assert replay.sequence == at, "it stands still"
        assert replay.header().startswith(" ‖ ×1 00:00:05")
        await pilot.press("full_stop", "full_stop")
        assert replay.sequence == at + 2
        await pilot.press("comma")
        assert replay.sequence == at + 1
        await pilot.press("comma")
        await pilot.pause()
        assert panels_of(replay.app.export_screenshot()) == shown
        await pilot.press("space")
        await replay.advance(pilot, 1.0)
        assert replay.sequence == at + 4
        assert replay.header().startswith(" ▸ ×1 00:00:06")


async def test_it_plays_slower_and_faster(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 1.0)
        at = replay.sequence
        await pilot.press("}", "}", "}")
        await replay.advance(pilot, 0.5)
        assert replay.sequence == at + 20, "ten times as fast"
        await pilot.press("{", "{", "{", "{")
        assert "plays at ×0.5" in replay.event()
        await replay.advance(pilot, 2.0)
        assert replay.sequence == at + 24


async def test_every_speed_there_is_and_no_other(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        for key, end in (("}", 100), ("{", 0.1)):
            await pilot.press(*[key] * 12)
            assert replay.engine.speed == end


async def test_the_end_is_an_end_and_space_begins_again(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 60.0)
        last = replay.sequence
        assert last == 80
        assert replay.app.is_running
        assert replay.header().startswith(" ‖ ×1 00:00:20")
        await pilot.press("space")
        await replay.advance(pilot, 1.0)
        assert replay.sequence < 10


async def test_a_loop_begins_again(tmp_path: Path) -> None:
    recorded_session(tmp_path / "a.ptop", 5)
    replay = Replay(tmp_path / "a.ptop", loop=True)
    async with replay.app.run_test(size=(100, 30)) as pilot:
        for _ in range(3):
            await replay.advance(pilot, 4.0)
            seen = replay.sequence
            await replay.advance(pilot, 2.0)
            await replay.advance(pilot, 0.5)
            assert replay.sequence < seen


async def test_home_end_and_the_arrows_walk(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await pilot.press("end")
        assert replay.sequence == 80
        await pilot.press("left")
        back = replay.sequence
        assert 70 < back < 80
        await pilot.press("shift+left")
        assert replay.sequence < back - 8
        await pilot.press("space", "right")
        assert "of 00:00:20" in replay.event()
        await pilot.press("home")
        assert replay.engine.played_s() == 0.0


ENGINE_KEYS = (
    "2",
    "6",
    "left_square_bracket",
    "right_square_bracket",
    "d",
    "A",
)


@pytest.mark.parametrize("key", [*ENGINE_KEYS, "r"])
async def test_what_would_change_an_engine_says_that_this_is_a_recording(
    replay: Replay, key: str
) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 5.0)
        before = replay.app.monitor.moment()
        await pilot.press(key)
        after = replay.app.monitor.moment()
        assert READ_ONLY in replay.event()
        assert after.pending == before.pending


@pytest.mark.parametrize("line", ["users 64", "model bundled", "precision int8"])
async def test_nor_does_the_command_line(replay: Replay, line: str) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 5.0)
        replay.app._run_entered(line)
        await pilot.pause()
        assert READ_ONLY in replay.event()


async def test_measuring_begins_nowhere(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await replay.advance(pilot, 5.0)
        for tab in ("C", "Q"):
            await pilot.press(tab, "b")
            moment = replay.app.monitor.moment()
            assert not moment.compare.running
            assert not moment.quality.running


async def test_a_request_is_opened_all_the_same(replay: Replay) -> None:
    async with replay.app.run_test(size=(120, 36)) as pilot:
        await replay.advance(pilot, 5.0)
        await pilot.press("R", "down", "enter")
        await replay.advance(pilot, 0.5)
        assert replay.app.is_running
