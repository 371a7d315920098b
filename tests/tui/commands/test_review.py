"""`prodtop review`: two reviewers at once, verdicts, exports, texts that would move a terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_text import HOSTILE, found_in_command
from prodtop.engine.server.guards.review_items import NewItem
from prodtop.engine.server.guards.review_queue import ReviewQueue
from prodtop.engine.server.guards.settings import ReviewSettings
from prodtop.tui.commands.main import run
from prodtop.tui.commands.review_output import item_lines

Run = Callable[..., list[str]]


@pytest.fixture
def guards(tmp_path: Path) -> Path:
    """A file of guards whose queue is beside it."""
    file = tmp_path / "guards.toml"
    file.write_text("[guards.review]\nmode = 'hold'\nfile = 'q.db'\nrubric = 'Is it kind?'\n")
    return file


@pytest.fixture
def queue(guards: Path) -> ReviewQueue:
    settings = ReviewSettings(mode="hold", hold_s=1000, rubric="Is it kind?")
    return ReviewQueue(guards.parent / "q.db", settings)


@pytest.fixture
def review(guards: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; its lines."""

    def command(*arguments: str, code: int = 0) -> list[str]:
        assert run(["review", *arguments, "--guards", str(guards)]) == code
        captured = capsys.readouterr()
        return (captured.out if code == 0 else captured.err).splitlines()

    return command


def add(queue: ReviewQueue, text: str, *, hold: bool = False) -> int:
    return queue.add(
        NewItem(request_id="r-1", kind="output", text=text, guard="pii", rule="phone", hold=hold)
    )


def test_a_text_is_taken_judged_and_exported(queue: ReviewQueue, review: Run) -> None:
    sent, held = add(queue, "an old text"), add(queue, "line one\nline two", hold=True)
    head, first, second = review("list")
    assert head == "2 without a verdict, 1 of them held; 0 accepted, 0 refused"
    assert (str(held) in first, "s left" in first, "an old text" in second) == (True,) * 3
    shown = review("next", "--as", "ann")
    assert shown[1:3] == ["flagged by pii: phone", "asked: Is it kind?"]
    assert shown[4:6] == ["  line one", "  line two"]
    review("accept", str(held), "--as", "ann", "--note", "fine")
    (line,) = review("correct", str(sent), "a new text", "--as", "bob", "--json")
    assert json.loads(line)["corrected"] == "a new text"
    exported = [json.loads(line) for line in review("export")]
    assert [(each["id"], each["verdict"], each["reviewer"]) for each in exported] == [
        (sent, "accept", "bob"),
        (held, "accept", "ann"),
    ]
    assert (exported[1]["fate"], exported[1]["note"]) == ("released", "fine")
    assert review("next", "--as", "ann") == ["nothing waits for a verdict"]
    assert review("next", "--json") == ["null"]
    assert len(review("list")) == 1
    assert len(review("list", "--all")) == 3


def test_two_reviewers_never_have_the_same_text(queue: ReviewQueue, review: Run) -> None:
    numbers = [add(queue, "one"), add(queue, "two")]
    taken = [json.loads(review("next", "--as", who, "--json")[0])["id"] for who in ("ann", "bob")]
    assert taken == numbers
    assert review("next", "--as", "eve") == ["nothing waits for a verdict"]
    (refusal,) = review("refuse", str(numbers[0]), "--as", "bob", code=1)
    assert refusal == f"prodtop: item {numbers[0]} is decided, or another reviewer has it"
    review("refuse", str(numbers[0]), "--as", "ann")
    item = queue.get(numbers[0])
    assert item is not None
    assert item.verdict == "reject"


def test_no_text_moves_the_terminal(queue: ReviewQueue, review: Run) -> None:
    add(queue, HOSTILE)
    for arguments in (["list"], ["list", "--json"], ["next"]):
        assert found_in_command("\n".join(review(*arguments)).encode()) == []
    item = queue.items()[0]
    assert all(line.isprintable() for line in item_lines(item))


def test_an_item_that_is_not_there(queue: ReviewQueue, review: Run) -> None:
    (line,) = review("accept", "7", code=2)
    assert line == "prodtop: no item 7: 'prodtop review list' shows those there are"
