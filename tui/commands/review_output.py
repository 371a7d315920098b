"""The review queue on a terminal: texts of users, without anything that a terminal would obey."""

import time
from typing import TYPE_CHECKING

from ...engine.text.cleaning import clean

if TYPE_CHECKING:
    from ...engine.server.guards.review_items import ReviewItem

ROW_CHARS = 60


def row_line(item: "ReviewItem", now_s: float | None = None) -> str:
    """An item in one line: its number, what became of it, why it is here, how it begins."""
    parts = [f"{item.id:>5}", f"{_state(item, now_s):22}", f"{item.kind:6}"]
    parts += [f"{clean(item.guard)}/{clean(item.rule)}", _beginning(item.text)]
    return "  ".join(parts)


def item_lines(item: "ReviewItem", now_s: float | None = None) -> list[str]:
    """An item in full: what is asked, the text, and the commands that answer."""
    cut = " (the beginning of it)" if item.truncated else ""
    return [
        f"item {item.id}: {item.kind} of request {clean(item.request_id)}, {_state(item, now_s)}",
        f"flagged by {clean(item.guard)}: {clean(item.rule)}",
        f"asked: {clean(item.rubric)}",
        "",
        *(f"  {line}" for line in item.shown().split("\n")),
        "",
        f"prodtop review accept {item.id} | refuse {item.id} | correct {item.id} TEXT{cut}",
    ]


def _state(item: "ReviewItem", now_s: float | None) -> str:
    """What became of the text, and of its review."""
    now_s = time.time() if now_s is None else now_s
    fate = item.fate.replace("_", " ")
    if item.fate == "held" and item.deadline_s is not None:
        left_s = item.deadline_s - now_s
        fate = f"held, {left_s:.0f} s left" if left_s > 0 else "held, overdue"
    if item.verdict is not None:
        verdict = "accepted" if item.verdict == "accept" else "refused"
        return f"{'corrected' if item.corrected is not None else verdict} ({fate})"
    if item.claimed_until_s is not None and item.claimed_until_s > now_s:
        return f"{fate}, {clean(item.claimed_by or '')} has it"
    return fate


def _beginning(text: str) -> str:
    shown = clean(text)
    return shown if len(shown) <= ROW_CHARS else f"{shown[: ROW_CHARS - 1]}…"
