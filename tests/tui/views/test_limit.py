"""What binds is said with its figure and what relieves it, and limits colour what breaks them."""

from collections.abc import Mapping

import msgspec
import pytest
from frames import frame, host
from live_moments import at
from prodtop.engine.metrics.relief import relief, shortened
from prodtop.engine.protocol import (
    SLO_NAMES,
    Blocks,
    Bound,
    Frame,
    Latency,
    LoadSpec,
    Percentiles,
    SloSpec,
    StrategyName,
    Window,
)
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.gpu import device_view
from prodtop.tui.views.latency import latency_view, limit_lines
from prodtop.tui.views.panel import Room
from prodtop.tui.views.throughput import throughput_view
from situations import bound, queued

changed = msgspec.structs.replace


def limit_text(shown: Frame, width: int, gpus: int = 1) -> str:
    moment = at(shown, host=host(gpus=gpus))
    rows = [row.plain for row in device_view(moment, Room(width, 3, UNICODE)).lines]
    (found,) = [row for row in rows if row.startswith("limit")]
    return found


FIGURES: Mapping[Bound, str] = {
    Bound.NO_WORK: "100 %",
    Bound.SEQUENCE_CAP: "32 of 64 run",
    Bound.TOKEN_BUDGET: "100 % of steps",
    Bound.KV_MEMORY: "100 %",
    Bound.COMPUTE: "100 % of a matmul's",
    Bound.BANDWIDTH: "100 % of a copy's",
    Bound.HOST: "100 % of the time",
    Bound.SMALL_OPERATIONS: "100 %",
    Bound.COMPILING: "100 %",
}


@pytest.mark.parametrize("width", [36, 56, 76, 160])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("by", Bound)
def test_what_binds_is_said_in_the_room_there_is(by: Bound, device: str, width: int) -> None:
    shown = changed(bound(frame(), by, 1.0), device=device)
    text = limit_text(shown, width, gpus=0 if device == "cpu" else 1)
    assert FIGURES[by] in text
    assert len(text) <= width
    if width >= 56:
        assert text.endswith((f"· {relief(shown)}", f"· {shortened(relief(shown))}"))
    if width == 160:
        assert text.endswith(f"· {relief(shown)}")


def capped(strategy: StrategyName, limit: int, kv_blocks: int = 1229) -> Frame:
    shown = queued(frame(strategy=strategy), running_limit=limit)
    blocks = Blocks(total=10_240, running=kv_blocks, evictable=0, free=0, block_tokens=16)
    return bound(changed(shown, cache=changed(shown.cache, blocks=blocks)), Bound.SEQUENCE_CAP, 1.0)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (capped(StrategyName.HYBRID, 64), "raise --max-seqs: 12 % of KV used"),
        (
            capped(StrategyName.HYBRID, 64, 10_035),
            "raise --kv-gib and --max-seqs: 98 % of KV used",
        ),
        (capped(StrategyName.SINGLE, 1), "strategy continuous: it runs up to 64"),
        (capped(StrategyName.BATCHED, 64), "strategy continuous: batched refills no batch"),
        (bound(frame(), Bound.KV_MEMORY, 0.99), "raise --kv-gib, or lower --max-seqs"),
        (bound(frame(load=LoadSpec(paused=True)), Bound.NO_WORK, 1.0), "resume the load"),
        (
            bound(queued(frame(strategy=StrategyName.BATCHED), waiting=3), Bound.NO_WORK, 1.0),
            "strategy continuous: batched waits for a full batch",
        ),
        (changed(frame(), roofline=changed(frame().roofline, verdict=None)), ""),
    ],
)
def test_the_relief_fits_the_situation(shown: Frame, text: str) -> None:
    assert relief(shown) == text


def test_every_bound_has_a_relief() -> None:
    assert all(relief(bound(frame(), by, 0.5)) for by in Bound)


@pytest.mark.parametrize("name", SLO_NAMES)
@pytest.mark.parametrize("over", [False, True])
def test_each_limit_colours_the_figures_that_break_it(name: str, over: bool) -> None:
    value = Percentiles(count=9, mean_ms=100.0, p50_ms=100.0, p95_ms=100.0, p99_ms=100.0)
    latency = Latency(**{name: value})
    limits = {f"{each}_ms": None for each in SLO_NAMES} | {f"{name}_ms": 99.0 if over else 101.0}
    shown = queued(frame(), oldest_unstarted_s=None)
    shown = changed(shown, latency=dict.fromkeys(Window, latency), slo=SloSpec(**limits))
    view = latency_view(at(shown), Room(76, 12, UNICODE))
    inks = {ink for row in view.lines for text, ink, _ in row.pieces if "100 ms" in text}
    assert (Ink.BAD in inks) == over
    (line,) = limit_lines(at(shown))
    assert line.value == (99.0 if over else 101.0)
    assert line.label.upper() == f"SLO {name.upper()}"
    assert line.ink is (Ink.BAD if over else Ink.THRESHOLD)
    if name == "ttft":
        assert (Ink.BAD in {piece.ink for piece in view.figures.pieces}) == over


def test_twenty_seconds_of_ttft_are_red_out_of_the_box() -> None:
    value = Percentiles(count=9, mean_ms=2e4, p50_ms=2e4, p95_ms=2e4, p99_ms=2e4)
    shown = changed(
        queued(frame(), oldest_unstarted_s=None),
        latency=dict.fromkeys(Window, Latency(ttft=value)),
    )
    view = latency_view(at(shown), Room(76, 12, UNICODE))
    assert view.figures.plain == "TTFT p95  20.0 s"
    assert view.figures.pieces[-1].ink is Ink.BAD


def test_who_still_waits_is_in_the_headline() -> None:
    figures = latency_view(at(queued(frame(), oldest_unstarted_s=37.0)), Room(76, 12, UNICODE))
    assert figures.figures.plain == "TTFT ≥  37.0 s"
    assert figures.figures.pieces[-1].ink is Ink.BAD
    young = latency_view(at(queued(frame(), oldest_unstarted_s=0.01)), Room(76, 12, UNICODE))
    assert young.figures.plain.startswith("TTFT p95 ")


def test_the_share_within_a_limit_stands_in_its_row() -> None:
    rows = [row.plain for row in latency_view(at(frame()), Room(76, 12, UNICODE)).lines]
    assert "in limit" in rows[0]
    assert "99 %" in rows[1]
    assert "%" not in rows[5], "no limit, no share"


def test_goodput_names_its_window() -> None:
    text = throughput_view(at(frame()), Room(76, 12, UNICODE)).lines[0].plain
    assert " good/s 1m" in text


def test_headlines_keep_their_width_whatever_they_say() -> None:
    widths: dict[str, set[int]] = {}
    for scale in (0.0003, 0.02, 1.0, 7.7, 99.96, 12_345.0):
        shown = frame()
        averages = {
            window: changed(
                each,
                decode_tok_s=scale,
                requests_per_s=scale,
                mbu=min(scale / 100, 1.0),
                mfu=min(scale / 1000, 1.0),
            )
            for window, each in shown.averages.items()
        }
        value = Percentiles(count=9, mean_ms=scale, p50_ms=scale, p95_ms=scale, p99_ms=scale)
        shown = changed(
            queued(shown, oldest_unstarted_s=None),
            averages=averages,
            latency=dict.fromkeys(Window, Latency(ttft=value)),
        )
        for view in (throughput_view, latency_view, device_view):
            figures = view(at(shown), Room(76, 12, UNICODE)).figures
            widths.setdefault(view.__name__, set()).add(figures.width)
    assert all(len(found) == 1 for found in widths.values()), widths


def test_a_verdict_without_ceilings_says_nothing() -> None:
    shown = changed(frame(), roofline=changed(frame().roofline, verdict=None))
    rows = device_view(at(shown), Room(76, 12, UNICODE)).lines
    assert not any(row.plain.startswith("limit") for row in rows)
