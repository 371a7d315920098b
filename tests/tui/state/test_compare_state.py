"""Comparing from the screen: begin, cancel, deaths, skipped precisions, what was served live."""

import msgspec
import pytest
from compare_samples import answer, benches
from frames import MODEL, frame, ready, steady
from prodtop.engine.compare.samples import NO_LIMITS
from prodtop.engine.compare.schedule import is_done
from prodtop.engine.protocol import (
    BenchDone,
    ChildDied,
    Command,
    Fault,
    LoadSpec,
    PrecisionName,
    Report,
    RunBench,
    SetPrecision,
    StopBench,
    StrategyName,
)
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.records.tried import Choice, Tried
from prodtop.tui.state.compare import GOAL, Compare, asked, going_on
from prodtop.tui.state.compare_run import CompareRun
from prodtop.tui.state.compare_table import SHOWN, Table, stepped, table
from prodtop.tui.state.stage import Stage
from prodtop.tui.state.told import Told

BF16, INT8, FP8 = PrecisionName.BF16, PrecisionName.INT8, PrecisionName.FP8
HYBRID, SINGLE = StrategyName.HYBRID, StrategyName.SINGLE
DIED = ChildDied(child="worker", reason="killed (signal 9)", restart_in_s=1.0)


class Played:
    """A comparison whose benches are answered one by one; each takes two seconds."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.said: list[Told] = []
        self.run = CompareRun(self.sent.append, self.said.append)
        self.now_s = 0.0
        self.answered = 0

    @property
    def now(self) -> Compare:
        return self.run.look(self.now_s)

    def stage(self) -> Stage:
        return self.now.stage

    def begin(self, shown: object = None) -> "Played":
        self.run.begin(shown or frame(), self.now_s)  # type: ignore[arg-type]  # a frame
        return self

    def answer(self, most: int = 10_000, skipped: tuple[PrecisionName, ...] = ()) -> "Played":
        """Answer as many benches as are asked for, `most` at most."""
        while most and self.answered < len(benches(self.sent)):
            spec = benches(self.sent)[self.answered]
            self.now_s += 2.0
            for report in answer(spec, self.answered, skipped):
                self.run.take(report, self.now_s)
            self.answered += 1
            most -= 1
        return self

    def table(self, metric: str = "output_tok_s", baseline: object = None) -> Table:
        return table(self.now, frame(), metric, NO_LIMITS, baseline)  # type: ignore[arg-type]


def test_every_strategy_is_measured_at_every_precision_that_the_device_can_run() -> None:
    played = Played().begin().answer(30)
    cells = {(spec.strategies[0], spec.precisions[0]) for spec in benches(played.sent)[:30]}
    assert len(cells) == 30
    assert FP8 not in {precision for _, precision in cells}
    assert {spec.load for spec in benches(played.sent)} == {LoadSpec(users=32, ignore_eos=True)}
    assert {spec.requests for spec in benches(played.sent)} == {32}
    spots = played.table().spots
    assert "compute capability" in (spots[HYBRID, FP8].skipped or "")
    assert all(spot.median for (_, precision), spot in spots.items() if precision is not FP8)


def test_it_ends_by_itself_and_serves_at_the_precision_of_before() -> None:
    played = Played().begin().answer()
    assert played.stage() is Stage.DONE
    assert played.said[-1].text.startswith("compared: 30 of 30 cells measured")
    last = [each for each in played.sent if isinstance(each, SetPrecision)][-1]
    assert last == SetPrecision(name=BF16)
    assert played.now.progress is None


def test_progress_has_the_time_left_once_something_was_measured() -> None:
    played = Played().begin()
    progress = played.now.progress
    assert progress is not None
    assert (progress.done_cells, progress.cells, progress.left_s) == (0, 30, None)
    progress = played.answer(1).now.progress
    assert progress is not None
    assert progress.left_s is not None
    assert 0 < progress.left_s <= 300


def test_cancelling_abandons_the_repeat_under_way_and_keeps_what_was_measured() -> None:
    played = Played().begin().answer(3)
    played.run.cancel(played.now_s)
    assert played.stage() is Stage.CANCELLING
    assert played.sent[-2:] == [SetPrecision(name=BF16), StopBench()], "serve on, at bf16"
    sent_before = len(played.sent)
    played.run.take(BenchDone(), played.now_s)
    assert played.stage() is Stage.CANCELLED
    assert len(played.sent) == sent_before, "nothing else is asked for"
    assert played.now.comparison is not None
    assert len(played.now.comparison.measured()) == 3
    played.run.cancel(played.now_s)
    assert played.said[-1].text == "no cells are being measured"


def test_a_repeat_that_had_ended_when_it_was_cancelled_is_kept() -> None:
    played = Played().begin().answer(3)
    played.run.cancel(played.now_s)
    played.answer()
    assert played.stage() is Stage.CANCELLED
    assert played.now.comparison is not None
    assert len(played.now.comparison.measured()) == 4


def test_the_live_load_waits_for_the_whole_sweep_and_goes_on_after_it() -> None:
    played = Played().begin().answer(5)
    asked_for = [each for each in played.sent if isinstance(each, RunBench)]
    assert all(each.hold for each in asked_for)
    assert StopBench() not in played.sent
    played.answer()
    assert played.sent[-2:] == [SetPrecision(name=BF16), StopBench()]
    assert played.sent.count(StopBench()) == 1


@pytest.mark.parametrize(
    "end", [Fault(message="no memory", fatal=True), ready()], ids=["fault", "started anew"]
)
def test_a_sweep_that_fails_holds_nothing(end: Report) -> None:
    played = Played().begin().answer(2)
    played.run.take(end, played.now_s)
    assert played.stage() is Stage.FAILED
    assert played.sent[-1] == StopBench()


def test_begun_again_it_goes_on_with_what_is_left() -> None:
    played = Played().begin().answer(3)
    played.run.cancel(played.now_s)
    played.answer()
    played.begin()
    measured = {(s.strategies[0], s.precisions[0]) for s in benches(played.sent)[:4]}
    following = benches(played.sent)[4]
    assert (following.strategies[0], following.precisions[0]) not in measured


def test_all_done_or_under_another_load_it_begins_anew() -> None:
    kept = Played().begin().answer().now.comparison
    assert kept is not None
    done = msgspec.structs.replace(
        kept, cells=[msgspec.structs.replace(each, skipped="no") for each in kept.cells]
    )
    assert all(is_done(each, GOAL) for each in done.cells)
    wanted = asked(frame())
    assert going_on(done, wanted) is wanted
    other = asked(frame(load=LoadSpec(users=64)))
    assert going_on(kept, other).measured() == []


def test_a_worker_that_dies_fails_the_cell_and_the_next_one_goes_on() -> None:
    played = Played().begin().answer(7)
    died = benches(played.sent)[-1]
    played.run.take(DIED, played.now_s)
    before = len(benches(played.sent))
    assert played.stage() is Stage.RUNNING
    played.run.take(ready(), played.now_s)
    assert played.stage() is Stage.RUNNING, "it was started again for the same sweep"
    played.run.take(frame(70.0), played.now_s)
    assert len(benches(played.sent)) > before
    spot = played.table().spots[died.strategies[0], died.precisions[0]]
    assert "killed (signal 9)" in (spot.failure or "")
    played.answered = before
    assert played.answer().stage() is Stage.DONE
    assert "failed" in played.said[-1].text


def test_a_worker_that_is_given_up_ends_it() -> None:
    played = Played().begin().answer(2)
    played.run.take(msgspec.structs.replace(DIED, restart_in_s=None), played.now_s)
    assert played.stage() is Stage.FAILED
    assert played.said[-1].failed
    assert played.now.comparison is not None
    assert len(played.now.comparison.measured()) == 2


def test_cancelled_while_the_worker_is_down_it_ends_at_once() -> None:
    played = Played().begin().answer(2)
    played.run.take(DIED, played.now_s)
    played.run.cancel(played.now_s)
    assert played.stage() is Stage.CANCELLED


def test_an_engine_that_is_started_anew_ends_it() -> None:
    played = Played().begin().answer(2)
    played.run.take(ready(), played.now_s)
    assert (played.stage(), played.now.ended) == (Stage.FAILED, "the engine was started anew")


def test_another_model_after_a_death_ends_it() -> None:
    played = Played().begin().answer(2)
    played.run.take(DIED, played.now_s)
    other = msgspec.structs.replace(frame(), model=msgspec.structs.replace(MODEL, name="other"))
    played.run.take(other, played.now_s)
    assert (played.stage(), played.now.ended) == (
        Stage.FAILED,
        "the engine was started anew, with other",
    )


@pytest.mark.parametrize("chosen", [INT8, PrecisionName.FP32])
def test_a_precision_that_is_chosen_meanwhile_is_served_afterwards(chosen: PrecisionName) -> None:
    played = Played().begin().answer(8)
    played.run.on_command(SetPrecision(name=chosen))
    played.sent.append(SetPrecision(name=chosen))
    played.answer()
    assert [each for each in played.sent if isinstance(each, SetPrecision)][-1].name is chosen


def test_a_fault_of_a_bench_fails_its_cell_alone() -> None:
    played = Played().begin()
    played.run.take(Fault(message="prompts are too long"), played.now_s)
    played.run.take(BenchDone(), played.now_s)
    played.answered = 1
    assert played.answer(5).stage() is Stage.RUNNING
    failures = [spot.failure for spot in played.table().spots.values() if spot.failure]
    assert failures == ["prompts are too long"]


def test_a_precision_that_does_not_fit_is_skipped_with_its_reason() -> None:
    played = Played().begin().answer(skipped=(INT8,))
    spots = played.table().spots
    assert played.stage() is Stage.DONE
    assert "does not fit" in (spots[HYBRID, INT8].skipped or "")
    assert spots[HYBRID, INT8].median is None
    assert spots[HYBRID, BF16].heat == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("load", [LoadSpec(users=0), LoadSpec(users=8, paused=True)])
def test_without_a_load_nothing_begins(load: LoadSpec) -> None:
    with pytest.raises(BadInputError, match="no load"):
        asked(msgspec.structs.replace(frame(), load=load))
    played = Played().begin(msgspec.structs.replace(frame(), load=load))
    assert (played.sent, played.stage()) == ([], Stage.NONE)


@pytest.mark.parametrize(("metric", "best"), [("output_tok_s", 1.0), ("e2e_p95_ms", 1.0)])
def test_heat_follows_the_direction_of_the_metric(metric: str, best: float) -> None:
    spots = Played().begin().answer().table(metric).spots
    assert spots[HYBRID, PrecisionName.INT4].heat == best
    assert spots[SINGLE, PrecisionName.FP32].heat == 0.0


def test_a_baseline_gives_every_measured_cell_its_factor() -> None:
    played = Played().begin().answer()
    spots = played.table(baseline=(HYBRID, BF16)).spots
    assert spots[HYBRID, BF16].entry.relative == 1.0
    assert spots[HYBRID, INT8].entry.relative == pytest.approx(1.3, rel=0.02)


def live(load: LoadSpec, tok_s: float) -> Tried:
    choice = Choice(strategy=HYBRID, precision=BF16, load=load)
    return Tried(settings=choice, figures=steady(tok_s))


def test_what_was_served_live_fills_gaps_and_is_never_ranked() -> None:
    compare = Compare(live=(live(LoadSpec(users=32), 9_000.0), live(LoadSpec(users=1), 7.0)))
    spots = table(compare, frame(), "output_tok_s", NO_LIMITS, None).spots
    assert spots[HYBRID, BF16].live == (7.0, False), "what was served last"
    played = Played().begin().answer(1)
    asked_for = with_live(played.now, compare.live)
    spots = table(asked_for, frame(), "output_tok_s", NO_LIMITS, None).spots
    assert spots[HYBRID, BF16].live == (9_000.0, False), "what was served under the same load"
    assert spots[HYBRID, BF16].heat is None
    measured = with_live(played.answer().now, compare.live)
    spots = table(measured, frame(), "output_tok_s", NO_LIMITS, None).spots
    assert spots[HYBRID, BF16].live is None
    assert spots[HYBRID, BF16].heat is not None
    assert table(measured, frame(), "mbu", NO_LIMITS, None).spots[HYBRID, BF16].live is None


def with_live(compare: Compare, records: tuple[Tried, ...]) -> Compare:
    return Compare(compare.stage, compare.comparison, compare.progress, compare.ended, records)


def test_keys_step_through_all_metrics_and_back() -> None:
    name, seen = SHOWN[0], []
    for _ in SHOWN:
        seen.append(name)
        name = stepped(name, 1)
    assert (tuple(seen), name) == (SHOWN, SHOWN[0])
    assert stepped(SHOWN[0], -1) == SHOWN[-1]
