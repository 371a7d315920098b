"""Copying: the text of a panel, or the headlines of all, for the terminal's clipboard."""

from frames import frame
from running_app import open_app


async def test_the_focused_panel_is_copied_whole() -> None:
    async with open_app([[frame()]], size=(120, 36)) as running:
        await running.advance()
        running.app.screen.query_one("#latency").focus()
        await running.press("y")
        rows = running.app.clipboard.splitlines()
        assert rows[0].startswith("Latency")
        assert any(row.split()[:1] == ["TTFT"] for row in rows)
        assert "copied" in running.line("event")


async def test_without_a_focus_the_headlines_are_copied() -> None:
    async with open_app([[frame()]], size=(120, 36)) as running:
        await running.advance()
        await running.press("y")
        rows = running.app.clipboard.splitlines()
        assert len(rows) > 4
        assert any("tok/s" in row for row in rows)
