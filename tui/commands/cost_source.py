"""What `prodtop cost` reads: a snapshot, a recording, or the results of bench and compare."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...engine.compare.cells import Cell, Comparison, Measured, Work
from ...engine.compare.kept import decode
from ...engine.files.bounded import read_bounded
from ...engine.protocol import CellResult, Frame, LoadSpec, Window
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.records.recording.reader import Recording
from ...engine.records.snapshot import load_snapshot
from ...engine.text.cleaning import clean
from .recording_files import find_kept
from .snapshot_files import find_snapshot

_LARGEST_BYTES = 1 << 30
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Source:
    """What was found. `frame`: the last one of a snapshot or a recording, with the `window` that
    was shown. `device`: the GPU's name, empty where the file does not tell it."""

    kind: str
    name: str
    frame: Frame | None = None
    window: Window = Window.SESSION
    comparison: Comparison | None = None
    load_curve: Comparison | None = None
    device: str = ""


def read_source(name: str) -> Source:
    """The file `name`, or the snapshot or recording of that name. Raises `BadInputError`."""
    # A name may be too long to look for.
    with suppress(OSError, ValueError):
        if Path(name).is_file():
            return _read_file(Path(name))
    try:
        return _of_snapshot(find_snapshot(name))
    except BadInputError as no_snapshot:
        with suppress(BadInputError):
            return _of_recording(find_kept(name))
        raise BadInputError(
            f"no file, snapshot or recording '{clean(name)}': give what prodtop bench --out or"
            " compare --out wrote, or a name that snapshot list or recording list shows"
        ) from no_snapshot


def _read_file(path: Path) -> Source:
    name = clean(str(path))
    try:
        content = read_bounded(path, _LARGEST_BYTES)
    except (OSError, ProdtopError) as error:
        raise BadInputError(f"cannot read {name}: {clean(str(error))}") from error
    if content.startswith(_SQLITE):
        return _of_recording(path)
    first = _first_object(content)
    if "compare_schema_version" in first:
        comparison = decode(content, name)
        return _of_cells("compare", name, comparison)
    if "output_sha256" in first:
        return _of_cells("bench", name, _benched(content, name))
    return _of_snapshot(path)


def _first_object(content: bytes) -> Mapping[str, object]:
    """The first line as an object; empty where it is none."""
    line = content.partition(b"\n")[0]
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(line, type=dict[str, object])
    return {}


def _benched(content: bytes, name: str) -> Comparison:
    """The lines of `prodtop bench --out`, those of one strategy and precision as repeats."""
    cells: dict[Cell, list[CellResult]] = {}
    last: CellResult | None = None
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            last = msgspec.json.decode(line, type=CellResult)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInputError(f"{name}:{number}: is no result of a bench: {error}") from error
        cell = Cell(strategy=last.strategy, precision=last.precision, load=LoadSpec())
        cells.setdefault(cell, []).append(last)
    assert last is not None  # the first line was one
    work = Work(
        model=clean(last.model),
        device=clean(last.device),
        load_format="auto",
        requests=last.requests,
        warmup=0,
        max_seqs=last.max_seqs or 1,
    )
    measured = [Measured(cell=cell, repeats=repeats) for cell, repeats in cells.items()]
    return Comparison(work=work, cells=measured)


def _of_cells(kind: str, name: str, comparison: Comparison) -> Source:
    """A comparison names its device as it was asked for, which need not be the GPU's name."""
    device = clean(comparison.work.device)
    return Source(kind, name, comparison=comparison, load_curve=comparison, device=device)


def _of_snapshot(path: Path) -> Source:
    snapshot = load_snapshot(path)
    return Source(
        "snapshot",
        clean(path.stem),
        frame=snapshot.frame,
        window=snapshot.settings.window,
        comparison=snapshot.comparison,
        load_curve=snapshot.load_curve,
        device=snapshot.frame.device_name,
    )


def _of_recording(path: Path) -> Source:
    """Its last frame, which tells of the session since the engine had started."""
    recording = Recording(path)
    try:
        span = recording.spans[-1]
        frames = [tick.frame for tick in recording.ticks(span.first_tick) if tick.frame is not None]
    finally:
        recording.close()
    if not frames:
        raise BadInputError(f"{clean(str(path))} ends without figures of the engine")
    frame = frames[-1]
    return Source("recording", clean(path.stem), frame=frame, device=frame.device_name)
