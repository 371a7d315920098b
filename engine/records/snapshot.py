"""A snapshot: one moment of the monitor with its last window, as a file that can be kept."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from ..compare.cells import Comparison
from ..files.bounded import read_bounded
from ..files.new_names import save_new
from ..files.paths import owned_folder, snapshots_dir
from ..protocol import (
    ErrorReport,
    Frame,
    HostSample,
    LevelQuality,
    LevelSkipped,
    LoadSpec,
    PrecisionName,
    StrategyName,
    Window,
)
from ..protocol.errors import BadInputError, CheckpointError, ProdtopError
from ..text.cleaning import clean
from .figure_bounds import check_numbers
from .tried import Tried

SCHEMA_VERSION = 1

MULTILINE_FIELDS = frozenset({"text", "prompt"})
"""The only texts in which a newline is kept."""

LARGEST_BYTES = 64 << 20
"""Of a file. Charts of a long session come to less than 1 MiB."""

_LONG_FIELDS = frozenset({"series", "screen"})

Point = tuple[float, float]
"""When, on the frame's clock (s), and the value."""


class SnapshotError(BadInputError):
    """A file that is no snapshot, or one that this version cannot read."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was set when the snapshot was taken; `None` where another's server was watched."""

    strategy: StrategyName | None
    precision: PrecisionName | None
    load: LoadSpec | None
    window: Window
    theme: str


class QualityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the quality of a model's precisions on a device."""

    model: str
    device: str
    levels: list[LevelQuality]
    errors: list[ErrorReport]
    skipped: list[LevelSkipped]


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that stood in the Planner tab. Its figures are estimates.

    `texts`: what stood in the form, by field, from which all of it can be worked out again.
    """

    texts: dict[str, str]
    layout: str
    fits: bool
    step_s: float
    tokens_s: float
    mfu: float | None
    memory_bytes: float


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was shown. `series` holds the points of the stretch that charts showed, by
    column, with a neighbour at each end where there is one."""

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
    quality: QualityRecord | None = None
    """`None` where none was measured."""
    comparison: Comparison | None = None
    """The cells of the last sweep, as far as it had come; `None` without one."""
    load_curve: Comparison | None = None
    """What was served, measured under several loads; `None` where it was not."""
    plan: PlanRecord | None = None
    """`None` where the planner was not looked at."""
    screen: dict[str, object] | None = None
    """What the screen needs beside all this to be drawn as it was (`tui/state/kept_screen.py`);
    `None` in older files."""
    schema_version: int = SCHEMA_VERSION


class _Version(msgspec.Struct):
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


def save_snapshot(snapshot: Snapshot, screen_svg: str, folder: Path | None = None) -> Path:
    """Write `<stamp>-<strategy>-<precision>.json`, and the screen beside it as `.svg`.

    Both or neither, under a name that no file has yet: a second snapshot within one second gets a
    number, whichever process takes it. Returns the JSON file's path. Points that are not finite
    numbers are left out: JSON has no word for them. Raises `ProdtopError` where the folder cannot
    be written, or where the file could not be read again.
    """
    folder = snapshots_dir() if folder is None else folder
    try:
        check_numbers(msgspec.structs.asdict(snapshot))
    except ValueError as error:
        raise ProdtopError(f"cannot save this moment: {error}") from error
    finite = msgspec.structs.replace(snapshot, series=_finite(snapshot.series))
    try:
        # The list shows what has a `.json`: that comes last.
        contents = {".svg": screen_svg.encode(), ".json": encoded(finite)}
        return folder / f"{save_new(owned_folder(folder), _stem(snapshot), contents)}.json"
    except OSError as error:
        raise ProdtopError(f"cannot write a snapshot to {folder}: {error.strerror}") from error


def encoded(fields: object) -> bytes:
    """The file's bytes: indented for readers, but for the long lists, which have a line each.
    `fields`: a snapshot, or what was decoded of one."""
    lines: list[bytes] = []
    for name, value in msgspec.to_builtins(fields).items():
        content = msgspec.json.encode(value)
        if name not in _LONG_FIELDS:
            content = msgspec.json.format(content, indent=1).replace(b"\n", b"\n ")
        lines.append(b" " + msgspec.json.encode(name) + b": " + content)
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def load_snapshot(path: Path) -> Snapshot:
    """Read one snapshot; raises `SnapshotError`, which names the file and what is wrong with it."""
    name = clean(str(path))
    try:
        content = read_bounded(path, LARGEST_BYTES)
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise SnapshotError(
                f"{name} was written by a newer prodtop (schema {version}, and this one reads"
                f" {SCHEMA_VERSION}): upgrade prodtop to read it"
            )
        tree: object = msgspec.json.decode(content)
        snapshot = msgspec.convert(_cleaned(tree), Snapshot)
        check_numbers(msgspec.structs.asdict(snapshot))
        return snapshot
    except FileNotFoundError as error:
        raise SnapshotError(f"cannot read {name}: no such file") from error
    except CheckpointError as error:
        raise SnapshotError(f"cannot read {clean(str(error))}") from error
    # Beside malformed text: numbers that nothing has.
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SnapshotError(f"{name} is no snapshot: {clean(str(error))}") from error


def list_snapshots(folder: Path | None = None) -> list[Path]:
    """The snapshot files of a folder, oldest first; none where there is no folder.

    Raises `SnapshotError` where the folder cannot be read.
    """
    folder = snapshots_dir() if folder is None else folder
    try:
        return sorted(
            (path for path in folder.iterdir() if path.suffix == ".json"), key=stamp_and_number
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SnapshotError(f"cannot read {clean(str(folder))}: {error.strerror}") from error


def stamp_and_number(path: Path) -> tuple[str, int, str]:
    """`<stem>`, `<stem>-2` and `<stem>-10` of one second in the order in which they were saved."""
    numbered = re.fullmatch(r"(.*-[a-z]+\d*)-(\d{1,9})", path.stem)
    if numbered is None:
        return path.stem, 1, path.name
    return numbered[1], int(numbered[2]), path.name


def _stem(snapshot: Snapshot) -> str:
    saved = datetime.fromtimestamp(snapshot.saved_wall_s, UTC).astimezone()
    settings, attached = snapshot.settings, snapshot.frame.attached
    served = f"{settings.strategy}-{settings.precision}"
    if attached is not None:
        served = f"attached-{re.sub('[^a-z]', '', attached.kind.lower())}"
    return f"{saved:%Y%m%d-%H%M%S}-{served}"


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
