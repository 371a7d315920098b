"""The review queue: two reviewers at once, held answers that always end, and kill -9."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_text import HOSTILE, found_in_command
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from irregular_files import IRREGULAR
from prodtop.engine.server.guards.review_items import MOST_CHARS, Decision, NewItem, ReviewItem
from prodtop.engine.server.guards.review_queue import (
    ReviewConflictError,
    ReviewQueue,
    ReviewQueueError,
    ReviewQueueFullError,
)
from prodtop.engine.server.guards.settings import ReviewSettings


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


HOLD = ReviewSettings(mode="hold", hold_s=10, lease_s=5, most_items=4, retention_s=100)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> ReviewQueue:
    return ReviewQueue(tmp_path / "review" / "queue.db", HOLD, clock)


def item(text: str = "text", *, hold: bool = False) -> NewItem:
    return NewItem(
        request_id="r-1", kind="output", text=text, guard="content", rule="harm", hold=hold
    )


def test_what_was_put_in_comes_out(queue: ReviewQueue) -> None:
    number = queue.add(item("Größe\n\ud800\x1b[2J"))
    claimed = queue.claim("ann")
    assert claimed is not None
    assert (claimed.id, claimed.text, claimed.claimed_by) == (number, "Größe\n?\x1b[2J", "ann")
    assert (claimed.fate, claimed.rubric, claimed.verdict) == ("sent", HOLD.rubric, None)
    decided = queue.decide(number, "ann", "reject", corrected="Größe", note="why")
    assert (decided.verdict, decided.reviewer, decided.corrected) == ("reject", "ann", "Größe")
    assert decided.fate == "sent"
    assert queue.claim("ann") is None
    assert queue.counts() == {"all": 1, "undecided": 0, "held": 0, "accepted": 0, "rejected": 1}


def test_two_reviewers_never_have_the_same_item(queue: ReviewQueue, clock: Clock) -> None:
    numbers = [queue.add(item(str(n))) for n in range(3)]
    first, second = queue.claim("ann"), queue.claim("bob")
    assert first is not None
    assert second is not None
    assert [first.id, second.id] == numbers[:2]
    with pytest.raises(ReviewConflictError):
        queue.decide(first.id, "bob", "accept")
    queue.decide(first.id, "ann", "accept")
    with pytest.raises(ReviewConflictError):
        queue.decide(first.id, "ann", "reject")
    clock.now_s += HOLD.lease_s
    again = queue.claim("cyd")
    assert again is not None
    assert again.id == second.id
    with pytest.raises(ReviewConflictError):
        queue.decide(second.id, "bob", "accept")
    queue.give_up(second.id, "cyd")
    assert queue.decide(second.id, "bob", "accept").verdict == "accept"


def test_held_texts_come_first(queue: ReviewQueue) -> None:
    queue.add(item("sent"))
    held = queue.add(item("held", hold=True))
    claimed = queue.claim("ann")
    assert claimed is not None
    assert claimed.id == held


@pytest.mark.parametrize(
    ("verdict", "corrected", "decision"),
    [
        ("accept", None, Decision(fate="released", text="text")),
        ("accept", "better", Decision(fate="released", text="better", corrected=True)),
        ("reject", None, Decision(fate="refused", text=None)),
        ("reject", "better", Decision(fate="refused", text=None)),
    ],
)
def test_a_held_text_ends_by_its_verdict(
    queue: ReviewQueue, verdict: str, corrected: str | None, decision: Decision
) -> None:
    number = queue.add(item(hold=True))
    assert queue.settle(number) is None
    queue.decide(number, "ann", "accept" if verdict == "accept" else "reject", corrected=corrected)
    assert queue.settle(number) == decision


@pytest.mark.parametrize("on_timeout", ["refuse", "release"])
def test_a_held_text_times_out_once_and_for_all(
    tmp_path: Path, clock: Clock, on_timeout: str
) -> None:
    settings = ReviewSettings(
        mode="hold", hold_s=10, on_timeout="release" if on_timeout == "release" else "refuse"
    )
    queue = ReviewQueue(tmp_path / "q.db", settings, clock)
    late, unasked = queue.add(item(hold=True)), queue.add(item(hold=True))
    clock.now_s += 10
    text = "text" if on_timeout == "release" else None
    assert queue.settle(late) == Decision(fate="timed_out", text=text)
    # A verdict is still welcome, and changes nothing any more: also where nobody had looked.
    assert queue.decide(late, "ann", "accept", corrected="x").fate == "timed_out"
    assert queue.decide(unasked, "ann", "accept", corrected="x").fate == "timed_out"
    assert queue.settle(late) == queue.settle(unasked) == Decision(fate="timed_out", text=text)


def test_a_restart_ends_what_nobody_waits_for(queue: ReviewQueue, clock: Clock) -> None:
    queue.add(item(hold=True))
    clock.now_s += 9
    assert queue.end_overdue() == 0
    clock.now_s += 1
    assert (queue.end_overdue(), queue.end_overdue()) == (1, 0)
    assert queue.counts()["undecided"] == 1


def test_the_queue_is_bounded_and_drops_nothing_undecided(queue: ReviewQueue) -> None:
    numbers = [queue.add(item(str(n))) for n in range(4)]
    with pytest.raises(ReviewQueueFullError, match="4 texts wait"):
        queue.add(item())
    queue.decide(numbers[2], "ann", "accept")
    queue.add(item("new"))
    assert queue.get(numbers[2]) is None
    assert queue.get(numbers[0]) is not None
    assert queue.counts()["all"] == 4


def test_retention_deletes_all_but_what_is_held(queue: ReviewQueue, clock: Clock) -> None:
    old, held = queue.add(item("secret old")), queue.add(item("held", hold=True))
    clock.now_s += 50
    young = queue.add(item())
    clock.now_s += 50
    assert queue.prune() == 1
    assert queue.get(old) is None
    assert queue.get(held) is not None
    assert queue.get(young) is not None


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "queue.db"
    path.parent.mkdir()
    path.touch(mode=0o644)
    previous = os.umask(0)
    try:
        queue = ReviewQueue(path, HOLD)
        queue.add(item())
        files = list(path.parent.iterdir())
    finally:
        os.umask(previous)
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_database_is_refused_and_left(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "queue.db"
    IRREGULAR[kind](path)
    with pytest.raises(ReviewQueueError, match=r"queue\.db"):
        ReviewQueue(path, HOLD)


def test_a_file_of_others_is_left(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_text("no database, but somebody's text\n" * 50)
    with pytest.raises(ReviewQueueError, match="not a database"):
        ReviewQueue(path, HOLD)
    assert path.read_text().startswith("no database")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(ReviewQueueError, match="another version"):
        ReviewQueue(other, HOLD)


def test_what_is_shown_has_no_controls(queue: ReviewQueue) -> None:
    number = queue.add(item(HOSTILE))
    stored = queue.get(number)
    assert stored is not None
    assert stored.text == HOSTILE
    assert found_in_command(stored.shown().encode()) == []
    assert found_in_command(stored.json_line().encode()) == []


def test_the_export_is_every_verdict_as_a_line(queue: ReviewQueue) -> None:
    numbers = [queue.add(item(f"{n}\n{HOSTILE}")) for n in range(3)]
    queue.decide(numbers[2], "ann", "reject", corrected="c")
    queue.decide(numbers[0], "bob", "accept")
    lines = "".join(queue.export()).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["id"], row["verdict"], row["text"]) for row in rows] == [
        (numbers[0], "accept", f"0\n{HOSTILE}"),
        (numbers[2], "reject", f"2\n{HOSTILE}"),
    ]


def test_a_text_of_any_length_is_cut_to_the_bound(queue: ReviewQueue) -> None:
    stored = queue.get(queue.add(item("x" * (MOST_CHARS + 1))))
    assert stored is not None
    assert (len(stored.text), stored.truncated) == (MOST_CHARS, True)


def test_what_ends_a_wait_early_leaves_the_item_to_be_looked_at(queue: ReviewQueue) -> None:
    timed_out, abandoned, waiting = (queue.add(item(hold=True)) for _ in range(3))
    assert queue.end_held([timed_out]) == 1
    assert queue.end_held([abandoned, timed_out], "abandoned") == 1
    decisions = queue.settled([timed_out, abandoned, waiting])
    assert {number: each.fate for number, each in decisions.items()} == {
        timed_out: "timed_out",
        abandoned: "refused",
    }
    assert queue.counts()["undecided"] == 3
    # Whoever looks at it later releases nothing any more.
    assert queue.decide(abandoned, "ann", "accept").fate == "abandoned"


def test_the_list_has_held_items_first(queue: ReviewQueue) -> None:
    sent, held = queue.add(item()), queue.add(item(hold=True))
    assert [each.id for each in queue.items()] == [held, sent]
    queue.decide(held, "ann", "accept")
    assert [each.id for each in queue.items()] == [sent]
    assert len(queue.items(undecided=False)) == 2


WORKER = """
import sys
from pathlib import Path
from prodtop.engine.server.guards.review_items import NewItem
from prodtop.engine.server.guards.review_queue import ReviewQueue
from prodtop.engine.server.guards.settings import ReviewSettings

path, task = Path(sys.argv[1]), sys.argv[2]
# Room for whatever a fast machine adds before it is killed: its pipe stops it at 64 KiB of numbers.
queue = ReviewQueue(path, ReviewSettings(mode="hold", most_items=1_000_000))
n = 0
while True:
    if task == "add":
        number = queue.add(NewItem(request_id=str(n), kind="output", text=f"text {n}" * 50,
                                   guard="g", rule="r", hold=n % 2 == 0))
    else:
        claimed = queue.claim(task)
        if claimed is None:
            break
        number = queue.decide(claimed.id, task, "accept").id
    print(number, flush=True)
    n += 1
"""


def started(path: Path, task: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), task], stdout=subprocess.PIPE, text=True
    )


def test_kill_9_loses_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    told: list[int] = []
    for _round in range(2):
        # Two at once, so that one of them is in the midst of a write when it is killed.
        writers = [started(path, "add"), started(path, "add")]
        for writer in writers:
            assert writer.stdout is not None
            told += [int(writer.stdout.readline()) for _ in range(10)]
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            rest, _ = writer.communicate()
            told += [int(line) for line in rest.split("\n")[:-1]]
    queue = ReviewQueue(path, ReviewSettings(mode="hold"))
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(set(told)) == len(told)
    for number in told:
        stored = queue.get(number)
        assert stored is not None
        assert stored.text == f"text {stored.request_id}" * 50
        assert stored.fate in {"held", "sent"}


def test_two_reviewing_processes_share_the_work(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    queue = ReviewQueue(path, ReviewSettings(mode="hold"))
    numbers = [queue.add(item(str(n))) for n in range(60)]
    reviewers = [started(path, "ann"), started(path, "bob")]
    decided = [[int(line) for line in each.communicate()[0].split()] for each in reviewers]
    assert [each.returncode for each in reviewers] == [0, 0]
    assert sorted(decided[0] + decided[1]) == numbers
    by = {stored.reviewer for n in numbers if (stored := queue.get(n)) is not None}
    assert by <= {"ann", "bob"}
    assert queue.counts()["undecided"] == 0


class QueueMachine(RuleBasedStateMachine):
    """Any order of adding, claiming, deciding and waiting, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        settings = ReviewSettings(mode="hold", hold_s=10, lease_s=5)
        self.queue = ReviewQueue(Path(self.folder.name) / "q.db", settings, self.clock)
        self.deadlines: dict[int, float | None] = {}
        self.ends: dict[int, Decision] = {}
        self.verdicts: set[int] = set()

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    @rule(hold=st.booleans())
    def add(self, hold: bool) -> None:
        number = self.queue.add(item(hold=hold))
        assert number not in self.deadlines
        self.deadlines[number] = self.clock.now_s + 10 if hold else None

    @rule(seconds=st.sampled_from([0.5, 3.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule(reviewer=st.sampled_from(["ann", "bob"]), accept=st.booleans(), gives_up=st.booleans())
    @precondition(lambda self: len(self.verdicts) < len(self.deadlines))
    def review(self, reviewer: str, accept: bool, gives_up: bool) -> None:
        claimed = self.queue.claim(reviewer)
        if claimed is None:
            return
        assert claimed.id not in self.verdicts
        if gives_up:
            return
        decided: ReviewItem = self.queue.decide(
            claimed.id, reviewer, "accept" if accept else "reject"
        )
        self.verdicts.add(decided.id)
        deadline_s = self.deadlines[decided.id]
        if deadline_s is not None and self.clock.now_s < deadline_s:
            assert decided.fate == ("released" if accept else "refused")

    @invariant()
    def every_held_text_ends_once_and_in_time(self) -> None:
        for number, deadline_s in self.deadlines.items():
            if deadline_s is None:
                continue
            decision = self.queue.settle(number)
            if decision is None:
                assert self.clock.now_s < deadline_s
                assert number not in self.verdicts
                assert number not in self.ends
            else:
                assert self.ends.setdefault(number, decision) == decision
                assert (decision.fate == "timed_out") or number in self.verdicts


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
