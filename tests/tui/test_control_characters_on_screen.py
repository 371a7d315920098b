"""No control character of any source reaches the terminal through the screen."""

import json
import re
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hostile_text import HOSTILE, NAME, WORD, found_on_screen
from prodtop.engine.text.cleaning import clean
from pty_terminal import Terminal

CHILD = Path(__file__).with_name("hostile_child.py")
THEMES = Path(__file__).parents[2] / "themes"
VISITS = {
    "the planner": [(b"P", b"Overview")],
    "the event log": [(b"e", b"Events")],
    "the palette": [(b"\x10", b"Search"), (b"Theme: own", b"]0;PWNED")],
}
"""Keys, and what is to be seen then."""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Hostile themes, good and broken; a config that names one; a hostile folder for data."""
    data = tmp_path / f"data {NAME}"
    data.mkdir()
    themes = tmp_path / "xdg-config" / "prodtop" / "themes"
    themes.mkdir(parents=True)
    text = (THEMES / "prodtop-dark.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("name", "description"))]
    own = ['name = "own"', f"description = {json.dumps(HOSTILE)}", *lines]
    (themes / f"{NAME}.toml").write_text("\n".join(own))
    (themes / f"broken {NAME}.toml").write_text(f"{json.dumps(HOSTILE)} = 1\n")
    return {"XDG_DATA_HOME": str(data)}


def shows(terminal: Terminal, since: int, words: bytes) -> bool:
    return words in re.sub(rb"\x1b\[[0-9;]*[a-zA-Z]", b"", terminal.output[since:])


def saved(terminal: Terminal, folder: Path, look: int) -> bool:
    """Whether a snapshot was saved; asks for one at every hundredth look."""
    if look % 100 == 0:
        terminal.type(b"s")
    return any(folder.glob("*.json"))


@pytest.mark.parametrize("visit", VISITS)
def test_whatever_is_shown_is_clean(
    visit: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    snapshots = Path(environment["XDG_DATA_HOME"]) / "prodtop" / "snapshots"
    with Terminal(tmp_path, CHILD, **environment) as terminal:
        terminal.until(lambda: WORD.encode() in terminal.output)
        # Keys that come before the first screen is whole are lost.
        presses = count()
        terminal.until(lambda: saved(terminal, snapshots, next(presses)))
        for keys, awaited in VISITS[visit]:
            seen = len(terminal.output)
            terminal.type(keys)
            terminal.until(partial(shows, terminal, seen, awaited))
        terminal.process.terminate()
        assert b"ended by SIGTERM" in terminal.ends_with(143)
        assert not found_on_screen(terminal.output)
    for path in snapshots.glob("*"):
        assert clean(path.name) == path.name


def test_a_name_that_another_shows_is_caught_at_the_screens_net() -> None:
    """What no door had cleaned."""
    from prodtop.tui.drawing.span_update import clean_update
    from rich.console import Console
    from rich.segment import Segment
    from textual._compositor import ChopsUpdate, LayoutUpdate
    from textual.geometry import Region
    from textual.strip import Strip

    strip = Strip([Segment(HOSTILE)])
    width = strip.cell_length
    console = Console()
    whole = LayoutUpdate([[strip]], Region(0, 0, width, 1))
    part = ChopsUpdate([{0: strip}], [(0, 0, width)], [[width]])
    for update in (whole, part):
        assert found_on_screen(update.render_segments(console).encode())
        sent = clean_update(update)
        assert isinstance(sent, LayoutUpdate | ChopsUpdate)
        drawn = sent.render_segments(console)
        assert WORD in drawn
        assert not found_on_screen(drawn.encode())
