"""The Quality tab's panels in every situation: whatever the room, no line is wider than it."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec
import pytest
from frames import frame, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from of_our_own import known
from prodtop.engine.protocol import ChildDied, PrecisionName, QualityDone, Report
from prodtop.tui.drawing.line import Line
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.state.quality import NO_QUALITY, Quality, cancelled, quality_after, toggled
from prodtop.tui.state.quality_advice import Keys
from prodtop.tui.state.quality_grid import Cursor, Grid
from prodtop.tui.state.speeds import Conditions, Speed, Speeds
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.events import event_line
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.quality.around import LEVELS as LEVEL_KEYS
from prodtop.tui.views.quality.around import footer_line, quality_header, views_line
from prodtop.tui.views.quality.charts import bars_view, efficiency_view, tradeoff_view
from prodtop.tui.views.quality.layers import band, cell_view, heat_view
from prodtop.tui.views.quality.levels import advice_view, levels_view
from prodtop.tui.views.quality.schemes import schemes_view
from prodtop.tui.views.quality.texts import texts_view
from quality_samples import INT8, LEVELS, REFERENCE, SKIPPED, errors, matrix, measured

KEYS = Keys("b", "p")
FP16 = PrecisionName.FP16


def after(reports: Iterable[Report], quality: Quality | None = None) -> Quality:
    state = toggled(NO_QUALITY, frame())[0] if quality is None else quality
    for report in reports:
        state = quality_after(state, report)  # type: ignore[arg-type]  # reports that are events
    return state


WITHOUT_FP16 = [each for each in measured() if each != LEVELS[FP16]]
SITUATIONS = {
    "nothing": NO_QUALITY,
    "begun": after([]),
    "weights": after(measured()[:5]),
    "reference": after([errors("int8"), REFERENCE]),
    "running": after(measured()[:-3]),
    "stopping": cancelled(after(measured()[:-3]))[0],
    "cancelled": after([QualityDone()], cancelled(after([REFERENCE, LEVELS[INT8]]))[0]),
    "skipped": after([*WITHOUT_FP16[:-1], SKIPPED, QualityDone()]),
    "died": after([REFERENCE, ChildDied(child="worker", reason="killed (signal 9)")]),
    "anew": after([REFERENCE, ready()]),
    "done": after(measured()),
    "deep": after([errors("int8", layers=200), REFERENCE, LEVELS[INT8]]),
}


def moment_of(quality: Quality, *, speeds: bool = True, served: bool = True) -> Moment:
    shown = frame()
    where = known(Conditions.of(shown))
    measured = {(where, name): Speed(1000.0 + 77 * i, 10) for i, name in enumerate(LEVELS)}
    return Moment(
        0.0,
        0.0,
        frame=shown if served else None,
        worker=WorkerState(Phase.SERVING if served else Phase.STARTING),
        frame_age_s=0.1,
        quality=quality,
        speeds=Speeds(measured if speeds else {}),
    )


VIEWS: dict[str, Callable[[Moment, Room, str], RowsView]] = {
    "levels": lambda moment, room, chosen: levels_view(moment, room, chosen, KEYS),
    "advice": lambda moment, room, _: advice_view(moment, room, KEYS),
    "tradeoff": lambda moment, room, _: tradeoff_view(moment, room, KEYS),
    "bars": lambda moment, room, _: bars_view(moment, room),
    "efficiency": lambda moment, room, _: efficiency_view(moment, room, KEYS),
    "schemes": lambda moment, room, chosen: schemes_view(moment.quality, room, chosen),
    "heat": lambda moment, room, chosen: heat_view(moment.quality, chosen, Cursor(2, 1), room),
    "cell": lambda moment, room, chosen: cell_view(moment.quality, chosen, Cursor(2, 1), room),
    "texts": lambda moment, room, chosen: texts_view(moment, room, chosen, KEYS),
}


def lines_of(view: RowsView) -> list[Line]:
    return [*view.head, *(row.line for row in view.rows), *view.foot]


def text_of(view: RowsView) -> str:
    return "\n".join(each.plain for each in [view.title, view.figures, *lines_of(view)])


def text(name: str, situation: str, *, width: int = 110, chosen: str = "int8") -> str:
    return text_of(VIEWS[name](moment_of(SITUATIONS[situation]), Room(width, 20, UNICODE), chosen))


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("situation", SITUATIONS)
@given(
    width=st.integers(56, 200),
    height=st.integers(3, 40),
    glyphs=st.sampled_from([UNICODE, ASCII]),
    chosen=st.sampled_from(["bf16", "int8", "int4", "fp8", "affine-4", "none"]),
    speeds=st.booleans(),
    served=st.booleans(),
)
@settings(deadline=None, max_examples=12)
def test_no_line_is_wider_than_its_room_and_ascii_is_ascii(
    name: str,
    situation: str,
    width: int,
    height: int,
    glyphs: Glyphs,
    chosen: str,
    speeds: bool,
    served: bool,
) -> None:
    moment = moment_of(SITUATIONS[situation], speeds=speeds, served=served)
    view = VIEWS[name](moment, Room(width, height, glyphs), chosen)
    for each in lines_of(view):
        assert each.width <= width, each.plain
        if not glyphs.unicode:
            assert each.plain.isascii(), each.plain


@given(width=st.integers(60, 200), glyphs=st.sampled_from([UNICODE, ASCII]))
@settings(deadline=None, max_examples=30)
def test_the_lines_around_the_panels_fit(width: int, glyphs: Glyphs) -> None:
    room = Room(width, 1, glyphs)
    for quality in SITUATIONS.values():
        for shown in (
            quality_header(moment_of(quality), room),
            views_line("overview", "int8", DEFAULT_KEYMAP, room),
            footer_line(DEFAULT_KEYMAP, room, running=quality.running, moves=LEVEL_KEYS),
            event_line(moment_of(quality), room),
        ):
            assert shown.width <= width, shown.plain
            assert glyphs.unicode or shown.plain.isascii(), shown.plain


@pytest.mark.parametrize(
    ("view", "situation", "words"),
    [
        ("levels", "nothing", "b measures quality"),
        ("levels", "begun", "reading the text"),
        ("levels", "weights", "weights at fp16"),
        ("levels", "running", "speed figures are void while quality is measured"),
        ("levels", "stopping", "stopping"),
        ("levels", "cancelled", "cancelled"),
        ("levels", "died", "not finished"),
        ("levels", "skipped", "the device has no memory for another copy of the weights"),
        ("levels", "done", "14,025 tokens scored, against bf16"),
        ("advice", "nothing", "nothing measured yet: b measures"),
        ("advice", "died", "b measures"),
        ("advice", "done", "int8: 38 % less memory, no difference measured"),
        ("advice", "done", "are not ranked among themselves"),
        ("tradeoff", "nothing", "b measures quality"),
        ("tradeoff", "weights", "the first level is being measured"),
        ("tradeoff", "done", "int4 1.31k tok/s"),
        ("heat", "nothing", "int8: not measured"),
        ("heat", "begun", "int8: still to come"),
        ("texts", "nothing", "not measured: b measures"),
        ("texts", "weights", "the reference is being measured"),
        ("texts", "done", "they part at token 9"),
    ],
)
def test_what_is_said_in_each_situation(view: str, situation: str, words: str) -> None:
    assert words in text(view, situation)


def row_of(view: str, name: str) -> str:
    return next(row for row in view.splitlines() if row.strip().startswith(name))


def test_the_table_says_what_was_measured() -> None:
    shown = text("levels", "done", width=150)
    int4 = row_of(shown, "int4")
    for figure in ("4.5", "7.40 MiB", "1.31k", "20.90", "+3.67 %", "+3.11 … +4.23 %", "96.46 %"):
        assert figure in int4, figure
    assert "none measured" in row_of(shown, "int8")
    assert "reference" in row_of(shown, "bf16")
    assert "compute capability" in row_of(shown, "fp8")


@pytest.mark.parametrize("situation", ["nothing", "begun", "weights"])
def test_what_was_not_measured_is_missing(situation: str) -> None:
    moment = moment_of(SITUATIONS[situation], speeds=False)
    room = Room(150, 20, UNICODE)
    for name in ("levels", "bars", "efficiency"):
        row = row_of(text_of(VIEWS[name](moment, room, "int8")), "int4")
        digits = row.replace("int4", "").replace("━", "").split()
        assert set(digits) - {"─" * len(each) for each in digits} == {"--"}, row


def test_levels_are_never_ranked() -> None:
    rows = [row for row in text("levels", "done").splitlines() if " MiB" in row]
    names = [row.split()[0].rstrip("●") for row in rows]
    assert names == [name for name in PrecisionName if name in LEVELS]


@pytest.mark.parametrize("changes", [{"model": "another"}, {"device": "another"}])
def test_a_model_that_is_no_longer_served_is_named(changes: dict[str, str]) -> None:
    moment = moment_of(SITUATIONS["done"])
    other = replace(moment.quality, **changes)  # type: ignore[arg-type]  # both are texts
    view = levels_view(replace(moment, quality=other), Room(110, 20, UNICODE), "int8", KEYS)
    assert "of another, no longer served" in view.title.plain


def test_the_live_tab_says_that_its_speeds_are_void() -> None:
    room = Room(100, 1, UNICODE)
    running = moment_of(SITUATIONS["running"])
    assert "speed figures are void" in event_line(running, room).plain
    assert "void" not in event_line(replace(running, behind_s=4.0), room).plain
    assert "void" not in event_line(moment_of(SITUATIONS["done"]), room).plain


# The heat strip


def heat(scheme: str, width: int, height: int, cursor: Cursor, situation: str = "done") -> RowsView:
    return heat_view(SITUATIONS[situation], scheme, cursor, Room(width, height, UNICODE))


def test_the_worst_cell_is_the_fullest_and_the_best_the_emptiest() -> None:
    view = heat("int4", 110, 20, Cursor())
    strips = dict(row.plain.lstrip("▸ ").split() for row in view.head[1::2])
    assert list(strips) == ["qkv", "output", "gate_up", "down"]
    assert strips["down"][-1] == "█"
    assert strips["output"][0] == "·"
    assert "22.1" in view.head[2].plain


@pytest.mark.parametrize("width", [56, 80, 200])
@pytest.mark.parametrize("layer", [0, 1, 99, 198, 199])
def test_the_cursor_is_in_sight_in_any_depth(width: int, layer: int) -> None:
    view = heat("int8", width, 20, Cursor(layer, 3), "deep")
    assert f"▾{layer}" in view.head[0].plain
    assert any(row.plain.startswith("▸down") for row in view.head)
    assert all(row.width <= width for row in view.head)


def test_a_level_without_errors_is_exact() -> None:
    shown = text("heat", "done", chosen="bf16")
    assert "stored without any error" in shown
    assert "of all weights exact" in shown


def test_inks_are_of_fixed_decibels() -> None:
    inks = [band(matrix(scheme, 0, "qkv")) for scheme in ("bf16", "int8", "affine-8", "int4")]
    assert inks == [Ink.OK, Ink.OK, Ink.ACCENT, Ink.WARN]
    assert band(matrix("affine-4", 15, "down")) is Ink.BAD


def test_a_cell_is_explained() -> None:
    shown = text("cell", "done")
    found = matrix("int8", 2, "output")
    for words in (
        "layer 2 output",
        "65,536 weights",
        f"{found.max_abs:.3g}",
        f"{found.snr_power_db:.1f} dB",
        "128 KiB → 64.4 KiB",
        "clipped",
        "-0.66 … 0.61",
    ):
        assert words in shown, words


def test_a_cursor_stays_on_the_grid() -> None:
    grid = Grid.of(errors("int8", layers=3))
    assert Cursor().moved(-1, -1, grid) == Cursor()
    assert Cursor().moved(99, 99, grid) == Cursor(2, 3)
    assert Cursor(50, 50).moved(-1, 0, grid) == Cursor(1, 3), "the next model may be smaller"
    assert Grid.of(None).at(Cursor()) is None


# Texts


@pytest.mark.parametrize("width", [56, 80, 120])
def test_both_texts_are_marked_where_they_first_differ(width: int) -> None:
    shown = text("texts", "done", chosen="int4", width=width)
    rows = [row for row in shown.splitlines() if "▸" in row]
    assert len(rows) == 1
    left, right = rows[0].split("│")
    assert "▸the Bank" in left
    assert "▸have a" in right


def test_the_reference_is_compared_with_a_level_that_parts_from_it() -> None:
    assert "they part at token 31" in text("texts", "done", chosen="bf16")


def test_texts_of_several_lines_and_of_none() -> None:
    def shown(base: str, other: str) -> str:
        def with_text(name: PrecisionName, words: str) -> Report:
            level = LEVELS[name]
            assert level.greedy is not None
            greedy = msgspec.structs.replace(level.greedy, text=words)
            return msgspec.structs.replace(level, greedy=greedy)

        quality = after([with_text(PrecisionName.BF16, base), with_text(INT8, other)])
        return text_of(texts_view(moment_of(quality), Room(80, 20, UNICODE), "int8", KEYS))

    assert "▸two" in shown("one\n\ntwo three", "one\n\n2 three")
    assert "▸" not in shown("same", "same")
    assert "▸more" in shown("", "more")


def test_a_split_of_many_words_keeps_them_all() -> None:
    quality = SITUATIONS["done"]
    level = quality.level("int8")
    assert level is not None
    assert level.greedy is not None
    view = texts_view(moment_of(quality), Room(60, 20, UNICODE), "int8", KEYS)
    right = " ".join(row.line.plain.split("│")[1].strip() for row in view.rows)
    assert " ".join(right.replace("▸", "").split()) == level.greedy.text
