"""`prodtop diff`: two snapshots, two recordings, or two stretches of one, side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.files.atomic import write_file
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.recording.stretch import WHOLE, Stretch, split_name
from ...engine.records.snapshot import list_snapshots
from ...engine.text.cleaning import clean
from .arguments import Debug, Json
from .compare_report import RegressionError
from .json_output import print_json
from .kept_names import named, plain_file
from .recording_files import list_recordings
from .text_table import aligned

if TYPE_CHECKING:
    from ...engine.records.diff.diff import Diff

AGAINST = WHOLE
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as one HTML file, too.")
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="Exit 3 for a change such as 'ttft_ms.p95>+10%'."),
]

Place = tuple[Path, Stretch]


def diff(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A snapshot or a recording; A@1m..2m is a part.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.")],
    html: HtmlFile = None,
    fail_on: FailOn = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two snapshots, two recordings, or two parts of one: `latest@0..5m latest@5m..`.

    Says which settings differ, how each metric changed and how sure that is, and a verdict: better,
    worse, or no difference measured. Exits with 3 where a rule of --fail-on fails.
    """
    print_diff([find_session(name) for name in (before, after)], html, fail_on or [], json=json)


def find_session(text: str) -> Place:
    """The file that a name means, a snapshot's or a recording's, and the part of it. Raises
    `BadInputError`."""
    name, stretch = (text, WHOLE) if plain_file(text) is not None else split_name(text)
    path = plain_file(name) or named(name, [*list_snapshots(), *list_recordings()], _newest)
    if path is None:
        raise BadInputError(
            f"no snapshot and no recording '{clean(name)}': 'prodtop snapshot list' and 'prodtop"
            " recording list' show those there are"
        )
    if stretch != WHOLE and path.suffix == ".json":
        raise BadInputError(f"{clean(path.name)} is one moment: only recordings have parts")
    return path, stretch


def _newest(paths: Sequence[Path]) -> Path:
    return max(paths, key=lambda path: (path.lstat().st_mtime, path.name))


def print_diff(places: Sequence[Place], html: Path | None, rules: list[str], *, json: bool) -> None:
    """Print the diff of two places, and write it where that is asked for. Raises
    `RegressionError` where a rule failed."""
    # Here and not above: the other commands need not wait for numpy.
    from ...engine.compare.against import parse_rule
    from ...engine.records.diff.diff import diff_of
    from ...engine.records.diff.html import html_diff
    from ...engine.records.diff.metrics import diff_metric_named
    from ...engine.records.diff.read import read_side

    parsed = [parse_rule(text, diff_metric_named) for text in rules]
    before, after = (read_side(path, stretch) for path, stretch in places)
    found = diff_of(before, after, parsed)
    if html is not None:
        try:
            write_file(html, html_diff(found).encode(), through=True)
        except OSError as error:
            raise ProdtopError(f"cannot write {clean(str(html))}: {error.strerror}") from error
    if json:
        print_json(found)
    else:
        for line in diff_lines(found):
            print(line)
    failed = [each for each in found.rules if each.failed]
    if failed:
        raise RegressionError(f"{len(failed)} of {len(found.rules)} rules failed: {failed[0].text}")


def diff_lines(found: "Diff") -> list[str]:
    """The diff as lines of text."""
    from ...engine.records.diff.wording import (
        HEADINGS,
        HOW,
        histogram_lines,
        ordered,
        row,
        setting_rows,
        summary,
    )

    settings = setting_rows(found)
    lines = [f"{found.old} → {found.new}: {summary(found)}", ""]
    if settings:
        rows = [("setting", "before", "after"), *settings]
        lines += [*aligned(rows), ""]
    else:
        lines += ["no setting differs", ""]
    lines += aligned([HEADINGS, *map(row, ordered(found.changes))], last_left=True)
    lines += ["", HOW]
    ascii_only = not _can_print("▁█")
    for histogram in found.histograms:
        lines += ["", *histogram_lines(histogram, ascii_only=ascii_only)]
    if found.rules:
        lines += [
            "",
            *(
                f"{'FAILED' if each.failed else 'ok'}  {each.rule}: {each.text}"
                for each in found.rules
            ),
        ]
    return lines


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
