"""The Production tab's panels in every situation: whatever the room, no line is wider than it."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from frames import EPOCH_S, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    FalsePositives,
    GuardSample,
    ServerSample,
    Severity,
    TargetFigure,
    TargetName,
    TargetsSample,
    TargetStanding,
)
from prodtop.engine.server.guards.bias import GapInterval
from prodtop.engine.server.guards.bias_file import KeptBias
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.state.moment import Moment
from prodtop.tui.state.production import NO_PRODUCTION, Production, after_event
from prodtop.tui.state.server import Server, ServerPhase
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.production.alerts import alerts_view
from prodtop.tui.views.production.around import footer_line, production_header, views_line
from prodtop.tui.views.production.guards import guards_view
from prodtop.tui.views.production.lights import lights_line, strip_line
from prodtop.tui.views.production.targets import light, targets_view
from production_samples import (
    ENDED,
    kept_bias,
    production_reports,
    server_sample,
    targets_of_minutes,
)

SAMPLE, ALERTS = targets_of_minutes()
NOW_S = 240.0


def after(*events: object) -> Production:
    production = NO_PRODUCTION
    for event in events:
        production = after_event(production, event, NOW_S)  # type: ignore[arg-type]  # events
    return production


def unknown(name: TargetName) -> TargetFigure:
    return TargetFigure(name=name, limit=0.5, note="a note that says at length what measures it")


HUGE = GuardSample(
    texts=10**12,
    flagged=10**9,
    redacted=10**9,
    blocked=10**9,
    failures=10**9,
    added_p50_ms=None,
    added_p99_ms=123456.0,
    false_positives=FalsePositives(found=10**9, texts=10**12),
)
SITUATIONS: dict[str, Moment] = {
    "nothing": Moment(wall_s=EPOCH_S, now_s=NOW_S),
    "no targets": Moment(wall_s=EPOCH_S, now_s=NOW_S, frame=frame()),
    "unknown": Moment(
        wall_s=EPOCH_S,
        now_s=NOW_S,
        frame=frame(),
        production=after(TargetsSample(at_s=0.0, targets=[unknown(name) for name in TargetName])),
    ),
    "alerts": Moment(
        wall_s=EPOCH_S + NOW_S,
        now_s=NOW_S,
        frame=frame(),
        production=after(ENDED, SAMPLE, *ALERTS),
        server=Server(ServerPhase.LISTENING, 8000, server_sample(239)),
    ),
    "extremes": Moment(
        wall_s=EPOCH_S,
        now_s=NOW_S,
        frame=frame(),
        production=after(
            TargetsSample(
                at_s=0.0,
                targets=[
                    TargetFigure(
                        name=name,
                        limit=1e9,
                        value=value,
                        samples=10**12,
                        standing=TargetStanding.MISSED,
                        budget_left=-1e6,
                        alert=Severity.PAGE,
                    )
                    for name in TargetName
                    for value in (1e-9, 1e15)
                ],
            )
        ),
        server=Server(
            ServerPhase.LISTENING, 8000, ServerSample(at_s=0.0, guards={"all": HUGE, "pii": HUGE})
        ),
    ),
}
DAY_S = 86_400.0
BIAS = kept_bias("m", EPOCH_S)
HUGE_BIAS = KeptBias(
    measured_at_wall_s=-1e300,
    report=msgspec.structs.replace(
        BIAS.report, excess=GapInterval(n=10**18, mean=1e300, low=-1e300, high=1e308)
    ),
)
PANELS: dict[str, Callable[[Moment, Room], RowsView]] = {
    "targets": targets_view,
    "alerts": alerts_view,
    "guards": lambda moment, room: guards_view(moment, room, None, EPOCH_S),
    "guards with bias": lambda moment, room: guards_view(moment, room, BIAS, EPOCH_S + 3 * DAY_S),
    "guards with a huge bias": lambda moment, room: guards_view(moment, room, HUGE_BIAS, 0.0),
}
WIDTHS = st.integers(26, 200)
GLYPHS = st.sampled_from([UNICODE, ASCII])


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("situation", SITUATIONS)
@given(width=WIDTHS, glyphs=GLYPHS)
@settings(deadline=None, max_examples=15)
def test_no_line_is_wider_than_its_room(
    panel: str, situation: str, width: int, glyphs: Glyphs
) -> None:
    view = PANELS[panel](SITUATIONS[situation], Room(width, 10, glyphs))
    lines = [*view.head, *(row.line for row in view.rows), *view.foot]
    assert lines or situation == "nothing"
    assert all(line.width <= width for line in lines)
    if glyphs is ASCII:
        assert all(line.plain.isascii() for line in (view.title, view.figures, *lines))


@pytest.mark.parametrize("situation", SITUATIONS)
@given(width=st.integers(60, 260), glyphs=GLYPHS)
@settings(deadline=None, max_examples=15)
def test_the_lines_around_fit(situation: str, width: int, glyphs: Glyphs) -> None:
    moment, room = SITUATIONS[situation], Room(width, 1, glyphs)
    for line in (
        production_header(moment, room),
        views_line("targets", 1, 2, DEFAULT_KEYMAP, room),
        footer_line(DEFAULT_KEYMAP, room),
        strip_line(moment, room),
    ):
        assert line.width <= width
        assert not (glyphs is ASCII and not line.plain.isascii())


def plain(view: RowsView) -> str:
    lines = (view.title, view.figures, *view.head, *(row.line for row in view.rows), *view.foot)
    return "\n".join(line.plain for line in lines)


def test_the_table_tells_value_limit_window_budget_and_burn() -> None:
    text = plain(targets_view(SITUATIONS["alerts"], Room(158, 12, UNICODE)))
    row = next(line for line in text.splitlines() if "availability" in line)
    figures = {each.name: each for each in SAMPLE.targets}
    available = figures[TargetName.AVAILABILITY]
    assert available.value is not None
    assert f"{100 * available.value:.2f} %" in row
    assert "> 99.9 %" in row
    assert " 5m " in row
    assert "spent" in row
    assert "burn 5m/25s" in text
    assert f"{available.burns[0].long:.3g}×" in row
    assert "PAGE" in next(line for line in text.splitlines() if "p95 E2E" in line)


def test_what_is_unknown_says_why_and_shows_no_figure() -> None:
    text = plain(targets_view(SITUATIONS["unknown"], Room(158, 12, UNICODE)))
    assert text.count("a note that says") == len(TargetName)
    assert "%" not in text.replace("> 50 %", "").replace("< 50 %", "")


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_a_light_needs_no_colour(glyphs: Glyphs) -> None:
    def sign(standing: TargetStanding, alert: Severity | None) -> str:
        figure = TargetFigure(name=TargetName.GPU, limit=0.8, standing=standing, alert=alert)
        return light(figure, glyphs).text

    signs = {
        sign(TargetStanding.MET, None),
        sign(TargetStanding.MISSED, None),
        sign(TargetStanding.UNKNOWN, None),
        sign(TargetStanding.MISSED, Severity.PAGE),
    }
    assert len(signs) == 4
    assert all(len(each) == 1 for each in signs)


def test_lights_are_in_the_order_of_the_table_and_open_it() -> None:
    lights = lights_line(SITUATIONS["alerts"], Room(80, 1, UNICODE))
    assert lights.plain.strip() == "".join(light(each, UNICODE).text for each in SAMPLE.targets)
    assert {piece.click for piece in lights.pieces if piece.text.strip()} == {
        "app.tab('production')"
    }
    named = lights_line(SITUATIONS["alerts"], Room(160, 1, UNICODE))
    assert "avail" in named.plain
    assert lights_line(SITUATIONS["no targets"], Room(80, 1, UNICODE)).width == 0


def test_lights_of_an_alert_flash_for_a_while() -> None:
    moment, room = SITUATIONS["alerts"], Room(80, 1, UNICODE)
    inks = {
        seconds: {piece.ink for piece in lights_line(_at(moment, NOW_S + seconds), room).pieces}
        for seconds in (0.0, 0.5, 1.0, 60.0)
    }
    assert Ink.SELECTED in inks[0.0]
    assert Ink.SELECTED not in inks[0.5]
    assert Ink.SELECTED in inks[1.0]
    assert Ink.SELECTED not in inks[60.0]


def _at(moment: Moment, now_s: float) -> Moment:
    return Moment(
        wall_s=moment.wall_s, now_s=now_s, frame=moment.frame, production=moment.production
    )


def test_alerts_in_force_come_first_and_one_that_ends_takes_its_place() -> None:
    moment = SITUATIONS["alerts"]
    in_force = moment.production.in_force
    assert in_force
    text = plain(alerts_view(moment, Room(200, 10, UNICODE)))
    assert f"{len(in_force)} in force" in text
    assert text.index(in_force[-1].text) < text.index(ENDED.text)
    ended = msgspec.structs.replace(in_force[0], active=False, wall_s=EPOCH_S + 300)
    after_it = after_event(moment.production, ended, NOW_S)
    assert len(after_it.alerts) == len(moment.production.alerts)
    assert ended in after_it.alerts
    assert in_force[0] not in after_it.alerts


def test_guards_show_hits_latency_and_failures() -> None:
    text = plain(guards_view(SITUATIONS["alerts"], Room(130, 10, UNICODE), None, EPOCH_S))
    row = next(line for line in text.splitlines() if "pii" in line)
    found = server_sample(239).guards["pii"]
    hits = found.flagged + found.redacted + found.blocked
    assert f" {hits} " in row
    assert "0.87 ms" in row
    assert row.rstrip().endswith(str(found.failures))
    assert "accepted 41" in text
    nothing = plain(guards_view(SITUATIONS["nothing"], Room(80, 10, UNICODE), BIAS, EPOCH_S))
    assert "prodtop serve" in nothing
    assert "bias" not in nothing


@pytest.mark.parametrize("width", [57, 78, 130])
def test_guards_show_their_false_positives_and_of_how_many(width: int) -> None:
    sample = server_sample(239)
    unmeasured = msgspec.structs.replace(sample.guards["pii"], false_positives=None)
    none_judged = msgspec.structs.replace(
        unmeasured, false_positives=FalsePositives(found=0, texts=0)
    )
    never_wrong = msgspec.structs.replace(
        unmeasured, false_positives=FalsePositives(found=0, texts=297)
    )
    guards = {
        **sample.guards,
        "perplexity": unmeasured,
        "nothing": none_judged,
        "right": never_wrong,
    }
    moment = replace(
        SITUATIONS["alerts"],
        server=Server(ServerPhase.LISTENING, 8000, msgspec.structs.replace(sample, guards=guards)),
    )
    view = guards_view(moment, Room(width, 12, UNICODE), None, EPOCH_S)
    rows = {row.line.plain.split()[0]: row.line.plain for row in view.rows}
    assert "0.3 %  1 of 348" in rows["content"]
    assert "0.3 %  1 of 297" in rows["injection"]
    assert "0 %  0 of 297" in rows["right"]
    for name in ("perplexity", "nothing"):
        assert " -- " in rows[name]
        assert " of " not in rows[name]
    assert view.figures.plain == "added p50 0.31 ms  p99 0.87 ms"


@pytest.mark.parametrize("situation", ["no targets", "alerts"])
def test_the_bias_kept_is_told_with_its_interval_number_and_age(situation: str) -> None:
    """Also where nothing is guarded: it is the model's."""
    moment, room = SITUATIONS[situation], Room(57, 10, UNICODE)
    told = plain(guards_view(moment, room, BIAS, EPOCH_S + 3 * DAY_S + 60))
    assert "bias excess +0.127 [+0.047, +0.211] · n 48 · age 3 d" in told
    early = plain(guards_view(moment, room, BIAS, EPOCH_S - 60))
    assert "age now" in early
    never = plain(guards_view(moment, room, None, EPOCH_S))
    assert "bias excess --" in never
    assert "prodtop guards bias" in never


def test_the_reports_of_the_samples_are_those_of_a_screen() -> None:
    assert after(*production_reports()).sample == SAMPLE
