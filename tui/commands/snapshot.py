"""`prodtop snapshot list`, `show`, `open`, `name`, `diff`, `export` and `rm`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files.paths import snapshots_dir
from ...engine.protocol.errors import BadInputError
from ...engine.records.export.snapshot_formats import FORMATS
from ...engine.records.snapshot import Snapshot, SnapshotError, list_snapshots, load_snapshot
from ...engine.records.snapshot_files import name_snapshot, remove_snapshot
from ...engine.text.cleaning import clean
from .arguments import Debug, Json, OutFile, Theme
from .diff import AGAINST, FailOn, HtmlFile, print_diff
from .json_output import print_json
from .replay import show_snapshot
from .snapshot_export import export_snapshot
from .snapshot_files import find_kept_snapshot, find_snapshot
from .snapshot_output import print_snapshot

snapshots = typer.Typer(
    name="snapshot", rich_markup_mode=None, help="The snapshots that the key `s` saved."
)

Name = Annotated[
    str, typer.Argument(metavar="ID", help="As `list` shows it, or how it begins; `latest`.")
]


@snapshots.command("list")
def list_command(json: Json = False, debug: Debug = False) -> None:
    """List the snapshots, oldest first; a file that cannot be read, with the reason."""
    paths = list_snapshots()
    if json:
        for path in paths:
            print_json(_row(path))
        return
    if not paths:
        folder = clean(str(snapshots_dir()))
        print(f"no snapshots in {folder}: the key s in the live monitor saves one")
    for path in paths:
        print("  ".join(_words(_row(path))).rstrip())


@snapshots.command("show")
def show_command(name: Name = "latest", json: Json = False, debug: Debug = False) -> None:
    """Show one snapshot: a file, or one that `list` shows."""
    path = find_snapshot(name)
    snapshot = load_snapshot(path)
    if json:
        print_json(snapshot)
        return
    print_snapshot(path, snapshot)


@snapshots.command("open")
def open_command(name: Name = "latest", theme: Theme = None, debug: Debug = False) -> None:
    """Open a snapshot as the screen that it was saved on. Needs no engine."""
    show_snapshot(find_snapshot(name), theme)


@snapshots.command("name")
def name_command(
    name: Name,
    label: Annotated[str, typer.Argument(metavar="NAME", help="Its name; empty takes it away.")],
    debug: Debug = False,
) -> None:
    """Give a snapshot a name. Its id stays."""
    path = find_snapshot(name)
    name_snapshot(path, label)
    print(
        f"{clean(path.stem)} is called {clean(label)}"
        if label
        else f"{clean(path.stem)} has no name"
    )


@snapshots.command("diff")
def diff_command(
    before: Annotated[str, typer.Argument(metavar="A", help="The id of one; `latest`.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The id of the other.")],
    html: HtmlFile = None,
    fail_on: FailOn = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two snapshots: settings, metrics with a verdict each, latencies."""
    paths = [find_snapshot(name) for name in (before, after)]
    print_diff([(path, AGAINST) for path in paths], html, fail_on or [], json=json)


@snapshots.command("export")
def export_command(
    name: Name = "latest",
    kind: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help=f"{', '.join(FORMATS)}; else by --out, or md."),
    ] = None,
    out: OutFile = None,
    debug: Debug = False,
) -> None:
    """Write a snapshot as another program reads it.

    json: all of it. csv: the curves. md, html: figures, settings, events; html with the picture of
    the screen, in one file. svg, png: the picture.
    """
    export_snapshot(find_snapshot(name), kind, out)


@snapshots.command("rm")
def remove_command(
    names: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The ids of those to remove.")
    ],
    debug: Debug = False,
) -> None:
    """Remove snapshots, each with its picture."""
    paths = [find_kept_snapshot(name) for name in names]
    if len(set(paths)) < len(paths):
        raise BadInputError("the same snapshot is named twice")
    for path in paths:
        remove_snapshot(path)
        print(f"removed {clean(path.stem)}")


def _row(path: Path) -> dict[str, object]:
    """One line of the list; a file that cannot be read is listed with its error."""
    try:
        snapshot = load_snapshot(path)
    except SnapshotError as error:
        return {"name": clean(path.stem), "error": str(error)}
    return {"name": clean(path.stem), **_summary(snapshot)}


def _summary(snapshot: Snapshot) -> dict[str, object]:
    return {
        "saved": datetime.fromtimestamp(snapshot.saved_wall_s, UTC).isoformat(timespec="seconds"),
        "model": snapshot.frame.model.name,
        "device": snapshot.frame.device_name,
        "strategy": snapshot.settings.strategy,
        "precision": snapshot.settings.precision,
        "decode_tok_s": snapshot.frame.throughput.decode_tok_s,
        "label": snapshot.label,
    }


def _words(row: dict[str, object]) -> list[str]:
    if "error" in row:
        return [str(row["name"]), str(row["error"])]
    tok_s = row["decode_tok_s"]
    speed = f"{tok_s:,.1f} tok/s" if isinstance(tok_s, int | float) else "--"
    return [str(row["name"]), str(row["model"]), str(row["device"]), speed, str(row["label"])]
