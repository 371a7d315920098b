"""The app under Textual's pilot: every key, every state, and what must never happen."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import msgspec
import pytest
from frames import EPOCH_S, ScriptedClient, frame, host, play, ready
from prodtop.engine.protocol import (
    ChildDied,
    Fault,
    LoadSpec,
    PrecisionName,
    Progress,
    Report,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    Speculation,
    SpeculationSpec,
    StrategyName,
    Window,
)
from prodtop.engine.records.snapshot import load_snapshot
from prodtop.tui.app import ProdtopApp
from prodtop.tui.screens.event_log import EventLogScreen
from prodtop.tui.screens.help import HelpScreen
from prodtop.tui.settings.config import Config
from prodtop.tui.settings.keymap import remap
from prodtop.tui.style.theme import load_themes
from prodtop.tui.widgets.figures_panel import FiguresPanel
from prodtop.tui.widgets.lines import LinesView
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot

SLOW = Config(refresh_hz=0.5)
"""The timer hardly ticks in a test's time: `advance` drives the app."""


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Screen:
    """A running app with a hand on its clock and on what its engine says."""

    def __init__(self, app: ProdtopApp, client: ScriptedClient, clock: Clock, pilot: Pilot[None]):
        self.app, self.client, self.clock, self.pilot = app, client, clock, pilot

    async def advance(self, *polls: list[Report], seconds: float = 0.25) -> None:
        """Have the engine say something, one poll a tick, and draw it."""
        self.client.polls.extend(polls)
        for _ in range(max(1, len(self.client.polls))):
            self.clock.now_s += seconds
            self.app.tick()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def line(self, name: str) -> str:
        return self.app.query_one(f"#{name}", LinesView).lines[0].plain

    def text(self) -> str:
        """Everything on the terminal."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


Open = Callable[..., AbstractAsyncContextManager[Screen]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Open the app at some size over what an engine says."""

    @asynccontextmanager
    async def run(
        polls: Iterable[list[Report]] = (),
        *,
        size: tuple[int, int] = (100, 30),
        **options: object,
    ) -> AsyncIterator[Screen]:
        client, clock = ScriptedClient(obedient=True), Clock()
        chosen = {"config": SLOW, "theme": "prodtop-dark", "snapshot_folder": tmp_path} | options
        app = ProdtopApp(client, clock=clock, **chosen)  # type: ignore[arg-type]  # passed through
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, client, clock, pilot)
            await screen.advance(*polls)
            yield screen

    return run


async def test_the_first_screen_comes_before_the_engine(opened: Open) -> None:
    async with opened() as screen:
        text = screen.text()
        for panel in ("Throughput", "Latency", "Cache", "Queue", "Stream"):
            assert panel in text
        await screen.advance([Progress(what="loading bf16 weights", fraction=0.4)])
        assert "starting: loading bf16 weights 40 %" in screen.line("header")


@pytest.mark.parametrize(("number", "strategy"), enumerate(StrategyName, start=1))
async def test_digits_choose_strategies(opened: Open, number: int, strategy: StrategyName) -> None:
    start = StrategyName.SINGLE if strategy is not StrategyName.SINGLE else StrategyName.CACHED
    async with opened([[ready(), frame(strategy=start)]]) as screen:
        await screen.press(str(number))
        assert screen.client.sent == [SetStrategy(name=strategy)]
        assert f">{number} {strategy}<" in screen.text()
        await screen.advance([frame(61)])
        assert f"[{number} {strategy}]" in screen.text()


async def test_d_switches_drafts_off_and_on_again_as_they_were(opened: Open) -> None:
    spec = SpeculationSpec(drafts=6)
    state = Speculation(spec=spec, drafting=True, tokens_per_step=1.05, step_ratio=1.3)
    drafted = msgspec.structs.replace(frame(), speculation=state)
    async with opened([[ready(), drafted]]) as screen:
        assert "drafts lose ×0.81" in screen.text()
        await screen.press("d")
        await screen.advance([frame(61)])
        assert "drafts lose" not in screen.text()
        await screen.press("d")
        assert screen.client.sent == [SetSpeculation(spec=None), SetSpeculation(spec=spec)]


async def test_brackets_walk_the_precisions(opened: Open) -> None:
    async with opened([[ready(), frame()]]) as screen:
        await screen.press("left_square_bracket")
        assert screen.client.sent == [SetPrecision(name=PrecisionName.FP32)]
        await screen.advance([frame(61)])
        assert "[fp32]" in screen.text()
        await screen.press(*["right_square_bracket"] * 5)
        assert [command.name for command in screen.client.sent[1:]] == [  # type: ignore[union-attr]  # all are SetPrecision
            "bf16",
            "fp16",
            "int8",
            "int4",
        ]
        assert "fp8 needs a GPU of compute capability 8.9 or newer" in screen.line("event")


@pytest.mark.parametrize(("key", "users"), [("minus", 24), ("equals_sign", 48), ("plus", 48)])
async def test_minus_and_equals_change_the_load(opened: Open, key: str, users: int) -> None:
    async with opened([[ready(), frame()]]) as screen:
        await screen.press(key)
        assert screen.client.sent == [SetLoad(load=LoadSpec(users=users))]
        assert f"{users} users" in screen.text()


async def test_space_freezes_and_the_arrows_walk(opened: Open) -> None:
    async with opened(play(30)) as screen:
        await screen.press("space")
        assert "PAUSED" in screen.line("header")
        await screen.advance([frame(31), host(31)], [frame(32), host(32)], seconds=1.0)
        assert len(screen.app.monitor.history) == 123
        assert "00:00:02" in screen.line("header")
        await screen.press(*["shift+left"] * 3)
        moment = screen.app.monitor.moment()
        assert moment.frame is not None
        assert moment.frame.uptime_s < 20
        assert moment.frame.strategy.value in screen.line("header")
        await screen.press("right", "home")
        assert screen.app.monitor.playhead.cursor_s == EPOCH_S
        await screen.press("end", "escape")
        assert "LIVE" in screen.line("header")


async def test_left_freezes_a_live_display(opened: Open) -> None:
    async with opened(play(30)) as screen:
        await screen.press("left")
        assert "PAUSED" in screen.line("header")
        assert (screen.app.monitor.playhead.cursor_s or 0) < EPOCH_S + 30


async def test_w_walks_the_windows(opened: Open) -> None:
    async with opened([[ready(), frame()]]) as screen:
        assert "Latency 1m" in screen.text()
        await screen.press("w")
        assert "Latency 5m" in screen.text()
        await screen.press("w", "w")
        assert screen.app.monitor.window is Window.S10


async def test_t_walks_the_themes_and_back(opened: Open) -> None:
    async with opened([[ready(), frame()]]) as screen:
        names = list(load_themes().themes)
        seen = []
        for _ in names:
            seen.append(screen.app.theme)
            await screen.press("t")
        assert sorted(seen) == sorted(names)
        assert screen.app.theme == "prodtop-dark"


async def test_s_saves_what_is_shown(opened: Open, tmp_path: Path) -> None:
    async with opened(play(10)) as screen:
        await screen.press("s")
        (path,) = tmp_path.glob("*.json")
        assert path.with_suffix(".svg").read_text().startswith("<svg")
        snapshot = load_snapshot(path)
        assert snapshot.frame.uptime_s == 10
        assert len(snapshot.series["decode_tok_s"]) == 41
        assert snapshot.settings.theme == "prodtop-dark"
        assert snapshot.versions["torch"] == "2.11.0"
        assert path.stem in screen.app.monitor.moment().log[-1].text


async def test_a_paused_snapshot_is_of_the_moment_under_the_cursor(
    opened: Open, tmp_path: Path
) -> None:
    async with opened(play(10)) as screen:
        await screen.press("space", "home", "s")
        (path,) = tmp_path.glob("*.json")
        assert json.loads(path.read_bytes())["frame"]["uptime_s"] == 0


async def test_a_snapshot_that_cannot_be_written_says_why(opened: Open, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with opened(play(2), snapshot_folder=blocked / "folder") as screen:
        await screen.press("s")
        assert "cannot write a snapshot" in screen.line("event")


async def test_nothing_is_saved_before_the_first_figures(opened: Open, tmp_path: Path) -> None:
    async with opened() as screen:
        await screen.press("s")
        assert list(tmp_path.iterdir()) == []
        assert "nothing to save yet" in screen.line("event")


async def test_help_lists_the_keys_and_closes(opened: Open) -> None:
    async with opened([[ready(), frame()]], size=(100, 60)) as screen:
        await screen.press("question_mark")
        assert isinstance(screen.app.screen, HelpScreen)
        text = screen.text()
        for description in ("Next precision", "Save a snapshot", "Command palette", "Quit"):
            assert description in text
        await screen.press("escape")
        assert not isinstance(screen.app.screen, HelpScreen)


async def test_e_opens_the_event_log(opened: Open) -> None:
    async with opened(play(10)) as screen:
        await screen.press("e")
        assert isinstance(screen.app.screen, EventLogScreen)
        assert "strategy: single → continuous" in screen.text()
        await screen.press("e")
        assert not isinstance(screen.app.screen, EventLogScreen)


async def test_figures_go_on_behind_a_dialog(opened: Open) -> None:
    async with opened([[ready(), frame(60)]]) as screen:
        await screen.press("question_mark")
        await screen.advance([frame(65)])
        await screen.press("escape")
        assert "00:01:05" in screen.line("header")


async def test_the_palette_offers_every_choice(opened: Open) -> None:
    async with opened([[ready(), frame()]]) as screen:
        titles = [command.title for command in screen.app.get_system_commands(screen.app.screen)]
        assert {f"Precision: {name}" for name in PrecisionName} <= set(titles)
        assert {f"Window: {window}" for window in Window} <= set(titles)
        assert {f"Theme: {name}" for name in load_themes().themes} <= set(titles)
        assert any("single strategy" in title for title in titles)
        await screen.press("ctrl+p")
        assert isinstance(screen.app.screen, CommandPalette)


async def test_commands_of_the_palette_do_what_they_say(opened: Open) -> None:
    async with opened([[ready(), frame()]]) as screen:
        commands = {c.title: c for c in screen.app.get_system_commands(screen.app.screen)}
        for title in ("Precision: int8", "Window: 10s", "Theme: ascii"):
            commands[title].callback()
        strategy = next(c for t, c in commands.items() if "single strategy" in t)
        result = strategy.callback()
        assert result is not None
        await result
        await screen.pilot.pause()
        assert SetPrecision(name=PrecisionName.INT8) in screen.client.sent
        assert SetStrategy(name=StrategyName.SINGLE) in screen.client.sent
        assert screen.app.monitor.window is Window.S10
        assert screen.app.theme == "ascii"


@pytest.mark.parametrize("key", ["m", "enter"])
async def test_a_panel_is_maximised_and_put_back(opened: Open, key: str) -> None:
    async with opened([[ready(), frame()]]) as screen:
        await screen.press(key)
        assert "choose a panel" in screen.app.monitor.moment().log[-1].text
        await screen.press("tab", key)
        shown = [panel.id for panel in screen.app.query(FiguresPanel) if panel.display]
        assert shown == ["throughput"]
        assert "Cache" not in screen.text()
        await screen.press(key)
        assert "Cache" in screen.text()


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_q_quits_and_ends_the_engine(opened: Open, key: str) -> None:
    async with opened([[ready(), frame()]]) as screen:
        await screen.press(key)
    assert screen.client.closed
    assert screen.app.return_code == 0


async def test_keys_follow_the_config(opened: Open) -> None:
    keymap = remap({"strategy_single": "x", "quit": "Q"}, "config.toml")
    async with opened([[ready(), frame()]], keymap=keymap) as screen:
        await screen.press("1")
        assert screen.client.sent == []
        await screen.press("x")
        assert screen.client.sent == [SetStrategy(name=StrategyName.SINGLE)]
        assert "Q quit" in screen.line("footer")


async def test_a_fatal_fault_closes_with_its_exit_code(opened: Open) -> None:
    fault = Fault(message="cuda was asked for and is not there", fatal=True, exit_code=2)
    async with opened([[Progress(what="starting")]]) as screen:
        await screen.advance([fault])
    assert screen.app.return_code == 2
    assert screen.app.fault == fault


async def test_silence_is_marked_stale(opened: Open) -> None:
    async with opened([[ready(), frame(), host()]]) as screen:
        await screen.advance(seconds=6.0)
        assert "STALE 6 s" in screen.line("header")
        assert "Throughput  6 s old" in screen.text()


async def test_a_killed_worker_is_told_and_the_history_stays(opened: Open) -> None:
    died = ChildDied(
        child="worker", reason="killed (signal 9)", failed_requests=12, restart_in_s=1.0
    )
    async with opened([*play(10), [died]]) as screen:
        assert "worker killed (signal 9): 12 requests failed" in screen.line("event")
        assert "ENGINE DOWN" in screen.line("header")
        await screen.press("space", "home")
        assert "PAUSED" in screen.line("header")


async def test_out_of_focus_the_screen_rests(opened: Open) -> None:
    async with opened([[ready(), frame(60)]]) as screen:
        screen.app.post_message(events.AppBlur())
        await screen.pilot.pause()
        await screen.advance([frame(61)], seconds=0.5)
        assert "00:01:00" in screen.line("header")
        await screen.advance([frame(62)], seconds=1.6)
        assert "00:01:02" in screen.line("header")
        assert len(screen.app.monitor.history) == 3


async def test_a_terminal_that_lags_behind_is_not_drawn_to(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened([[ready(), frame(60)]]) as screen:
        queue: Queue[str] = Queue()
        queue.put("a frame that the terminal has not taken in yet")
        writer = SimpleNamespace(_writer_thread=SimpleNamespace(_queue=queue))
        with monkeypatch.context() as patched:
            patched.setattr(screen.app, "_driver", writer)
            screen.client.queue(frame(61))
            screen.app.tick()
            assert "00:01:00" in screen.line("header")
            queue.get()
        await screen.advance()
        assert "00:01:01" in screen.line("header")


async def test_too_small_a_terminal_says_so_and_recovers(opened: Open) -> None:
    async with opened([[ready(), frame()]], size=(50, 12)) as screen:
        assert "50x12 is too small: prodtop needs 60x18" in screen.text()
        assert "Throughput" not in screen.text()
        await screen.pilot.resize_terminal(80, 24)
        await screen.pilot.pause()
        assert "Throughput" in screen.text()
        assert "too small" not in screen.text()


async def test_an_unchanged_frame_repaints_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened([[ready(), frame(), host()]]) as screen:
        sent: list[object] = []
        screen.app.draw()
        await screen.pilot.pause()
        monkeypatch.setattr(screen.app, "_display", lambda _screen, update: sent.append(update))
        screen.app.draw()
        await screen.pilot.pause()
        assert sent == []
        await screen.advance([frame(63)])
        assert sent != []


@pytest.mark.parametrize("evil", ["\x1b]52;c;aGVsbG8=\x07", "\x9b2J", "\x1b[2J\x1bc", "a\x00b\x7f"])
async def test_no_escape_from_outside_reaches_the_terminal(opened: Open, evil: str) -> None:
    stream = frame().stream
    assert stream is not None
    dirty = msgspec.structs.replace(
        frame(),
        device_name=evil,
        switching=evil,
        model=msgspec.structs.replace(frame().model, name=evil),
        stream=msgspec.structs.replace(stream, text=f"text {evil}", prompt=evil),
    )
    sample = host(gpus=0)
    sample = msgspec.structs.replace(sample, gpu_note=evil, hostname=evil, cpu_name=evil)
    async with opened([[ready(), dirty, sample, Fault(message=evil)]], size=(160, 48)) as screen:
        text = screen.text()
        assert "text " in text
        assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in text.replace("\n", ""))
        await screen.press("e")
        assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in screen.text().replace("\n", ""))


def test_importing_the_app_leaves_torch_out_and_leaves_numpy_for_later() -> None:
    code = "import sys, prodtop.tui.app; sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_an_unknown_theme_is_refused_before_anything_runs() -> None:
    with pytest.raises(Exception, match="unknown theme 'mauve'"):
        ProdtopApp(ScriptedClient(), theme="mauve")
    await asyncio.sleep(0)
