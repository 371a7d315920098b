"""The caches: KV blocks by what holds them, hit rates, and the response cache's size."""

from ...engine.protocol import Blocks, Cache, HitRates, Window
from ...engine.protocol.wording import counted
from ..drawing.line import EMPTY, Line, Piece, first_fitting, joined, line, muted, rule
from ..drawing.meter import kv_blocks
from ..state.moment import Moment
from ..style.formatting import binary_bytes, count, percent
from ..style.inks import PART_INKS, Ink
from .panel import PanelView, Room, figure, titled, value, waiting_line, windowed

_SHARES = 10_000
"""Parts of the bar of a server that tells a share."""
NO_CACHE = "no cache under this strategy"
HIGH_USE = 0.9
"""From this share of blocks in use on, preemption is near."""
WITH_WORD = 44
"""From this width on the frame says that its percentages are hits."""


def cache_view(moment: Moment, room: Room) -> PanelView:
    """Lines in order of weight; the panel shows as many as it has rows for."""
    frame = moment.frame
    if frame is None:
        waiting = waiting_line(moment, room)
        return PanelView(titled("Cache", moment), lines=(waiting,))
    cache = frame.cache
    rates = cache.rates.get(moment.window, HitRates())
    session = cache.rates.get(Window.SESSION, HitRates())
    blocks = cache.blocks
    lines = _usage(cache.usage, room) if blocks is None else _parts(blocks, room)
    if cache.note:
        lines.append(room.clipped(line(muted(cache.note))))
    lines += _details(session, cache, room, rows=room.height - len(lines))
    return PanelView(
        windowed("Cache", moment),
        line(
            muted("hits  ") if room.width >= WITH_WORD else EMPTY,
            figure(
                "response" if room.width >= WITH_WORD else "resp",
                percent(rates.response, width=5),
            ),
            "  ",
            figure("prefix", percent(rates.prefix, width=5)),
        ),
        tuple(content for content in lines if content != EMPTY),
        moment.stale_s is not None,
    )


def _usage(used: float | None, room: Room) -> list[Line]:
    """Of a server that tells only the share of its KV cache that is in use, or not even that."""
    if used is None:
        return [room.clipped(line(muted("KV in use: "), value(percent(None))))]
    bar = kv_blocks(round(used * _SHARES), 0, _SHARES, room.width, room.glyphs)
    ink = Ink.WARN if used > HIGH_USE else Ink.TEXT
    return [bar, room.clipped(line(value(percent(used, width=4), ink), muted(" of the KV cache")))]


def _parts(blocks: Blocks, room: Room) -> list[Line]:
    bar = kv_blocks(blocks.running, blocks.evictable or 0, blocks.total, room.width, room.glyphs)
    return [bar, _blocks(blocks, room)]


def _blocks(blocks: Blocks, room: Room) -> Line:
    glyphs = room.glyphs
    used = blocks.running / blocks.total if blocks.total else None
    ink = Ink.WARN if used is not None and used > HIGH_USE else Ink.TEXT
    in_use = line(Piece(glyphs.patterns[0], PART_INKS[0]), " ", value(percent(used, width=4), ink))
    told = blocks.evictable is not None and blocks.total
    kept = (blocks.evictable or 0) / blocks.total if told else None
    evictable = line(
        Piece(glyphs.patterns[2], PART_INKS[2]),
        " ",
        value(percent(kept, width=4)),
    )
    free = line(value(count(blocks.free, width=5)))
    whole = line(in_use, muted(" in use  "), evictable, muted(" evictable  "), free, muted(" free"))
    of_all = line(whole, muted(f" of {count(blocks.total)} KV blocks"))
    return first_fitting(
        (
            line(of_all, muted(f", {counted(blocks.block_tokens, 'token')} each")),
            of_all,
            whole,
            line(in_use, muted(" used "), evictable, muted(" kept "), free, muted(" free")),
        ),
        room.width,
    )


def _details(session: HitRates, cache: Cache, room: Room, *, rows: int) -> list[Line]:
    """The session's hit rates and the size of the response cache, in two lines where `rows` has
    them, else in one if it fits."""
    rates = [
        line(muted("session: response "), value(percent(session.response, width=4))),
        line(muted("prefix "), value(percent(session.prefix, width=4))),
    ]
    if session.response is None and session.prefix is None:
        rates = []
    responses: list[Line] = []
    if cache.response_entries is not None:
        used, limit = binary_bytes(cache.response_bytes), binary_bytes(cache.response_limit_bytes)
        number = count(cache.response_entries)
        responses = [line(value(number), muted(f" responses, {used} of {limit}"))]
    separator = line(rule(f" {room.glyphs.dot} "))
    whole = joined([*rates, *responses], separator)
    if whole.width <= room.width and rows < len([part for part in (rates, responses) if part]):
        return [whole]
    return [room.facts(part) for part in (rates, responses)]
