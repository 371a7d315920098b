"""`prodtop recording list`, `show`, `export` and `rm`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files.paths import recordings_dir
from ...engine.files.sqlite_file import is_written_now, remove_database
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.export.formats import FORMATS
from ...engine.records.export.session import left_out
from ...engine.records.export.to_file import KINDS, export_recording
from ...engine.records.recording.notes import notes_file
from ...engine.records.recording.reader import Recording, RecordingError
from ...engine.text.cleaning import clean
from ..style.formatting import binary_bytes, duration
from .arguments import Debug, Json, OutFile
from .json_output import print_json
from .recording_files import find_kept, find_recording, list_recordings, refuse_in_use

recordings = typer.Typer(
    name="recording",
    rich_markup_mode=None,
    help="The recordings of `prodtop record`, `--record` and the key `r`.",
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name that `list` shows, its beginning, `latest`.")
]


@recordings.command("list")
def list_command(json: Json = False, debug: Debug = False) -> None:
    """List the recordings, oldest first; a file that cannot be read, with the reason."""
    paths = list_recordings()
    if json:
        for path in paths:
            print_json(_row(path))
        return
    if not paths:
        folder = clean(str(recordings_dir()))
        print(f"no recordings in {folder}: the key r in the live monitor makes one")
    for path in paths:
        print("  ".join(_words(_row(path))))


@recordings.command("show")
def show_command(name: Name = "latest", json: Json = False, debug: Debug = False) -> None:
    """Show what a recording holds."""
    path = find_recording(name)
    facts = _facts(path)
    if json:
        print_json(facts)
        return
    for key, value in facts.items():
        print(f"{key.ljust(12)}{value}")


@recordings.command("export")
def export_command(
    name: Name = "latest",
    kind: Annotated[
        str, typer.Option("--format", metavar="F", help=f"{', '.join(KINDS)}.")
    ] = "perfetto",
    out: OutFile = None,
    debug: Debug = False,
) -> None:
    """Write a recording in a format that other programs read.

    perfetto: requests and counters for ui.perfetto.dev. mooncake: the load, JSONL. openmetrics:
    for `promtool tsdb create-blocks-from openmetrics`. csv: requests. series: figures over time.
    parquet, series-parquet: these two typed; they need --out, and pip install 'prodtop[parquet]'.
    """
    if kind not in KINDS:
        raise BadInputError(f"unknown format '{clean(kind)}': choose from {', '.join(KINDS)}")
    if out is None and kind not in FORMATS:
        raise BadInputError(f"{kind} is no text: give --out FILE")
    recording = Recording(find_recording(name))
    try:
        if out is None:
            for line in FORMATS[kind](recording):
                print(line)
        else:
            export_recording(recording, kind, out, through=True)
        missing = left_out(recording)
        if missing:
            print(f"{missing:,} requests ended untold, in bursts: not in it", file=sys.stderr)
    finally:
        recording.close()


@recordings.command("rm")
def remove_command(name: Name, debug: Debug = False) -> None:
    """Remove a recording; one that is being recorded stays."""
    path = find_kept(name)
    refuse_in_use(path)
    try:
        remove_database(path, notes_file(path))
    except OSError as error:
        raise ProdtopError(f"cannot remove {clean(str(path))}: {error.strerror}") from error
    print(f"removed {clean(path.stem)}")


def _row(path: Path) -> dict[str, object]:
    """One line of the list; a file that cannot be read is listed with its error."""
    try:
        return _facts(path)
    except RecordingError as error:
        return {"name": clean(path.stem), "error": str(error)}


def _facts(path: Path) -> dict[str, object]:
    recording = Recording(path)
    try:
        first = next(
            (tick.frame for tick in recording.ticks(recording.first_tick) if tick.frame), None
        )
        began_wall_s = recording.spans[0].began_wall_s
        return {
            "name": clean(path.stem),
            "began": datetime.fromtimestamp(began_wall_s, UTC).isoformat(timespec="seconds"),
            "length_s": round(recording.ended_clock_s - recording.began_clock_s, 3),
            "model": None if first is None else clean(first.model.name),
            "device": None if first is None else clean(first.device_name),
            "polls": sum(span.ticks for span in recording.spans),
            "requests": sum(span.requests for span in recording.spans),
            "bytes": path.stat().st_size,
            "recording": is_written_now(path),
            "prodtop": recording.facts.get("prodtop"),
            "label": recording.facts.get("label", ""),
        }
    finally:
        recording.close()


def _words(row: dict[str, object]) -> list[str]:
    if "error" in row:
        return [str(row["name"]), str(row["error"])]
    length, size = row["length_s"], row["bytes"]
    return [
        str(row["name"]),
        duration(length if isinstance(length, float) else None),
        str(row["model"] or "--"),
        str(row["device"] or "--"),
        f"{row['requests']:,} requests",
        binary_bytes(size if isinstance(size, int) else None),
        "being recorded" if row["recording"] else "",
        str(row["label"]),
    ]
