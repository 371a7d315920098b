"""What the panels say, without a terminal."""

import msgspec
import pytest
from frames import frame, host
from hypothesis import given, settings
from hypothesis import strategies as st
from live_moments import ROOM, at, text_of
from prodtop.engine.protocol import (
    GpuSample,
    Latency,
    PrecisionName,
    Roofline,
    ServerSample,
    Speculation,
    SpeculationSpec,
    StrategyName,
    Window,
)
from prodtop.engine.serving.strategy import STRATEGIES, Admission
from prodtop.tui.drawing.line import wrapped
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.state.moment import LogLine, Moment, Pending, Phase, WorkerState, restart_text
from prodtop.tui.state.server import Server, ServerPhase
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.cache import cache_view
from prodtop.tui.views.controls import (
    ADMISSION,
    CACHING,
    STREAMING,
    control_lines,
)
from prodtop.tui.views.events import age_text, effect_line, event_line
from prodtop.tui.views.gpu import device_view
from prodtop.tui.views.header import header_line
from prodtop.tui.views.keys import footer_line
from prodtop.tui.views.latency import latency_view
from prodtop.tui.views.panel import PanelView, Room
from prodtop.tui.views.queue import queue_view
from prodtop.tui.views.stream import stream_view
from prodtop.tui.views.throughput import throughput_view

PANELS = (throughput_view, latency_view, device_view, cache_view, queue_view, stream_view)
LINE = Room(120, 1, UNICODE)


servers = st.builds(
    Server,
    phase=st.sampled_from(ServerPhase),
    port=st.none() | st.integers(1, 65535),
    sample=st.none()
    | st.builds(
        ServerSample,
        at_s=st.just(0.0),
        open_requests=st.integers(0, 2000),
        streams=st.integers(0, 2000),
    ),
)


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(36, 200),
    height=st.integers(2, 40),
    glyphs=st.sampled_from((UNICODE, ASCII)),
    strategy=st.sampled_from(StrategyName),
    gpus=st.integers(0, 8),
    started=st.booleans(),
)
def test_no_line_is_wider_than_its_panel(
    width: int, height: int, glyphs: Glyphs, strategy: StrategyName, gpus: int, started: bool
) -> None:
    moment = at(frame(strategy=strategy), host=host(gpus=gpus))
    if not started:
        moment = Moment(wall_s=0.0, now_s=0.0)
    for view in PANELS:
        for row in view(moment, Room(width, height, glyphs)).lines:
            assert row.width <= width, row.plain


@settings(deadline=None, max_examples=40)
@given(
    width=st.integers(60, 240),
    glyphs=st.sampled_from((UNICODE, ASCII)),
    server=st.none() | servers,
)
def test_no_bar_is_wider_than_the_screen(width: int, glyphs: Glyphs, server: Server | None) -> None:
    moment = at(
        pending=Pending(tried=PrecisionName.FP8), log=(LogLine(0.0, "x" * 300),), server=server
    )
    room = Room(width, 1, glyphs)
    rows = (
        header_line(moment, room),
        effect_line(moment, room),
        event_line(moment, room),
        footer_line(DEFAULT_KEYMAP, room.width),
        *control_lines(moment, room, DEFAULT_KEYMAP),
    )
    assert all(row.width <= width for row in rows)


@given(second=st.floats(0, 1000), server=st.none() | servers)
def test_ascii_is_ascii(second: float, server: Server | None) -> None:
    switched = LogLine(0.0, "strategy: single → cached", "switch")
    moment = at(frame(second), log=(switched,), server=server)
    room = Room(100, 12, ASCII)
    shown = [text_of(view(moment, room)) for view in PANELS]
    line = Room(100, 1, ASCII)
    shown += [header_line(moment, line).plain, event_line(moment, line).plain]
    shown += [row.plain for row in control_lines(moment, line, DEFAULT_KEYMAP)]
    assert all(text.isascii() for text in shown)


def test_what_is_missing_is_never_zero() -> None:
    bare = msgspec.structs.replace(
        frame(),
        latency={window: Latency() for window in Window},
        roofline=Roofline(),
        attainment={},
        averages={},
    )
    latency = text_of(latency_view(at(bare), ROOM))
    assert "TTFT p95      --" in latency
    assert "0" not in latency.replace("p50", "").replace("1m", "")
    empty = GpuSample(index=0, uuid="", name="GPU")
    device = text_of(
        device_view(at(bare, host=msgspec.structs.replace(host(), gpus=[empty])), ROOM)
    )
    for wanted in ("MBU    --", "-- / --", "-- °C", "-- J/token", "-- MHz"):
        assert wanted in device


def with_drafts(tokens: float | None, ratio: float | None, *, drafting: bool) -> PanelView:
    speculation = Speculation(
        spec=SpeculationSpec(),
        drafting=drafting,
        acceptance=None if tokens is None else 0.62,
        tokens_per_step=tokens,
        step_ratio=ratio,
    )
    return throughput_view(at(msgspec.structs.replace(frame(), speculation=speculation)), ROOM)


def test_drafts_say_what_they_gain() -> None:
    text = with_drafts(2.4, 1.5, drafting=True).lines[-1].plain
    assert text == "drafts ×1.60 · 2.40 tokens a step · step 1.50× as long ·  62 % right"


def test_drafts_that_lose_say_so() -> None:
    view = with_drafts(1.05, 1.3, drafting=False)
    assert view.lines[-1].plain.startswith(
        "drafts lose ×0.81 resting · 1.05 tokens a step · step 1.30× as long"
    )
    assert Ink.WARN in {piece.ink for piece in view.lines[-1].pieces}
    assert view.figures.plain.startswith("drafts lose ×0.81  decode ")


def test_drafts_that_were_not_judged_yet_show_no_figure() -> None:
    text = with_drafts(None, None, drafting=False).lines[-1].plain
    assert text.startswith("drafts -- comparing · -- tokens a step")
    assert "0" not in text


def test_without_speculation_nothing_is_said_of_it() -> None:
    assert "draft" not in text_of(throughput_view(at(), ROOM))


def test_the_table_shows_the_chosen_window() -> None:
    frame_ = frame()
    only_session = {window: Latency() for window in Window} | {
        Window.SESSION: frame_.latency[Window.SESSION]
    }
    shown = msgspec.structs.replace(frame_, latency=only_session)
    assert "TTFT p95      --" in text_of(latency_view(at(shown, window=Window.M1), ROOM))
    assert "TTFT p95      --" not in text_of(latency_view(at(shown, window=Window.SESSION), ROOM))


@pytest.mark.parametrize("view", PANELS)
def test_before_the_first_frame_panels_say_what_is_awaited(
    view: object,
) -> None:
    moment = Moment(
        wall_s=0.0,
        now_s=0.0,
        worker=WorkerState(doing="loading bf16 weights", fraction=0.4),
    )
    assert callable(view)
    text = text_of(view(moment, ROOM))
    awaited = "the probe" if view is device_view else "loading bf16 weights 40 %"
    assert text.splitlines()[-1].strip().endswith(awaited)


@pytest.mark.parametrize("view", [throughput_view, latency_view, cache_view, queue_view])
def test_stale_figures_say_their_age(view: object) -> None:
    assert callable(view)
    old = view(at(frame_age_s=7.2), ROOM)
    assert "7 s old" in old.title.plain
    assert old.stale
    assert not view(at(), ROOM).stale


def test_a_held_request_says_how_far_it_is() -> None:
    view = stream_view(at(frame(strategy=StrategyName.CONTINUOUS)), ROOM)
    assert "held until complete: 23/64 tokens" in text_of(view)


def test_the_newest_text_stays_in_sight_and_the_prompt_shows_its_end() -> None:
    stream = frame().stream
    assert stream is not None
    long = msgspec.structs.replace(
        stream,
        prompt=" ".join(f"system{n}" for n in range(200)) + " the question?",
        text=" ".join(f"word{n}" for n in range(400)),
    )
    view = stream_view(at(msgspec.structs.replace(frame(), stream=long)), Room(60, 9, UNICODE))
    rows = [row.plain for row in view.lines]
    assert len(rows) == 9
    assert rows[0].startswith("… ")
    assert rows[2].endswith("the question?")
    assert "word399" in rows[-1]


@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=("C", "M")), max_size=200),
    width=st.integers(2, 40),
)
def test_wrapping_loses_nothing_but_spaces(text: str, width: int) -> None:
    rows = wrapped(text, width)
    assert "".join("".join(rows).split()) == "".join(text.split())


def test_the_bars_tell_what_the_strategies_are() -> None:
    for name, strategy in STRATEGIES.items():
        assert (name in CACHING) == (strategy.prefix_cache and strategy.response_cache)
        assert (name in STREAMING) == strategy.stream
        assert (ADMISSION.get(name) == "one at a time") == (strategy.max_seqs == 1)
        assert (ADMISSION.get(name) == "whole batches") == (strategy.admission is Admission.GANG)


def test_the_bars_mark_the_current_the_pending_and_the_unavailable() -> None:
    moment = at(pending=Pending(strategy=StrategyName.SINGLE, tried=PrecisionName.FP8))
    strategies, precisions = control_lines(moment, LINE, DEFAULT_KEYMAP)
    assert "[6 hybrid]" in strategies.plain
    assert ">1 single<" in strategies.plain
    assert "[bf16]" in precisions.plain
    assert "fp8✗" in precisions.plain
    assert "capability 8.9" in precisions.plain


def test_a_download_has_a_bar_and_narrow_panels_their_share() -> None:
    loading = WorkerState(doing="downloading an-organization/A-Long-Name-8B", fraction=0.5)
    moment = Moment(wall_s=0.0, now_s=0.0, worker=loading)
    wide = event_line(moment, LINE).plain
    assert "A-Long-Name-8B 50 %" in wide
    assert wide.count(UNICODE.gauge_full) == wide.count(UNICODE.gauge_empty) == 20
    narrow = Room(36, 5, UNICODE)
    assert event_line(moment, narrow).width <= 36
    for view in (throughput_view, latency_view, cache_view, queue_view, stream_view):
        assert [row.plain.strip() for row in view(moment, narrow).lines] == ["starting 50 %"]


def test_a_death_stays_on_the_event_line_until_the_engine_serves() -> None:
    dead = WorkerState(Phase.DEAD, reason="killed (signal 9)", failed_requests=1, restart_at_s=1.0)
    text = event_line(at(worker=dead), LINE).plain
    assert "worker killed (signal 9): 1 request failed, restarting in 1 s" in text
    again = WorkerState(Phase.STARTING, reason="killed (signal 9)", failed_requests=12, attempt=2)
    text = event_line(at(worker=again), LINE).plain
    assert "worker killed (signal 9): 12 requests failed, starting again" in text


def test_a_switch_under_way_is_told_before_the_last_effect() -> None:
    switching = msgspec.structs.replace(frame(), switching="bf16 → int8: packing weights")
    assert "packing weights" in effect_line(at(switching), LINE).plain
    assert effect_line(at(), LINE).plain == ""


@pytest.mark.parametrize(
    ("wait_s", "text"),
    [
        (-0.2, "restarting at once"),
        (0.5, "restarting at once"),
        (1.0, "restarting in 1 s"),
        (8.0, "restarting in 8 s"),
    ],
)
def test_a_restart_within_the_second_is_not_said_to_be_in_0_s(wait_s: float, text: str) -> None:
    assert restart_text(wait_s) == text


@pytest.mark.parametrize(
    ("age_s", "text"), [(0.4, "just now"), (7.9, "7s ago"), (59.0, "50s ago"), (150.0, "2m ago")]
)
def test_ages_grow_in_steps(age_s: float, text: str) -> None:
    assert age_text(age_s) == text


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_controls_say_what_goes_through_the_server(width: int) -> None:
    sample = ServerSample(at_s=0.0, open_requests=12, streams=12)
    server = Server(ServerPhase.LISTENING, 8000, sample)
    _, shown = control_lines(at(server=server), Room(width, 1, UNICODE), DEFAULT_KEYMAP)
    assert ":8000 ·  12 streams" in shown.plain
    assert "load" in shown.plain
    _, without = control_lines(at(), Room(width, 1, UNICODE), DEFAULT_KEYMAP)
    assert "streams" not in without.plain


@pytest.mark.parametrize("width", [80, 120, 160])
def test_nothing_moves_when_streams_come_and_go(width: int) -> None:
    places: set[int] = set()
    for streams in (0, 1, 2, 9, 10, 99, 100, 998):
        for others in (0, 1):
            sample = ServerSample(at_s=0.0, open_requests=streams + others, streams=streams)
            moment = at(server=Server(ServerPhase.LISTENING, 8000, sample))
            _, shown = control_lines(moment, Room(width, 1, UNICODE), DEFAULT_KEYMAP)
            places.add(shown.plain.index(":8000"))
    for phase in (ServerPhase.STARTING, ServerPhase.DOWN):
        moment = at(server=Server(phase, 8000))
        _, shown = control_lines(moment, Room(width, 1, UNICODE), DEFAULT_KEYMAP)
        places.add(shown.plain.index(":8000"))
    assert len(places) == 1


def test_the_text_of_a_server_s_request_is_not_shown() -> None:
    shown = frame()
    assert shown.stream is not None
    served = msgspec.structs.replace(shown.stream, request_id=41, prompt="", text="", served=True)
    view = stream_view(at(msgspec.structs.replace(shown, stream=served)), ROOM)
    (row,) = view.lines
    assert row.plain == "request 41 of the server: its text is not shown"
    assert f"{served.generated_tokens}/{served.max_tokens}" in view.figures.plain
