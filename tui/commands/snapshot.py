"""`prodtop snapshot list` and `prodtop snapshot show`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ...engine.files.paths import snapshots_dir
from ...engine.protocol.errors import BadInputError
from ...engine.records.snapshot import Snapshot, SnapshotError, list_snapshots, load_snapshot
from ...engine.text.cleaning import clean
from .arguments import Debug, Json

snapshots = typer.Typer(
    name="snapshot", rich_markup_mode=None, help="The snapshots that the key `s` saved."
)


@snapshots.command("list")
def list_command(json: Json = False, debug: Debug = False) -> None:
    """List the snapshots, oldest first."""
    paths = list_snapshots()
    if json:
        for path in paths:
            print(msgspec.json.encode(_row(path)).decode())
        return
    if not paths:
        print(f"no snapshots in {snapshots_dir()}: the key s in the live monitor saves one")
    for path in paths:
        print("  ".join(_words(_row(path))))


@snapshots.command("show")
def show_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A name that `list` shows, a file, or `latest`.")
    ] = "latest",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show one snapshot."""
    path = find_snapshot(name)
    snapshot = load_snapshot(path)
    if json:
        print(msgspec.json.encode(snapshot).decode())
        return
    from .snapshot_view import print_snapshot

    print_snapshot(path, snapshot)


def find_snapshot(name: str) -> Path:
    """The file that `name` means; raises `BadInputError` where there is none."""
    paths = list_snapshots()
    if name == "latest" and paths:
        return max(paths, key=lambda path: path.stat().st_mtime)
    candidates = [Path(name), *(path for path in paths if name in (path.name, path.stem))]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BadInputError(
        f"no snapshot '{clean(name)}': 'prodtop snapshot list' shows those in {snapshots_dir()}"
    )


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
    speed = f"{row['decode_tok_s']:,.1f} tok/s"
    return [str(row["name"]), str(row["model"]), str(row["device"]), speed, str(row["label"])]
