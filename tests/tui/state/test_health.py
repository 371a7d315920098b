"""How the engine does, in one word: for each situation, and steadily."""

from collections.abc import Sequence

import msgspec
import pytest
from frames import ScriptedClient, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import Report, SloSpec, Window
from prodtop.tui.drawing.line import in_glyphs
from prodtop.tui.state.condition import Word
from prodtop.tui.state.frame_loss import LEAST_FRAMES, FrameLoss
from prodtop.tui.state.health import judge
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink
from prodtop.tui.views.header import header_line
from prodtop.tui.views.panel import Room
from running_app import Clock
from situations import SITUATIONS, calm, late, overload, polls, queued, stuck

EXPECTED = {
    "calm": (Word.OK, Ink.OK, "99 % within limits (10s)"),
    "idle": (Word.IDLE, Ink.MUTED, "no request (10s)"),
    "overload": (Word.OVERLOADED, Ink.BAD, "2,145 waiting, +48/s"),
    "full KV cache": (Word.KV_FULL, Ink.BAD, "99 % held"),
    "slow": (Word.SLOW, Ink.BAD, "TTFT p95 5.04 s (10s), limit 2.00 s"),
    "failing": (Word.FAILING, Ink.BAD, "12 of 40 failed (10s)"),
    "stuck": (Word.STALLED, Ink.BAD, "no step (10s)"),
    "stall": (Word.STALLED, Ink.BAD, "silent for 6 s"),
    "stale": (Word.STALE, Ink.BAD, "silent for 6 s"),
    "lost GPU": (Word.GPU_LOST, Ink.BAD, "for 5 s"),
    "capturing": (Word.COMPILING, Ink.WARN, "62 % of the last second"),
    "packing": (Word.COMPILING, Ink.WARN, "for 6 s"),
    "preparing": (Word.COMPILING, Ink.WARN, "compiling kernels, 9 left"),
    "slow client": (Word.LAGGING, Ink.WARN, "67 % of frames dropped (10s)"),
    "dead server": (Word.SERVER_DOWN, Ink.BAD, "restarting in 2 s"),
    "death": (Word.ENGINE_DOWN, Ink.BAD, "restarting in 4 s"),
    "loading": (Word.LOADING, Ink.WARN, "loading bf16 weights 40 %"),
}


def played(session: Sequence[list[Report]]) -> Monitor:
    """A monitor that was told all of it, a quarter of a second apart."""
    clock, client = Clock(), ScriptedClient(session)
    monitor = Monitor(client, clock=clock)
    while client.polls:
        clock.now_s += 0.25
        monitor.poll()
        monitor.moment()
    return monitor


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_has_its_word_its_reason_and_its_colour(name: str) -> None:
    health = played(SITUATIONS[name]).moment().health
    assert (health.word, health.ink, health.reason[0]) == EXPECTED[name]


def test_every_word_has_a_situation() -> None:
    assert {word for word, _, _ in EXPECTED.values()} | {Word.PAUSED, Word.MEASURING} == set(Word)


def test_a_frozen_display_says_so_and_how_it_was() -> None:
    monitor = played(SITUATIONS["overload"])
    monitor.playhead.toggle()
    monitor.playhead.scrub(-4.0)
    health = monitor.moment().health
    assert health.word is Word.PAUSED
    assert health.reason == ("00:00:04 ago", "OVERLOADED then")


def now(shown: object) -> Moment:
    return Moment(
        wall_s=0.0,
        now_s=0.0,
        frame=shown,  # type: ignore[arg-type]  # a frame, from the helpers
        worker=WorkerState(Phase.SERVING),
        frame_age_s=0.1,
    )


def test_the_first_condition_that_holds_is_said() -> None:
    """Overloaded, slow and failing at once: the requests that fail come first."""
    shown = overload(12.0)
    bad = msgspec.structs.replace(shown.attainment[Window.S10], failed=3)
    assert judge(now(shown)).word is Word.OVERLOADED
    failing = msgspec.structs.replace(shown, attainment=dict.fromkeys(Window, bad))
    assert judge(now(failing)).word is Word.FAILING


@settings(deadline=None, max_examples=60)
@given(
    waiting=st.lists(st.floats(33.0, 64.0), min_size=2, max_size=40),
    begun=st.booleans(),
)
def test_a_queue_around_the_level_does_not_flicker(waiting: list[float], begun: bool) -> None:
    """Between the level at which it ends and the one at which it begins, nothing changes."""
    standing = Word.OVERLOADED if begun else Word.OK
    words = set()
    for mean in waiting:
        shown = queued(calm(1.0), mean_waiting=mean, waiting=int(mean), oldest_unstarted_s=0.1)
        standing = judge(now(shown), standing).word
        words.add(standing)
    assert words == {Word.OVERLOADED if begun else Word.OK}


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(sorted(SITUATIONS)), standing=st.sampled_from(Word))
def test_judging_twice_changes_nothing(name: str, standing: Word) -> None:
    """However often a moment is looked at, it has one word."""
    moment = _MOMENTS[name]
    once = judge(moment, standing)
    assert judge(moment, once.word) == once


@pytest.mark.parametrize(
    ("p95_ms", "standing", "word"),
    [
        (1990.0, Word.OK, Word.OK),
        (2010.0, Word.OK, Word.SLOW),
        (1900.0, Word.SLOW, Word.SLOW),
        (1700.0, Word.SLOW, Word.OK),
    ],
)
def test_slow_begins_at_the_limit_and_ends_below_it(
    p95_ms: float, standing: Word, word: Word
) -> None:
    shown = late(calm(0.0), p95_ms / 2.1, 0.99)
    assert judge(now(shown), standing).word is word


@pytest.mark.parametrize("name", ["ttft", "ttfb", "tpot", "itl", "e2e", "queue"])
def test_each_limit_makes_an_engine_slow(name: str) -> None:
    none = {f"{field}_ms": None for field in ("ttft", "ttfb", "tpot", "itl", "e2e", "queue")}
    shown = msgspec.structs.replace(frame(), slo=SloSpec(**none | {f"{name}_ms": 1.0}))
    health = judge(now(shown))
    assert health.word is Word.SLOW
    assert health.reason[0].startswith(name.upper())
    assert judge(now(msgspec.structs.replace(frame(), slo=SloSpec(**none)))).word is Word.OK


@pytest.mark.parametrize(
    ("share", "standing", "word"),
    [
        (0.96, Word.OK, Word.OK),
        (0.94, Word.OK, Word.SLOW),
        (0.96, Word.SLOW, Word.SLOW),
        (0.98, Word.SLOW, Word.OK),
    ],
)
def test_requests_in_flight_that_missed_a_limit_make_it_slow(
    share: float, standing: Word, word: Word
) -> None:
    """The p95 is of those that ended: it is well within."""
    health = judge(now(late(calm(0.0), 40.0, share)), standing)
    assert health.word is word
    if word is Word.SLOW:
        assert health.reason[0] == f"TTFT in limit {share * 100:.0f} % (10s)"


def test_the_first_request_after_a_rest_is_no_stall() -> None:
    """The counts of steps are half a second older than the rest of a frame."""
    stalled = stuck(5.0)
    begun = msgspec.structs.replace(stalled, throughput=frame().throughput)
    assert judge(now(stalled)).word is Word.STALLED
    assert judge(now(begun)).word is Word.OK
    assert judge(now(queued(stalled, mean_in_system=0.04))).word is Word.OK


def test_who_still_waits_counts_as_slow() -> None:
    """No request ended in the last ten seconds, but one waits for twenty."""
    shown = queued(calm(0.0), oldest_unstarted_s=20.0)
    health = judge(now(shown))
    assert health.word is Word.SLOW
    assert health.reason[0] == "TTFT ≥ 20.0 s, limit 2.00 s"
    assert health.ink is Ink.BAD


def test_a_machine_that_never_listed_a_gpu_has_lost_none() -> None:
    assert played(polls(calm, gpus=0)).moment().health.word is Word.OK


def test_a_gpu_that_comes_back_is_not_lost() -> None:
    session = [*SITUATIONS["lost GPU"], *polls(calm)[1:]]
    assert played(session).moment().health.word is Word.OK


@given(st.lists(st.integers(1, 5), min_size=LEAST_FRAMES, max_size=60))
def test_frames_that_never_came_are_counted(steps: list[int]) -> None:
    loss, number = FrameLoss(), 0
    loss.on_frame(number, 0.0)
    for step in steps:
        number += step
        loss.on_frame(number, 1.0)
    assert loss.share(5.0) == pytest.approx((number - len(steps)) / (number + 1))
    assert loss.share(50.0) == 0.0


def test_another_engines_numbers_are_no_gap() -> None:
    loss = FrameLoss()
    loss.on_frame(5, 0.0)
    loss.on_frame(3, 0.1)
    loss.restart()
    loss.on_frame(900, 0.2)
    assert loss.share(0.3) == 0.0


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_header_fits_every_width_and_keeps_its_places(name: str, glyphs: Glyphs) -> None:
    moment, calm_moment = _MOMENTS[name], _MOMENTS["calm"]
    word, _, reason = EXPECTED[name]
    for width in range(60, 260):
        room = Room(width, 1, glyphs)
        shown, plain = header_line(moment, room), header_line(calm_moment, room).plain
        assert shown.width == width
        assert shown.plain.find(f"{glyphs.recording} {word}") == plain.find(
            f"{glyphs.recording} OK"
        )
        assert in_glyphs(reason, glyphs)[:24] in shown.plain
        if not glyphs.unicode:
            assert shown.plain.isascii()


_MOMENTS = {name: played(session).moment() for name, session in SITUATIONS.items()}
