"""The queue of texts that people look at, in SQLite: it outlives any process, killed or not.

Several processes may use one queue: the server adds, reviewers claim and decide. A claim is a
lease: whoever goes away without a verdict loses it. A held text always ends: released or refused by
a verdict, or timed out, whichever is written first; the other then finds it done.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from ...files.database import open_database
from ...files.paths import data_dir
from ...protocol.errors import CheckpointError, ProdtopError
from .review_items import MOST_CHARS, Decision, NewItem, ReviewItem, ReviewVerdict
from .settings import ReviewSettings

FILE_NAME = "review.db"
_VERSION = 1
_COLUMNS = ReviewItem.__struct_fields__
_ALL = ", ".join(_COLUMNS)
_SCHEMA = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at_s REAL NOT NULL, request_id TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, truncated INTEGER NOT NULL, guard TEXT NOT NULL,
    rule TEXT NOT NULL, rubric TEXT NOT NULL, fate TEXT NOT NULL, deadline_s REAL, claimed_by TEXT,
    claimed_until_s REAL, verdict TEXT, corrected TEXT, note TEXT, reviewer TEXT, decided_at_s REAL
);
CREATE INDEX undecided ON items (fate, id) WHERE verdict IS NULL;
CREATE INDEX states ON items (verdict, fate);
"""


def queue_file(settings: ReviewSettings, folder: Path) -> Path:
    """Where the queue is: the settings' file, sought from `folder`, or prodtop's own."""
    if settings.file:
        return folder / Path(settings.file).expanduser()
    return data_dir() / FILE_NAME


class ReviewQueueError(ProdtopError):
    """The queue's file cannot be used, or what was asked of it cannot be: says why."""


class ReviewQueueFullError(ReviewQueueError):
    """As many texts as the queue takes wait for a verdict."""


class ReviewConflictError(ReviewQueueError):
    """Somebody else has the item, or there is a verdict already."""


class ReviewQueue:
    """The queue in the file `path`. Threads may share it. `clock` gives Unix time in seconds.

    All methods raise `ReviewQueueError` where the file cannot be used.
    """

    def __init__(
        self, path: Path, settings: ReviewSettings, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._clock, self._path = settings, clock, path
        self._lock = threading.Lock()
        try:
            self._database = open_database(path)
        except (OSError, sqlite3.Error, CheckpointError) as error:
            raise ReviewQueueError(f"review queue {path}: {error}") from None
        with self._transaction() as cursor:
            (version,) = cursor.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise ReviewQueueError(f"review queue {path}: made by another version")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def add(self, item: NewItem) -> int:
        """Put a text into the queue; returns its id once it is on the disk.

        Where the queue is full, the oldest that was decided makes room. Raises
        `ReviewQueueFullError` where none was.
        """
        now_s = self._clock()
        with self._transaction() as cursor:
            self._make_room(cursor, now_s)
            cursor.execute(
                "INSERT INTO items (created_at_s, request_id, kind, text, truncated, guard, rule,"
                " rubric, fate, deadline_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    now_s,
                    _storable(item.request_id[:200]),
                    item.kind,
                    _storable(item.text[:MOST_CHARS]),
                    len(item.text) > MOST_CHARS,
                    item.guard,
                    item.rule,
                    self._settings.rubric,
                    "held" if item.hold else "sent",
                    now_s + self._settings.hold_s if item.hold else None,
                ),
            )
            return int(cursor.lastrowid or 0)

    def claim(self, reviewer: str) -> ReviewItem | None:
        """Take the next text without a verdict for `lease_s`; `None` where there is none.

        Held texts come first, then the oldest. Nobody else gets it meanwhile.
        """
        now_s = self._clock()
        with self._transaction() as cursor:
            return _one(
                cursor.execute(
                    "UPDATE items SET claimed_by = ?, claimed_until_s = ? WHERE id = ("
                    " SELECT id FROM items WHERE verdict IS NULL"
                    " AND (claimed_until_s IS NULL OR claimed_until_s <= ?)"
                    f" ORDER BY fate = 'held' DESC, id LIMIT 1) RETURNING {_ALL}",
                    (reviewer, now_s + self._settings.lease_s, now_s),
                )
            )

    def give_up(self, item_id: int, reviewer: str) -> None:
        """Let others have an item that was claimed."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE items SET claimed_by = NULL, claimed_until_s = NULL"
                " WHERE id = ? AND claimed_by = ? AND verdict IS NULL",
                (item_id, reviewer),
            )

    def decide(
        self,
        item_id: int,
        reviewer: str,
        verdict: ReviewVerdict,
        *,
        corrected: str | None = None,
        note: str | None = None,
    ) -> ReviewItem:
        """Write a verdict down; a held text is released or refused by it.

        `corrected` goes out in the text's place. One who lost his lease may still decide while
        nobody else has claimed it. Raises `ReviewConflictError`.
        """
        now_s = self._clock()
        ends = "released" if verdict == "accept" else "refused"
        with self._transaction() as cursor:
            decided = _one(
                cursor.execute(
                    "UPDATE items SET verdict = ?, corrected = ?, note = ?, reviewer = ?,"
                    " decided_at_s = ?, claimed_by = NULL, claimed_until_s = NULL,"
                    " fate = CASE WHEN fate <> 'held' THEN fate"
                    "  WHEN deadline_s <= ? THEN 'timed_out' ELSE ? END"
                    " WHERE id = ? AND verdict IS NULL AND (claimed_by = ? OR claimed_by IS NULL"
                    f" OR claimed_until_s <= ?) RETURNING {_ALL}",
                    (
                        verdict,
                        None if corrected is None else _storable(corrected[:MOST_CHARS]),
                        None if note is None else _storable(note[:MOST_CHARS]),
                        reviewer,
                        now_s,
                        now_s,
                        ends,
                        item_id,
                        reviewer,
                        now_s,
                    ),
                )
            )
        if decided is None:
            raise ReviewConflictError(f"item {item_id} is decided, or another reviewer has it")
        return decided

    def settle(self, item_id: int) -> Decision | None:
        """How the wait of a held text ended, and what goes out; `None` while it waits.

        Past its deadline a text ends by this call: nobody can release it any more.
        """
        return self.settled([item_id]).get(item_id)

    def settled(self, item_ids: Sequence[int]) -> dict[int, Decision]:
        """As `settle`, of several: those whose wait has ended."""
        decisions: dict[int, Decision] = {}
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE items SET fate = 'timed_out' WHERE fate = 'held' AND deadline_s <= ?",
                (self._clock(),),
            )
            for item_id in item_ids:
                fate = cursor.execute("SELECT fate FROM items WHERE id = ?", (item_id,)).fetchone()
                if fate != ("held",):
                    rows = cursor.execute(f"SELECT {_ALL} FROM items WHERE id = ?", (item_id,))
                    decisions[item_id] = self._decision(_one(rows))
        return decisions

    def _decision(self, item: ReviewItem | None) -> Decision:
        if item is None or item.fate in {"refused", "sent", "abandoned"}:
            return Decision(fate="refused", text=None)
        if item.fate == "released" and item.corrected is not None:
            return Decision(fate="released", text=item.corrected, corrected=True)
        if item.fate == "released":
            return Decision(fate="released", text=item.text)
        goes_out = self._settings.on_timeout == "release"
        return Decision(fate="timed_out", text=item.text if goes_out else None)

    def end_held(
        self, item_ids: Sequence[int], fate: Literal["timed_out", "abandoned"] = "timed_out"
    ) -> int:
        """End the wait of held texts before their deadline; returns of how many. They stay in the
        queue, to be looked at."""
        ended = 0
        with self._transaction() as cursor:
            for item_id in item_ids:
                cursor.execute(
                    "UPDATE items SET fate = ? WHERE id = ? AND fate = 'held'", (fate, item_id)
                )
                ended += cursor.rowcount
        return ended

    def end_overdue(self) -> int:
        """Time out all held texts that are past their deadline; returns how many.

        For the server's start: nobody waits any more for what was held when it was killed.
        """
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE items SET fate = 'timed_out' WHERE fate = 'held' AND deadline_s <= ?",
                (self._clock(),),
            )
            return cursor.rowcount

    def prune(self) -> int:
        """Delete what is older than the retention, decided or not, but for held texts."""
        with self._transaction() as cursor:
            cursor.execute(
                "DELETE FROM items WHERE fate <> 'held' AND created_at_s <= ?",
                (self._clock() - self._settings.retention_s,),
            )
            return cursor.rowcount

    def items(self, *, undecided: bool = True, most: int = 1000) -> list[ReviewItem]:
        """The items that wait for a verdict, or all of them; held ones first, then the oldest."""
        where = "WHERE verdict IS NULL" if undecided else ""
        with self._transaction() as cursor:
            cursor.execute(
                f"SELECT {_ALL} FROM items {where} ORDER BY fate = 'held' DESC, id LIMIT ?", (most,)
            )
            return [_item(row) for row in cursor.fetchall()]

    def get(self, item_id: int) -> ReviewItem | None:
        """An item as it is now."""
        with self._transaction() as cursor:
            return _one(cursor.execute(f"SELECT {_ALL} FROM items WHERE id = ?", (item_id,)))

    def counts(self) -> dict[str, int]:
        """How many items wait for a verdict (`undecided`), are `held`, are there in `all`, and
        were accepted and rejected."""
        with self._transaction() as cursor:
            row = cursor.execute(
                "SELECT count(*), coalesce(sum(verdict IS NULL), 0),"
                " coalesce(sum(fate = 'held'), 0), coalesce(sum(verdict = 'accept'), 0),"
                " coalesce(sum(verdict = 'reject'), 0) FROM items"
            ).fetchone()
        return dict(zip(("all", "undecided", "held", "accepted", "rejected"), row, strict=True))

    def export(self) -> Iterator[str]:
        """Every item with a verdict as a line of JSON, oldest first."""
        after = 0
        while True:
            with self._transaction() as cursor:
                item = _one(
                    cursor.execute(
                        f"SELECT {_ALL} FROM items WHERE verdict IS NOT NULL AND id > ?"
                        " ORDER BY id LIMIT 1",
                        (after,),
                    )
                )
            if item is None:
                return
            after = item.id
            yield item.json_line() + "\n"

    def _make_room(self, cursor: sqlite3.Cursor, now_s: float) -> None:
        (count,) = cursor.execute("SELECT count(*) FROM items").fetchone()
        if count < self._settings.most_items:
            return
        cursor.execute(
            "DELETE FROM items WHERE id IN (SELECT id FROM items"
            " WHERE verdict IS NOT NULL ORDER BY id LIMIT ?)",
            (count - self._settings.most_items + 1,),
        )
        (count,) = cursor.execute("SELECT count(*) FROM items").fetchone()
        if count >= self._settings.most_items:
            raise ReviewQueueFullError(
                f"review queue {self._path}: {count} texts wait for a verdict, and no more fit"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """One writer at a time, all or nothing."""
        with self._lock:
            try:
                with closing(self._database.cursor()) as cursor:
                    cursor.execute("BEGIN IMMEDIATE")
                    try:
                        yield cursor
                        cursor.execute("COMMIT")
                    except BaseException:
                        if self._database.in_transaction:
                            cursor.execute("ROLLBACK")
                        raise
            except sqlite3.Error as error:
                raise ReviewQueueError(f"review queue {self._path}: {error}") from None


def _one(cursor: sqlite3.Cursor) -> ReviewItem | None:
    """The first row as an item."""
    rows = cursor.fetchall()
    return _item(rows[0]) if rows else None


def _item(row: Sequence[object]) -> ReviewItem:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), ReviewItem, strict=False)


def _storable(text: str) -> str:
    """Text without lone surrogates, which are no Unicode."""
    return text.encode(errors="replace").decode()
