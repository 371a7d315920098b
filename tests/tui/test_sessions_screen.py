"""The Sessions tab under the pilot, over files that are really there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from frames import frame, play
from prodtop.engine.files.paths import recordings_dir, snapshots_dir
from prodtop.engine.files.sqlite_file import create_locked
from prodtop.engine.records.recording.notes import notes_file, read_notes
from prodtop.engine.records.recording.reader import Recording
from prodtop.engine.records.snapshot import list_snapshots, load_snapshot, save_snapshot
from prodtop.tui.screens.sessions import SessionsScreen
from prodtop.tui.widgets.lines import LinesView
from recording_samples import recorded_session
from running_app import RunningApp, open_app
from snapshot_samples import snapshot
from textual.widgets import Input

A, B = "20231114-221320-hybrid-fp32", "20231114-221320-hybrid-fp32-2"


class Tab(RunningApp):
    """The tab in view."""

    @classmethod
    def of(cls, running: RunningApp) -> "Tab":
        return cls(running.app, running.client, running.clock, running.pilot)

    @property
    def screen(self) -> SessionsScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, SessionsScreen)
        return screen

    def line(self, name: str) -> str:
        return self.screen.query_one(f"#{name}", LinesView).lines[0].plain

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what threads do."""
        async with asyncio.timeout(20):
            while not holds():
                await self.pilot.pause()
                await asyncio.sleep(0.01)
        await self.pilot.pause()

    async def until_said(self, words: str) -> None:
        await self.until(lambda: words in self.app.monitor.moment().log[-1].text)

    async def until_read(self, count: int) -> None:
        await self.until(
            lambda: len(self.screen.sessions.rows) == count and not self.screen.sessions.unread
        )

    @property
    def names(self) -> list[str]:
        return [row.path.stem for row in self.screen.sessions.shown]

    async def type(self, text: str) -> None:
        """Into a line that was opened, in place of what stands there."""
        # Its first keys as keys; a long path would take as many turns of the screen.
        await self.press("ctrl+u", *text[:2])
        entry = self.app.screen.query_one(Input)
        assert entry.value == text[:2]
        entry.value = text
        await self.press("enter")


@asynccontextmanager
async def open_sessions(count: int, *, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Tab]:
    async with open_app(play(2), size=size) as running:
        tab = Tab.of(running)
        await tab.press("S")
        await tab.until_read(count)
        yield tab


@pytest.fixture
def kept() -> None:
    """Two snapshots and a recording, the newest."""
    curve = [(float(second), 100.0 + second % 7) for second in range(60)]
    for label in ("", "before lunch"):
        save_snapshot(snapshot(label=label, series={"decode_tok_s": curve}), "<svg/>")
    recordings_dir().mkdir(parents=True)
    recorded_session(recordings_dir() / "20261201-030000.ptop", 4)


@pytest.mark.usefixtures("kept")
async def test_the_list_the_preview_and_the_filter() -> None:
    async with open_sessions(3) as tab:
        text = tab.text()
        assert tab.names == ["20261201-030000", B, A]
        for said in ("before lunch", "tiny", "qwen3-0.6b", "hybrid", "fp32", "123 tok/s"):
            assert said in text
        assert "20261201-030000" in text
        await tab.press("down")
        text = tab.text()
        assert "a processor" in text
        assert "20 ms" in text
        await tab.press("slash")
        await tab.type("LUNCH tiny")
        assert tab.names == [B]
        assert "1 of 3" in tab.text()
        await tab.press("slash")
        await tab.type("nothing like it")
        assert "nothing has 'nothing like it' in it" in tab.text()
        await tab.press("escape")
        assert len(tab.names) == 3


@pytest.mark.usefixtures("kept")
async def test_two_marked_are_compared_and_the_second_with_the_first() -> None:
    async with open_sessions(3) as tab:
        await tab.press("d")
        assert "mark two with space" in tab.line("event")
        await tab.press("down", "space", "down", "space")
        assert "A before lunch" in tab.line("views")
        await tab.press("d")
        await tab.until(lambda: tab.screen.diff is not None)
        diff = tab.screen.diff
        assert diff is not None
        assert (diff.old, diff.new) == (B, A)
        assert "no difference measured" in tab.text()
        await tab.press("escape")
        assert tab.screen.diff is None
        await tab.press("up", "up", "space")
        assert "A 2023" in tab.line("views"), "of three the first mark is given up"


@pytest.mark.usefixtures("kept")
async def test_a_name_for_a_snapshot_and_for_a_recording() -> None:
    async with open_sessions(3) as tab:
        for name in ("the spike", "noon"):
            await tab.press("n")
            await tab.type(name)
            await tab.until_said(f"is called {name}")
            await tab.press("down")
        recording = Recording(recordings_dir() / "20261201-030000.ptop")
        assert recording.facts["label"] == "the spike"
        recording.close()
        assert load_snapshot(snapshots_dir() / f"{B}.json").label == "noon"
        await tab.press("n", "x", "escape")
        await tab.press("n")
        await tab.type("")
        await tab.until(lambda: "has no name" in tab.line("event"))


@pytest.mark.usefixtures("kept")
async def test_removed_files_come_back_or_are_gone_with_the_screen() -> None:
    def there() -> set[str]:
        folders = (snapshots_dir(), recordings_dir())
        return {path.name for folder in folders for path in folder.iterdir() if path.is_file()}

    notes = notes_file(recordings_dir() / "20261201-030000.ptop")
    notes.write_bytes(b'{"clock_s": 1001.0, "text": "the spike"}\n')
    before = there()
    assert notes.name in before
    async with open_sessions(3) as tab:
        await tab.press("u")
        assert "nothing was removed" in tab.line("event")
        for left in (2, 1):
            await tab.press("x")
            await tab.until_read(left)
        assert there() == {f"{A}.json", f"{A}.svg"}
        for count in (2, 3):
            await tab.press("u")
            await tab.until_read(count)
        assert there() == before
        assert [note.text for note in read_notes(recordings_dir() / "20261201-030000.ptop")] == [
            "the spike"
        ]
        await tab.press("end", "x")
        await tab.until_read(2)
    assert there() == before - {f"{A}.json", f"{A}.svg"}
    assert not list(snapshots_dir().glob(".*"))


@pytest.mark.usefixtures("kept")
async def test_what_is_being_recorded_is_not_removed() -> None:
    path = recordings_dir() / "20270101-000000.ptop"
    lock = create_locked(path)
    try:
        async with open_sessions(4) as tab:
            await tab.press("x")
            await tab.until(lambda: "is being recorded" in tab.line("event"))
            assert path.exists()
    finally:
        lock.close()


@pytest.mark.usefixtures("kept")
async def test_files_are_written_by_their_ending_and_never_over_another(tmp_path: Path) -> None:
    async with open_sessions(3) as tab:
        for name, begins in (("a.json", "{"), ("a.csv", "arrival_s,"), ("a.prom", "# TYPE")):
            await tab.press("E")
            await tab.type(str(tmp_path / name))
            await tab.until_said(f"wrote {tmp_path / name}")
            assert (tmp_path / name).read_text().startswith(begins), name
        await tab.press("E")
        await tab.type(str(tmp_path / "a.parquet"))
        if find_spec("pyarrow") is None:
            await tab.until(lambda: "pip install 'prodtop[parquet]'" in tab.line("event"))
        else:
            await tab.until_said(f"wrote {tmp_path / 'a.parquet'}")
            assert (tmp_path / "a.parquet").read_bytes().startswith(b"PAR1")
        await tab.press("E")
        await tab.type(str(tmp_path / "a.json"))
        await tab.until(lambda: "exists: give another name" in tab.line("event"))
        await tab.press("down", "E")
        await tab.type(str(tmp_path / "b.html"))
        await tab.until(lambda: (tmp_path / "b.html").exists())
        await tab.press("E")
        await tab.type(str(tmp_path / "b.doc"))
        await tab.until(lambda: "a snapshot is written as" in tab.line("event"))
        await tab.press("E")
        await tab.type(str(tmp_path / "no" / "folder" / "b.md"))
        await tab.until(lambda: "cannot write" in tab.line("event"))


async def test_what_another_prodtop_saves_and_removes_is_seen() -> None:
    async with open_sessions(0) as tab:
        assert "nothing is kept yet" in tab.text()
        path = save_snapshot(snapshot(), "<svg/>")
        await tab.advance(seconds=5.0)
        await tab.until_read(1)
        path.unlink()
        await tab.advance(seconds=5.0)
        await tab.until_read(0)


async def test_what_is_saved_here_is_seen() -> None:
    async with open_sessions(0) as tab:
        await tab.press("s")
        await tab.advance(seconds=5.0)
        await tab.until_read(1)
        assert "qwen3-0.6b" in tab.text()


async def test_a_file_that_cannot_be_read_is_a_row_that_says_so() -> None:
    folder = snapshots_dir()
    folder.mkdir(parents=True)
    (folder / "a-cut.json").write_text("{")
    (folder / "b-newer.json").write_text('{"schema_version": 9}')
    (folder / "evil\x1b[31m\x9b2J.json").write_text(json.dumps({"label": "\x1b]52;c;x\x07"}))
    recordings_dir().mkdir(parents=True)
    (recordings_dir() / "d-foreign.ptop").write_text("a diary")
    async with open_sessions(4) as tab:
        text = tab.text()
        assert "of a newer prodtop (schema 9)" in text
        assert text.count("no snapshot: ") >= 2
        assert "is no recording" in text
        assert not set(text) & {"\x1b", "\x9b", "\x07"}
        for _ in range(4):
            await tab.press("enter", "space", "n", "E", "down")
        assert tab.app.is_running
        await tab.press("up", "up", "space", "d")
        await tab.until(lambda: "comparing" not in tab.line("event"))
        assert tab.app.is_running


@pytest.mark.usefixtures("kept")
async def test_a_terminal_that_cannot_be_given_away_is_a_line() -> None:
    """As that of the pilot. How it is given away is tested in a real one."""
    async with open_sessions(3) as tab:
        await tab.press("enter")
        await tab.until(lambda: "cannot be given to another screen" in tab.line("event"))
        await tab.press("down")
        assert tab.app.is_running


async def test_snapshots_around_a_clock_that_jumps_are_listed_by_the_time_they_name() -> None:
    """It is set an hour ahead, two hours back, and to the very second of the first."""
    told: list[float] = []
    async with open_app(play(2), size=(120, 36)) as running:
        first_s = frame(5).wall_s
        for jump_s in (0.0, 3600.0, -3600.0, 0.0):
            told.append(first_s + jump_s)
            await running.advance([msgspec.structs.replace(frame(5), wall_s=told[-1])])
            await running.press("s")
        listed = list_snapshots()
        saved = [load_snapshot(path).saved_wall_s for path in listed]
        assert saved == pytest.approx(sorted(told), abs=1.0), "the oldest first, and all are there"
        assert all(path.with_suffix(".svg").exists() for path in listed)
        tab = Tab.of(running)
        await tab.press("S")
        await tab.until_read(len(told))
        assert tab.names == [path.stem for path in reversed(listed)]
