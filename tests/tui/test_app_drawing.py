"""When the app draws and when it does not, and what it lets through."""

from queue import Queue
from types import SimpleNamespace

import msgspec
import pytest
from frames import ScriptedClient, frame, host, play, ready
from prodtop.engine.protocol import (
    Fault,
)
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.style.inks import SERIES_INKS
from prodtop.tui.style.theme import ThemeError, palette_of
from prodtop.tui.widgets.chart import BrailleChart
from prodtop.tui.widgets.live_panels import QueuePanel
from running_app import open_app
from textual import events


async def test_out_of_focus_the_screen_rests() -> None:
    async with open_app([[ready(), frame(60)]], size=(140, 40)) as running:
        running.app.post_message(events.AppBlur())
        await running.pilot.pause()
        await running.advance([frame(61)], seconds=0.5)
        assert "00:01:00" in running.line("header")
        await running.advance([frame(62)], seconds=1.6)
        assert "00:01:02" in running.line("header")
        assert len(running.app.monitor.history) == 3


async def test_a_terminal_that_lags_behind_is_not_drawn_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_app([[ready(), frame(60)]], size=(140, 40)) as running:
        queue: Queue[str] = Queue()
        queue.put("a frame that the terminal has not taken in yet")
        writer = SimpleNamespace(_writer_thread=SimpleNamespace(_queue=queue))
        with monkeypatch.context() as patched:
            patched.setattr(running.app, "_driver", writer)
            running.client.queue(frame(61))
            running.app.tick()
            assert "00:01:00" in running.line("header")
            queue.get()
        await running.advance()
        assert "00:01:01" in running.line("header")


async def test_too_small_a_terminal_says_so_and_recovers() -> None:
    async with open_app([[ready(), frame()]], size=(50, 12)) as running:
        assert "50x12 is too small: prodtop needs 60x18" in running.text()
        assert "Throughput" not in running.text()
        await running.pilot.resize_terminal(80, 24)
        await running.pilot.pause()
        assert "Throughput" in running.text()
        assert "too small" not in running.text()


async def test_an_unchanged_frame_repaints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_app([[ready(), frame(), host()]]) as running:
        sent: list[object] = []
        running.app.draw()
        await running.pilot.pause()
        monkeypatch.setattr(running.app, "_display", lambda _screen, update: sent.append(update))
        running.app.draw()
        await running.pilot.pause()
        assert sent == []
        await running.advance([frame(63)])
        assert sent != []


@pytest.mark.parametrize("evil", ["\x1b]52;c;aGVsbG8=\x07", "\x9b2J", "\x1b[2J\x1bc", "a\x00b\x7f"])
async def test_no_escape_from_outside_reaches_the_terminal(evil: str) -> None:
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
    async with open_app([[ready(), dirty, sample, Fault(message=evil)]], size=(160, 48)) as running:
        text = running.text()
        assert "text " in text
        assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in text.replace("\n", ""))
        await running.press("e")
        assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in running.text().replace("\n", ""))


def test_an_unknown_theme_is_refused_before_anything_runs() -> None:
    with pytest.raises(ThemeError, match="unknown theme 'mauve'"):
        ProdtopApp(ScriptedClient(), AppSetup(theme="mauve"))


async def test_the_queue_shows_who_is_in_the_system_where_all_of_them_run() -> None:
    """Both curves lie on one another then: the line is drawn over the area."""
    async with open_app(play(60), size=(120, 36)) as running:
        chart = running.app.query_one(QueuePanel).query_one(BrailleChart)
        line_color = palette_of(running.app).style(SERIES_INKS[2]).color
        plot = [chart.render_line(y) for y in range(chart.size.height - 1)]
        cells = sum(
            segment.cell_length
            for strip in plot
            for segment in strip
            if segment.style is not None
            and segment.style.color == line_color
            and segment.text.strip()
        )
        assert cells >= 0.8 * (chart.size.width - 6)
