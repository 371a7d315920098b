"""The Sessions tab: what was kept, to look at, open, compare, name, remove and export.

Files are read in threads, one after the other; what was read stays until the file is another.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from textual.geometry import Region
from textual.message import Message

from ...engine.files.paths import recordings_dir, snapshots_dir
from ...engine.files.removal import empty_abandoned
from ...engine.protocol.errors import ProdtopError
from ...engine.records.diff.diff import Diff
from ...engine.records.kept.rows import KeptRow, find_kept, read_row
from ...engine.records.snapshot import stamp_and_number
from ...engine.text.cleaning import clean
from ..drawing.line import Line
from ..settings.keymap import SESSIONS, Keymap
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..state.playhead import Timeline
from ..state.sessions import Sessions, name_of, title_of
from ..style.formatting import short_path
from ..views.events import event_line
from ..views.panel import Room, RowsView
from ..views.sessions.around import footer_line, sessions_header, state_line
from ..views.sessions.difference import difference_view
from ..views.sessions.listing import listing_view
from ..views.sessions.preview import preview_view
from ..widgets.rows_panel import RowsPanel
from .measuring_tab import MeasuringTab
from .prompt import PromptScreen
from .sessions_files import Shelf, compare_files, export_file, export_name, name_file
from .sessions_placement import place_panels

LOOK_AGAIN_S = 3.0
"""How often the folders are looked at while the tab is in view: another prodtop may write there."""


class SessionsScreen(MeasuringTab):
    """A list, and beside it a preview of the row under the cursor, or a diff."""

    class Open(Message):
        """A file is to be opened on the whole terminal."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, keymap: Keymap, monitor: Monitor) -> None:
        super().__init__(keymap, monitor, id=SESSIONS, panels=("list", "preview"))
        self.sessions = Sessions()
        self.diff: Diff | None = None
        self._shelf = Shelf()
        self._looked_at_s = float("-inf")
        self._reading = False

    def on_mount(self) -> None:
        super().on_mount()
        for folder in (snapshots_dir(), recordings_dir()):
            empty_abandoned(folder)

    def on_unmount(self) -> None:
        self._shelf.empty()

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        diffing = self.diff is not None
        return place_panels(width, height, diffing=diffing, maximized=self._maximized)

    # Drawing

    def show(self, moment: Moment, timeline: Timeline) -> None:
        self._moment = moment
        if self.app.is_running and moment.now_s - self._looked_at_s >= LOOK_AGAIN_S:
            self._looked_at_s = moment.now_s
            self.look()
        self._draw()

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        diffing = self.diff is not None
        return {
            "header": sessions_header(moment, room),
            "views": state_line(self.sessions, self._keymap, room),
            "event": event_line(moment, room),
            "footer": footer_line(self._keymap, room, self.sessions, diffing=diffing),
        }

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        if name == "list":
            return listing_view(self.sessions, room)
        if self.diff is not None:
            return difference_view(self.diff, room)
        return preview_view(self._chosen(), room)

    def _chosen(self) -> KeptRow | None:
        """The row under the cursor."""
        return self.sessions.row(self.query_one("#list", RowsPanel).target)

    def on_rows_panel_moved(self, _message: RowsPanel.Moved) -> None:
        self._draw()

    # Reading

    def look(self) -> None:
        """Look at the folders again; what is new or other there is read."""
        if not self._reading:
            self._reading = True
            self.run_worker(self._read(), group="sessions-read")

    async def _read(self) -> None:
        """One file after the other: the screen is drawn in between."""
        try:
            found = await asyncio.to_thread(find_kept)
            known = {row.path: row for row in self.sessions.rows}
            rows = [known[file[0]] for file in found.files if file[0] in known]
            unread = [file for file in found.files if not _is_known(known.get(file[0]), *file[2:])]
            state = replace(self.sessions, left_out=found.left_out, problem=found.problem)
            self._take(state.with_rows(_sorted(rows)), len(unread))
            for left, file in zip(range(len(unread) - 1, -1, -1), unread, strict=True):
                row = await asyncio.to_thread(read_row, *file)
                others = [each for each in self.sessions.rows if each.path != row.path]
                self._take(self.sessions.with_rows(_sorted([*others, row])), left)
        finally:
            self._reading = False

    def _take(self, sessions: Sessions, unread: int) -> None:
        taken = replace(sessions, unread=unread)
        if taken != self.sessions:
            self.sessions = taken
            self._draw()

    # Keys

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        row = self.sessions.row(message.target)
        if row is None or row.facts is None:
            self._say("this file cannot be opened" if row is None else row.problem)
        else:
            self.post_message(self.Open(row.path))

    def action_mark(self) -> None:
        """Mark the row under the cursor for a diff, or no longer."""
        row = self._chosen()
        if row is not None:
            self.sessions = self.sessions.toggled(row.path)
            self._draw()

    def action_diff(self) -> None:
        """Compare the two marked files; with one marked, that and the row under the cursor."""
        marked, row = self.sessions.marked, self._chosen()
        if len(marked) == 1 and row is not None and row.path not in marked:
            marked = (*marked, row.path)
        if len(marked) < 2:
            self._say("mark two with space: B is compared with A")
            return
        self._say("comparing: recordings are read in full")
        self.run_worker(self._compare(*marked), group="sessions-diff", exclusive=True)

    async def _compare(self, before: Path, after: Path) -> None:
        try:
            self.diff = await asyncio.to_thread(compare_files, before, after)
        except ProdtopError as error:
            self._say(str(error), fault=True)
            return
        self._say("compared: esc closes it")
        self._maximized = None
        self.rearrange()
        self.set_focus(self.query_one("#preview", RowsPanel))

    def action_back(self) -> None:
        """Close the diff, or show all rows again."""
        if self.diff is not None:
            self.diff = None
            self.rearrange()
            self.set_focus(self.query_one("#list", RowsPanel))
        elif self.sessions.wanted:
            self.sessions = replace(self.sessions, wanted="")
        self._draw()

    def action_filter(self) -> None:
        """Show only rows with some words."""

        def take(text: str | None) -> None:
            if text is not None:
                self.sessions = replace(self.sessions, wanted=clean(text).strip())
                self._draw()

        self.app.push_screen(PromptScreen("words that a row must have", self.sessions.wanted), take)

    def action_rename(self) -> None:
        """Give the row under the cursor a name."""
        row = self._chosen()
        if row is None or row.facts is None:
            self._say("nothing to name here")
            return

        def take(text: str | None) -> None:
            if text is not None:
                self.run_worker(self._rename(row, text), group="sessions-write")

        self.app.push_screen(PromptScreen("a name; empty takes it away", name_of(row.facts)), take)

    async def _rename(self, row: KeptRow, text: str) -> None:
        await self._carry_out(name_file, row, text)

    def action_delete(self) -> None:
        """Remove the row under the cursor; it can be brought back until prodtop is left."""
        row = self._chosen()
        if row is not None:
            self.run_worker(self._delete(row), group="sessions-write")

    async def _delete(self, row: KeptRow) -> None:
        key = self._keymap.first_key("sessions_undo")
        if await self._carry_out(self._shelf.remove, row):
            self._say(f"removed {title_of(row)}: {key} brings it back until prodtop is left")

    def action_undo(self) -> None:
        """Bring back what was removed last."""
        if not len(self._shelf):
            self._say("nothing was removed")
            return
        self.run_worker(self._undo(), group="sessions-write")

    async def _undo(self) -> None:
        await self._carry_out(self._shelf.restore)

    def action_export(self) -> None:
        """Write the row under the cursor, or the diff, to a file: its ending says how."""
        row = self._chosen()
        if row is None or row.facts is None:
            self._say("nothing to export here")
            return
        diff, (asked, suggestion) = self.diff, export_name(row, diffing=self.diff is not None)

        def take(text: str | None) -> None:
            if text:
                self.run_worker(self._export(row, diff, text), group="sessions-write")

        self.app.push_screen(PromptScreen(asked, suggestion), take)

    async def _export(self, row: KeptRow, diff: Diff | None, text: str) -> None:
        out = Path(text).expanduser()
        if await self._carry_out(export_file, row, diff, out):
            self._say(f"wrote {short_path(out)}")

    async def _carry_out(self, do: Callable[..., str | None], *arguments: object) -> bool:
        """Do something with files in a thread; say what came of it, and look again."""
        try:
            said = await asyncio.to_thread(do, *arguments)
        except ProdtopError as error:
            self._say(str(error), fault=True)
            return False
        finally:
            self.sessions = replace(self.sessions, removed=len(self._shelf))
        if said:
            self._say(said)
        self.look()
        return True

    def _say(self, text: str, *, fault: bool = False) -> None:
        self._monitor.say(text, fault=fault)
        self._show_newest()


def _is_known(row: KeptRow | None, modified_s: float, size_bytes: int) -> bool:
    """Whether a file is as it was read. One that is being recorded is read again as it grows."""
    if row is None or (row.facts is not None and row.facts.in_use):
        return False
    return (row.modified_s, row.size_bytes) == (modified_s, size_bytes)


def _sorted(rows: list[KeptRow]) -> list[KeptRow]:
    """The newest first, by when they were made: a name that was given changes nothing."""
    return sorted(rows, key=lambda row: (_made_s(row), stamp_and_number(row.path)), reverse=True)


def _made_s(row: KeptRow) -> float:
    return row.modified_s if row.facts is None else row.facts.wall_s
