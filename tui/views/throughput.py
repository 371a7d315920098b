"""Throughput: tokens per second by kind, and the requests behind them."""

from ...engine.protocol import Averages, Frame, Speculation, Throughput
from ..drawing.line import Line, Piece, first_fitting, line, muted
from ..state.moment import Moment
from ..style.formatting import MISSING, percent, rate, si
from ..style.inks import Ink
from .panel import PanelView, Room, figure, titled, value, waiting_line, windowed

_AROUND = 4
"""Spaces around the title and the figures."""
_SPEED_CELLS = 11
"""`22.9k tok/s`."""

WASTEFUL = 0.05
"""From this share on rows computed for nothing are pointed out."""


def throughput_view(moment: Moment, room: Room) -> PanelView:
    """The key figure and the line below the chart; the chart itself draws the history."""
    frame = moment.frame
    if frame is None:
        return PanelView(titled("Throughput", moment), lines=(waiting_line(moment, room),))
    throughput = frame.throughput
    title = windowed("Throughput", moment)
    lines = [_rates(throughput, moment, room)]
    if frame.speculation is not None:
        lines.append(_drafts(frame.speculation, room))
    return PanelView(
        title,
        _figures(frame, moment.averages, title.width + _AROUND, room),
        tuple(lines),
        moment.stale_s is not None,
    )


def _figures(frame: Frame, averages: Averages | None, title_cells: int, room: Room) -> Line:
    """The key figure over the window, and before it that drafts lose, where they do."""
    speed = rate(averages.decode_tok_s if averages else None, "tok", width=_SPEED_CELLS)
    decode = figure("decode", speed)
    speedup = None if frame.speculation is None else frame.speculation.speedup
    if speedup is None or speedup >= 1.0:
        return decode
    loss = Piece(f"drafts lose {room.glyphs.times}{speedup:.2f}", Ink.WARN)
    shorter = line(loss, " ", value(speed, Ink.STRONG))
    fitting = (line(loss, "  ", decode), shorter, decode)
    return first_fitting(fitting, max(room.width - title_cells, decode.width))


def _goodput(moment: Moment) -> list[Line]:
    """Requests a second within every limit, over the window; nothing without a limit."""
    attainment = moment.frame.attainment.get(moment.window) if moment.frame else None
    if attainment is None or attainment.goodput_per_s is None:
        return []
    good = value(si(attainment.goodput_per_s, width=4))
    return [line(good, muted(f" good/s {moment.window}"))]


def _rates(throughput: Throughput, moment: Moment, room: Room) -> Line:
    waste, rows = throughput.batch_waste, throughput.mean_batch_rows
    parts = [
        line(value(si(throughput.requests_per_s, width=4)), muted(" req/s")),
        *_goodput(moment),
        line(value(si(throughput.steps_per_s, width=4)), muted(" steps/s")),
        line(value(MISSING if rows is None else f"{rows:4.1f}"), muted(" rows a step")),
    ]
    cached = line(muted("cached "), value(si(throughput.cached_tok_s, width=5)), muted(" tok/s"))
    wasted = line(
        value(percent(waste, width=5), Ink.WARN if waste and waste > WASTEFUL else Ink.TEXT),
        muted(" of rows wasted"),
    )
    parts += [wasted, cached] if waste else [cached, wasted]
    return room.facts(parts)


def _drafts(speculation: Speculation, room: Room) -> Line:
    """Whether drafts pay: `drafts ×1.6 · 62 % right · 2.4 tokens a step · step 1.5× as long`."""
    tokens, ratio = speculation.tokens_per_step, speculation.step_ratio
    speedup, accepted = speculation.speedup, speculation.acceptance
    loses = speedup is not None and speedup < 1.0
    word = "drafts lose " if loses else "drafts "
    gain = MISSING if speedup is None else f"{room.glyphs.times}{speedup:.2f}"
    doing = "" if speculation.drafting else " resting" if loses else " comparing"
    parts = [
        line(muted(word), value(gain, Ink.WARN if loses else Ink.TEXT), muted(doing)),
        line(value(MISSING if tokens is None else f"{tokens:.2f}"), muted(" tokens a step")),
        line(
            muted("step "),
            value(MISSING if ratio is None else f"{ratio:.2f}{room.glyphs.times}"),
            muted(" as long"),
        ),
        line(value(percent(accepted, width=5)), muted(" right")),
    ]
    return room.facts(parts)
