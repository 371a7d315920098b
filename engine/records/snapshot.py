"""A snapshot: one moment of the monitor with its last window, as a file that can be kept."""

import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..files.atomic import write_atomically
from ..files.paths import owned_folder, snapshots_dir
from ..protocol import Frame, HostSample, LoadSpec, PrecisionName, StrategyName, Window
from ..protocol.errors import BadInputError, ProdtopError
from ..text.cleaning import clean
from .tried import Tried

SCHEMA_VERSION = 1

MULTILINE_FIELDS = frozenset({"text", "prompt"})
"""The only texts in which a newline is kept."""

Point = tuple[float, float]
"""When, on the frame's clock (s), and the value."""


class SnapshotError(BadInputError):
    """A file that is no snapshot, or one that this version cannot read."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was set when the snapshot was taken."""

    strategy: StrategyName
    precision: PrecisionName
    load: LoadSpec
    window: Window
    theme: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was shown. `series` holds the last window's points by chart."""

    saved_wall_s: float
    frame: Frame
    host: HostSample | None
    settings: Settings
    versions: dict[str, str]
    series: dict[str, list[Point]]
    events: list[str]
    tried: list[Tried] = []
    """Every choice of settings since the start, with its steady figures."""
    label: str = ""
    schema_version: int = SCHEMA_VERSION


class _Version(msgspec.Struct):
    schema_version: int


def save_snapshot(snapshot: Snapshot, screen_svg: str, folder: Path | None = None) -> Path:
    """Write `<stamp>-<strategy>-<precision>.json`, and the screen beside it as `.svg`.

    Returns the JSON file's path. Points that are not finite numbers are left out: JSON has no word
    for them. Raises `ProdtopError` where the folder cannot be written.
    """
    folder = snapshots_dir() if folder is None else folder
    finite = msgspec.structs.replace(snapshot, series=_finite(snapshot.series))
    content = msgspec.json.format(msgspec.json.encode(finite), indent=1)
    try:
        path = _free_name(owned_folder(folder), _stem(snapshot))
        write_atomically(path.with_suffix(".svg"), screen_svg.encode())
        write_atomically(path, content)
    except OSError as error:
        raise ProdtopError(f"cannot write a snapshot to {folder}: {error.strerror}") from error
    return path


def load_snapshot(path: Path) -> Snapshot:
    """Read one snapshot; raises `SnapshotError`, which names the file and what is wrong with it."""
    name = clean(str(path))
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise SnapshotError(
                f"{name} was written by a newer prodtop (schema {version}, and this one reads"
                f" {SCHEMA_VERSION}): upgrade prodtop to read it"
            )
        tree: object = msgspec.json.decode(content)
        return msgspec.convert(_cleaned(tree), Snapshot)
    except OSError as error:
        raise SnapshotError(f"cannot read {name}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(f"{name} is no snapshot: {clean(str(error))}") from error


def list_snapshots(folder: Path | None = None) -> list[Path]:
    """The snapshot files of a folder, oldest first; none where there is no folder."""
    folder = snapshots_dir() if folder is None else folder
    return sorted(path for path in folder.glob("*.json") if path.is_file())


def _stem(snapshot: Snapshot) -> str:
    saved = datetime.fromtimestamp(snapshot.saved_wall_s, UTC).astimezone()
    return f"{saved:%Y%m%d-%H%M%S}-{snapshot.settings.strategy}-{snapshot.settings.precision}"


def _free_name(folder: Path, stem: str) -> Path:
    """A second snapshot within one second gets a number."""
    path, number = folder / f"{stem}.json", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}.json", number + 1
    return path


def _finite(series: dict[str, list[Point]]) -> dict[str, list[Point]]:
    return {
        name: [point for point in points if all(map(math.isfinite, point))]
        for name, points in series.items()
    }


def _cleaned(tree: object, field: str = "") -> object:
    """The decoded JSON with every text made safe to show: a file may come from anywhere."""
    match tree:
        case str():
            return clean(tree, keep_newlines=field in MULTILINE_FIELDS)
        case list():
            return [_cleaned(item, field) for item in tree]
        case dict():
            return {clean(str(key)): _cleaned(value, str(key)) for key, value in tree.items()}
        case _:
            return tree
