"""`prodtop review`: the texts that guards flagged, and what people say about them.

Several reviewers may work at once, each on another machine's terminal or the same one: a text that
one has is nobody else's meanwhile.
"""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .arguments import Debug, Json
from .json_output import print_json
from .review_output import item_lines, row_line

if TYPE_CHECKING:
    from ...engine.server.guards.review_queue import ReviewQueue

MOST_TEXT_BYTES = 1 << 20

review = typer.Typer(
    name="review", rich_markup_mode=None, help="The texts that guards flagged, for people to judge."
)

Guards = Annotated[
    Path | None,
    typer.Option("--guards", metavar="FILE", help="A file with [guards]; else the config's own."),
]
Reviewer = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who reviews; else the user's name.")
]
Number = Annotated[int, typer.Argument(metavar="ID", min=1, help="An item's number.")]
Words = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, for the export.")]


@review.command("list")
def list_command(
    guards: Guards = None,
    every: Annotated[bool, typer.Option("--all", help="Those with a verdict as well.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the texts without a verdict: held ones first, then the oldest."""
    path = _path(guards)
    if not path.exists():
        if not json:
            print(f"no review queue at {clean(str(path))}: [guards.review] of a server makes one")
        return
    queue = _open(guards)
    items = queue.items(undecided=not every)
    if json:
        for item in items:
            print_json(item)
        return
    counts = queue.counts()
    print(
        f"{counts['undecided']} without a verdict, {counts['held']} of them held;"
        f" {counts['accepted']} accepted, {counts['rejected']} refused"
    )
    for item in items:
        print(row_line(item))


@review.command("next")
def next_command(
    guards: Guards = None, reviewer: Reviewer = None, json: Json = False, debug: Debug = False
) -> None:
    """Take the next text, with what is asked about it; nobody else gets it meanwhile."""
    item = _existing(guards).claim(_name(reviewer))
    if json:
        print_json(item)
    elif item is None:
        print("nothing waits for a verdict")
    else:
        for line in item_lines(item):
            print(line)


@review.command("accept")
def accept_command(
    number: Number,
    guards: Guards = None,
    reviewer: Reviewer = None,
    note: Words = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Accept a text; a held one goes out."""
    _decide(number, guards, reviewer, "accept", None, note, json=json)


@review.command("refuse")
def refuse_command(
    number: Number,
    guards: Guards = None,
    reviewer: Reviewer = None,
    note: Words = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Refuse a text; a held one never goes out."""
    _decide(number, guards, reviewer, "reject", None, note, json=json)


@review.command("correct")
def correct_command(
    number: Number,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What goes out instead; - reads it from stdin.")
    ],
    guards: Guards = None,
    reviewer: Reviewer = None,
    note: Words = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write what should have been said; of a held text this goes out."""
    corrected = _stdin() if text == "-" else text
    _decide(number, guards, reviewer, "accept", corrected, note, json=json)


@review.command("export")
def export_command(guards: Guards = None, debug: Debug = False) -> None:
    """Print every item with a verdict as a line of JSON, oldest first."""
    for line in _existing(guards).export():
        print(line, end="")


def _decide(
    number: int,
    guards: Path | None,
    reviewer: str | None,
    verdict: Literal["accept", "reject"],
    corrected: str | None,
    note: str | None,
    *,
    json: bool,
) -> None:
    queue = _existing(guards)
    if queue.get(number) is None:
        raise BadInputError(f"no item {number}: 'prodtop review list' shows those there are")
    item = queue.decide(number, _name(reviewer), verdict, corrected=corrected, note=note)
    if json:
        print_json(item)
    else:
        print(row_line(item))


def _name(given: str | None) -> str:
    """Who reviews. Raises `BadInputError` where that is not known."""
    if given is not None:
        if not given.strip():
            raise BadInputError("--as is empty: give the reviewer's name")
        return given.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise BadInputError("the user has no name here: give --as NAME") from None


def _stdin() -> str:
    text = sys.stdin.read(MOST_TEXT_BYTES + 1) if sys.stdin is not None else ""
    if not text or len(text) > MOST_TEXT_BYTES:
        raise BadInputError(f"stdin: a text has 1 to {MOST_TEXT_BYTES} characters")
    return text


def _path(guards: Path | None) -> Path:
    """The queue's file. Raises `BadInputError` for settings that cannot be."""
    from ...engine.server.guards.review_queue import queue_file
    from .guard_options import review_settings

    settings, folder = review_settings(guards)
    return queue_file(settings, folder)


def _existing(guards: Path | None) -> "ReviewQueue":
    """The queue. Raises `BadInputError` where there is none."""
    path = _path(guards)
    if not path.exists():
        raise BadInputError(f"no review queue at {clean(str(path))}")
    return _open(guards)


def _open(guards: Path | None) -> "ReviewQueue":
    from ...engine.server.guards.review_queue import ReviewQueue
    from .guard_options import review_settings

    return ReviewQueue(_path(guards), review_settings(guards)[0])
