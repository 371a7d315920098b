"""The queue panel: whole numbers with all their digits where they fit, and what is rejected."""

import msgspec
import pytest
from frames import frame
from of_our_own import known
from prodtop.engine.protocol import Accounting, Frame, LoadSpec
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.panel import PanelView, Room
from prodtop.tui.views.queue import queue_view

WORDS = {
    "waiting": "waiting",
    "preemptions": "preempted",
    "finished": "finished",
    "failed": "failed",
    "rejected": "rejected",
}


def view_of(shown: Frame, width: int = 76) -> PanelView:
    moment = Moment(0.0, 0.0, frame=shown, worker=WorkerState(Phase.SERVING), frame_age_s=0.1)
    return queue_view(moment, Room(width, 12, UNICODE))


def words_of(view: PanelView) -> str:
    """All its lines, with a blank before and after each."""
    return " ".join(["", *(row.plain.strip() for row in view.lines), ""])


@pytest.mark.parametrize("number", [7, 999, 2_145, 12_633, 123_456, 7_654_321])
@pytest.mark.parametrize("width", [76, 50])
@pytest.mark.parametrize("field", WORDS)
def test_requests_are_counted_exactly_while_they_fit(field: str, width: int, number: int) -> None:
    shown = frame()
    part = "queue" if hasattr(shown.queue, field) else "accounting"
    changed = msgspec.structs.replace(getattr(shown, part), **{field: number})
    view = view_of(msgspec.structs.replace(shown, **{part: changed}), width)
    assert f" {number:,} {WORDS[field]} " in words_of(view)


def test_counts_that_do_not_fit_are_shortened_and_never_cut() -> None:
    most = 123_456_789_012
    accounting = Accounting(submitted=2 * most, finished=most, failed=most, rejected=most)
    shown = msgspec.structs.replace(frame(), accounting=accounting)
    for width in range(36, 90):
        text = words_of(view_of(shown, width))
        for words in ("finished", "failed", "rejected"):
            assert f" {most:,} {words} " in text or f" 123G {words} " in text, width


def test_what_the_queue_rejects_is_in_sight() -> None:
    shown = frame(load=LoadSpec(rate_per_s=20_000.0, max_waiting=4_321))
    assert "rejected" not in words_of(view_of(shown))
    changed = msgspec.structs.replace(
        shown,
        accounting=msgspec.structs.replace(known(shown.accounting), rejected=12_633),
        throughput=msgspec.structs.replace(shown.throughput, rejected_per_s=19_900.0),
    )
    rejected = view_of(changed).lines[1]
    assert rejected.plain == "12,633 rejected · 19.9k/s now · the queue takes 4,321"
    assert rejected.pieces[0].ink is Ink.BAD
