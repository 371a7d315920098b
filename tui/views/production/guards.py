"""What the server's guards have done: texts, findings, added latency, failures, and reviews."""

from ....engine.protocol import GuardSample, ReviewSample
from ...drawing.line import Line, Piece, line, muted
from ...state.moment import Moment
from ...style.formatting import MISSING, count, milliseconds, percent
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, figure, value
from ..table import Column, table

NO_SERVER = "guards are a server's: prodtop serve --guards FILE"
NOT_GUARDED = "nothing is guarded: [guards] in config.toml switches guards on"


def guards_view(moment: Moment, room: Room) -> RowsView:
    """A row a guard, and what became of flagged texts in the review queue."""
    title = line(Piece("Guards", Ink.TITLE))
    server = moment.server
    sample = None if server is None else server.sample
    guards = {} if sample is None else sample.guards
    review = None if sample is None else sample.review
    if not guards and review is None:
        words = NO_SERVER if server is None else NOT_GUARDED
        return RowsView(title, rows=(Row(room.clipped(line(" ", muted(words)))),))
    head, rows = table(_columns(guards), room.width - 1)
    return RowsView(
        title,
        figures=_headline(guards),
        head=(line(" ", head),) if guards else (),
        rows=tuple(Row(line(" ", row)) for row in rows),
        foot=() if review is None else (room.clipped(line(" ", _review(review, room))),),
    )


def _headline(guards: dict[str, GuardSample]) -> Line:
    every = guards.get("all")
    if every is None:
        return line()
    return figure("added p99", milliseconds(every.added_p99_ms))


def _columns(guards: dict[str, GuardSample]) -> list[Column]:
    samples = list(guards.values())
    columns = [
        Column("guard", list(guards), right=False),
        Column("texts", [count(each.texts) for each in samples], rank=4),
        Column("hits", [_hits(each) for each in samples]),
    ]
    for rank, name in enumerate(("flagged", "redacted", "blocked")):
        cells = [muted(count(getattr(each, name))) for each in samples]
        columns.append(Column(name, cells, rank=7 - rank))
    return [
        *columns,
        Column("p50", [value(milliseconds(each.added_p50_ms)) for each in samples], rank=8),
        Column("p99", [value(milliseconds(each.added_p99_ms)) for each in samples], rank=1),
        Column("failures", [_failures(each) for each in samples], rank=2),
    ]


def _hits(guard: GuardSample) -> Line:
    """Texts in which it found something, and their share."""
    hits = guard.flagged + guard.redacted + guard.blocked
    share = percent(hits / guard.texts) if guard.texts else MISSING
    return line(count(hits), muted(f" {share:>6}"))


def _failures(guard: GuardSample) -> Piece:
    return Piece(count(guard.failures), Ink.BAD if guard.failures else Ink.TEXT)


def _review(review: ReviewSample, room: Room) -> Line:
    facts = [
        line(muted("to review "), count(review.undecided)),
        line(muted("held "), count(review.held)),
        line(muted("accepted "), count(review.accepted)),
        line(muted("rejected "), count(review.rejected)),
        line(muted("timed out "), count(review.timed_out)),
    ]
    if review.failures or review.full:
        facts.insert(0, line(Piece(f"not queued {review.failures + review.full}", Ink.BAD)))
    return room.facts(facts)
