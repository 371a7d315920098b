"""Walking through a recording: what is shown is what was shown then, wherever one came from."""

from pathlib import Path

import pytest
from frames import play
from of_our_own import known
from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.files.paths import recordings_dir
from prodtop.engine.records.recording.notes import notes_file, read_notes
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.commands.recording_files import DEMO, DEMO_FILE, find_recording
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.state.replay_monitor import ReplayMonitor
from prodtop.tui.views.keys import REPLAY_FOOTER_ACTIONS
from recording_samples import recorded_session
from running_app import SLOW, Clock
from test_replay_screen import Replay, live_picture, panels_of


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    """Of two minutes."""
    recorded_session(tmp_path / "a.ptop", 120)
    return Replay(tmp_path / "a.ptop")


async def test_the_way_there_does_not_matter(tmp_path: Path) -> None:
    """After n, N, g, a zoom and its end the same frame is drawn as it was live."""
    path = tmp_path / "a.ptop"
    live = await live_picture(play(40), (120, 36), path)
    replay = Replay(path)
    async with replay.app.run_test(size=(120, 36)) as pilot:
        await pilot.press("n", "n", "N", "z", "Z", "Z", "pagedown", "home", "g", *"+17s", "enter")
        # The windows, all five: that ends the zoom.
        await pilot.press(*"wwwww", "end", "space")
        await replay.advance(pilot, 0.0)
        shown = panels_of(replay.app.export_screenshot())
        assert [line for line in shown if not line.startswith("34 ")] == [
            line for line in live if not line.startswith("34 ")
        ]


async def test_n_visits_every_stop_of_the_whole_recording_and_N_the_same(replay: Replay) -> None:  # noqa: N802
    async with replay.app.run_test(size=(100, 30)) as pilot:
        monitor = replay.app.monitor
        assert isinstance(monitor, ReplayMonitor)
        seen = []
        while "no event or spike after" not in replay.event():
            await pilot.press("n")
            seen.append(replay.engine.number)
            assert len(seen) < 100
        visited = seen[:-1]
        assert visited
        assert visited == sorted(set(visited))
        recording = replay.engine.recording
        ticks = {monitor.tick_at(stop.wall_s) + 1 for stop in monitor.stops()}
        assert set(visited) == ticks - {recording.first_tick + 1}
        back = []
        for _ in visited[:-1]:
            await pilot.press("N")
            back.append(replay.engine.number)
        assert back == visited[-2::-1]


async def test_g_takes_times_of_the_whole_recording(replay: Replay) -> None:
    async with replay.app.run_test(size=(100, 30)) as pilot:
        await pilot.press("g", *"00:01:10", "enter")
        assert replay.engine.played_s() == 70.0
        await pilot.press("g", *"-30s", "enter")
        assert replay.engine.played_s() == 40.0
        await pilot.press("g", *"end", "enter")
        assert replay.engine.played_s() == replay.engine.length_s


async def test_zoomed_charts_show_what_is_to_come_and_the_cursor(replay: Replay) -> None:
    async with replay.app.run_test(size=(120, 36)) as pilot:
        await replay.advance(pilot, 20.0)
        await pilot.press("space", *"Z" * 12)
        timeline = replay.app.monitor.timeline()
        session = replay.app.monitor.session()
        assert session is not None
        assert (timeline.end_s, timeline.span_s) == (session.end_s, replay.engine.length_s)
        assert timeline.cursor_s == pytest.approx(session.begin_s + 20.0)
        curve = timeline.curve("decode_tok_s", "decode")
        assert curve.times_s[-1] >= session.end_s - 1.0
        assert list(curve.times_s) == sorted(curve.times_s)
        whole = [
            known(tick.frame.throughput.decode_tok_s)
            for tick in replay.engine.recording.ticks(0)
            if tick.frame is not None
        ]
        assert max(v for v in curve.values if v == v) == max(whole)
        assert min(v for v in curve.values if v == v) == min(whole)


async def test_two_windows_on_one_recording_walk_by_themselves_and_share_notes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ptop"
    recorded_session(path, 30)
    before = path.read_bytes()
    first, second = Replay(path), Replay(path)
    async with first.app.run_test(size=(100, 30)) as one:
        await first.advance(one, 10.0)
        await one.press("space", "j", *"look here", "enter")
        assert "note: look here" in first.event()
        await one.press("j", *"and here", "enter")
    async with second.app.run_test(size=(100, 30)) as two:
        await two.press("end", "N")
        texts = [stop.text for stop in second.app.monitor.stops() if stop.kind == "note"]
        assert texts == ["look here", "and here"]
        await two.press("e")
        await two.press("slash", *"look here", "enter")
        assert second.engine.played_s() == 10.0
    assert path.read_bytes() == before
    # Cut off, hand-edited, hostile: what can be read is there.
    with notes_file(path).open("ab") as file:
        file.write(b'{"clock_s": 1e400, "text": "x"}\n\xff\xff\n{"text": 1}\n{"clock_s":1,"te')
    assert [note.text for note in read_notes(path)] == ["look here", "and here"]


async def test_a_note_that_cannot_be_kept_says_so_and_is_there(replay: Replay) -> None:
    notes_file(replay.engine.recording.path).mkdir()
    async with replay.app.run_test(size=(160, 30)) as pilot:
        await replay.advance(pilot, 5.0)
        await pilot.press("j", *"a note", "enter")
        assert "not kept" in replay.event()
        assert "a note" in [stop.text for stop in replay.app.monitor.stops()]


async def test_the_footer_names_only_keys_that_work_here(replay: Replay) -> None:
    names = {name for name, _ in REPLAY_FOOTER_ACTIONS}
    assert not any(name.startswith(("strategy", "precision", "load")) for name in names)
    async with replay.app.run_test(size=(200, 30)) as pilot:
        await replay.advance(pilot, 1.0)
        footer = replay.app.query_one("#footer").lines[0].plain  # type: ignore[attr-defined]  # lines
        assert "strategy" not in footer
        assert "frame" in footer


async def test_what_was_tried_is_of_the_whole_recording(replay: Replay) -> None:
    async with replay.app.run_test(size=(120, 36)) as pilot:
        await replay.advance(pilot, 100.0)
        played = {each.settings for each in replay.app.monitor.tried.records}
        await pilot.press("home")
        assert {each.settings for each in replay.app.monitor.all_tried} >= played


def test_the_demo_is_small_complete_and_found_by_name() -> None:
    assert find_recording(DEMO) == DEMO_FILE
    assert DEMO_FILE.stat().st_size < 1_000_000
    recording = Recording(DEMO_FILE)
    kinds = {stored.kind for stored in recording.events(0, recording.last_tick + 1)}
    assert {"Switched", "ChildDied", "Note", "Ready"} <= kinds
    assert recording.ended_clock_s - recording.began_clock_s >= 600.0
    recording.close()
    recorded_session_named_demo = recordings_dir() / "demo.ptop"
    recorded_session_named_demo.parent.mkdir(parents=True)
    recorded_session(recorded_session_named_demo, 5)
    assert find_recording(DEMO) == recorded_session_named_demo


async def test_the_demo_has_something_to_find() -> None:
    engine = ReplayEngine(Recording(DEMO_FILE), clock=Clock())
    app = ReplayApp(engine, AppSetup(clock=Clock(), config=SLOW, theme="prodtop-dark"))
    async with app.run_test(size=(120, 36)) as pilot:
        kinds = set()
        for _ in range(6):
            before = engine.number
            await pilot.press("n")
            assert engine.number > before
        kinds = {stop.kind for stop in app.monitor.stops()}
        assert {"switch", "fault", "restart", "note", "spike"} <= kinds
