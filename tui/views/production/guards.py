"""What the server's guards have done: texts, findings, added latency, failures, and reviews; how
often they find something in benign texts; and the model's indicator of bias."""

from typing import TYPE_CHECKING

from ....engine.protocol import FalsePositives, GuardSample, ReviewSample
from ....engine.readiness.judging import age_text
from ...drawing.line import Line, Piece, joined, line, muted
from ...state.moment import Moment
from ...style.formatting import MISSING, count, milliseconds, percent
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, figure, value
from ..table import Column, table

if TYPE_CHECKING:
    from ....engine.server.guards.bias_file import KeptBias

NO_SERVER = "guards are a server's: prodtop serve --guards FILE"
NOT_GUARDED = "nothing is guarded: [guards] in config.toml switches guards on"
MEASURES_BIAS = "prodtop guards bias measures it"


def guards_view(moment: Moment, room: Room, bias: "KeptBias | None", now_wall_s: float) -> RowsView:
    """A row a guard, what became of flagged texts in the review queue, and the `bias` kept for
    what is served, as it is at a time (Unix, s)."""
    title = line(Piece("Guards", Ink.TITLE))
    server = moment.server
    sample = None if server is None else server.sample
    guards = {} if sample is None else sample.guards
    review = None if sample is None else sample.review
    foot = [] if review is None else [_review(review, room)]
    if moment.frame is not None:
        foot.append(_bias(bias, now_wall_s, room))
    below = tuple(room.clipped(line(" ", each)) for each in foot)
    if not guards and review is None:
        words = NO_SERVER if server is None else NOT_GUARDED
        return RowsView(title, rows=(Row(room.clipped(line(" ", muted(words)))),), foot=below)
    head, rows = table(_columns(guards), room.width - 1)
    return RowsView(
        title,
        figures=_headline(guards),
        head=(room.clipped(line(" ", head)),) if guards else (),
        rows=tuple(Row(room.clipped(line(" ", row))) for row in rows),
        foot=below,
    )


def _headline(guards: dict[str, GuardSample]) -> Line:
    every = guards.get("all")
    if every is None:
        return line()
    waits = [
        figure("added p50", milliseconds(every.added_p50_ms)),
        figure("p99", milliseconds(every.added_p99_ms)),
    ]
    return joined(waits, line("  "))


def _columns(guards: dict[str, GuardSample]) -> list[Column]:
    samples = list(guards.values())
    columns = [
        Column("guard", list(guards), right=False),
        Column("texts", [count(each.texts) for each in samples], rank=4),
        Column("hits", [_hits(each) for each in samples]),
    ]
    for rank, name in enumerate(("flagged", "redacted", "blocked")):
        cells = [muted(count(getattr(each, name))) for each in samples]
        columns.append(Column(name, cells, rank=8 - rank))
    false_positives = [_false_positives(each.false_positives) for each in samples]
    return [
        *columns,
        Column("p50", [value(milliseconds(each.added_p50_ms)) for each in samples], rank=5),
        Column("p99", [value(milliseconds(each.added_p99_ms)) for each in samples], rank=1),
        Column("false positives", false_positives, rank=2),
        Column("failures", [_failures(each) for each in samples], rank=3),
    ]


def _hits(guard: GuardSample) -> Line:
    """Texts in which it found something, and their share."""
    hits = guard.flagged + guard.redacted + guard.blocked
    share = percent(hits / guard.texts) if guard.texts else MISSING
    return line(count(hits), muted(f" {share:>6}"))


def _false_positives(found: FalsePositives | None) -> Line:
    """The share of the benign texts that ship, and of how many."""
    if found is None or found.share is None:
        return line(value(MISSING))
    of = f"  {count(found.found)} of {count(found.texts)}"
    return line(value(percent(found.share)), muted(of))


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


def _bias(kept: "KeptBias | None", now_wall_s: float, room: Room) -> Line:
    """The excess gap with its interval, the number of pairs, and the age."""
    if kept is None:
        return _told([line(_BIAS, value(MISSING)), line(muted(MEASURES_BIAS))], room)
    excess = kept.report.excess
    age_s = max(0.0, now_wall_s - kept.measured_at_wall_s)
    interval = f" [{_nats(excess.low)}, {_nats(excess.high)}]"
    facts = [
        line(_BIAS, value(_nats(excess.mean)), muted(interval)),
        line(muted("n "), count(excess.n)),
        line(muted("age "), age_text(age_s)),
        line(muted("nats a token")),
    ]
    return _told(facts, room)


_BIAS = muted("bias excess ")


def _told(facts: list[Line], room: Room) -> Line:
    """As many as fit behind the first cell, the first of them in any case."""
    shown = Room(room.width - 1, room.height, room.glyphs).facts(facts)
    return shown if shown.width else facts[0]


def _nats(gap: float) -> str:
    return f"{gap:+.3f}" if abs(gap) < 1e3 else f"{gap:+.2g}"
