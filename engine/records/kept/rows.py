"""What a list of sessions says of each file: read in part, within bounds, and never an exception.

A file that cannot be read is a row with the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from ...files.bounded import read_bounded
from ...files.paths import recordings_dir, snapshots_dir
from ...files.sqlite_file import is_written_now
from ...protocol import Frame, Latency, PrecisionName, StrategyName, Window
from ...protocol.errors import CheckpointError, ProdtopError
from ...text.cleaning import clean
from ..figure_bounds import check_numbers
from ..recording.database import SUFFIX
from ..recording.reader import Recording
from ..snapshot import SCHEMA_VERSION, Point

MOST_FILES = 500
"""In a list, the newest: more are counted."""
LARGEST_LISTED_BYTES = 16 << 20
"""Of a snapshot that is read for a list."""
CURVES = ("decode_tok_s", "ttft_p95_ms", "in_system")
CURVE_POINTS = 60
EVENTS = 20
_LISTED_SPANS = 24


class Kind(StrEnum):
    """What a file is."""

    SNAPSHOT = "snapshot"
    RECORDING = "recording"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a file that could be read. `label` is the name that the user gave it.

    `length_s` is a recording's; `curves` have up to `CURVE_POINTS` values each.
    """

    wall_s: float
    label: str
    model: str
    device: str
    strategy: str
    precision: str
    decode_tok_s: float | None
    ttft_p95_ms: float | None
    window: str
    latency: Latency | None
    requests: int | None
    version: str
    curves: dict[str, list[float]]
    events: list[str]
    length_s: float | None = None
    in_use: bool = False


class KeptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the list: its facts, or why there are none."""

    path: Path
    kind: Kind
    modified_s: float
    size_bytes: int
    facts: Facts | None = None
    problem: str = ""

    @property
    def id(self) -> str:
        """What names it on the command line."""
        return clean(self.path.stem)


class Found(msgspec.Struct, frozen=True):
    """The files of both folders, the newest first; `left_out` are older ones beyond the bound."""

    files: list[tuple[Path, Kind, float, int]]
    left_out: int
    problem: str = ""


def find_kept(snapshots: Path | None = None, recordings: Path | None = None) -> Found:
    """The files there are. A folder that cannot be read is told, and not raised."""
    files: list[tuple[Path, Kind, float, int]] = []
    problem = ""
    folders = (
        (snapshots or snapshots_dir(), ".json", Kind.SNAPSHOT),
        (recordings or recordings_dir(), SUFFIX, Kind.RECORDING),
    )
    for folder, suffix, kind in folders:
        try:
            files += _files(folder, suffix, kind)
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = f"cannot read {clean(str(folder))}: {error.strerror}"
    files.sort(key=lambda file: (file[2], file[0].name), reverse=True)
    return Found(files[:MOST_FILES], max(0, len(files) - MOST_FILES), problem)


def _files(folder: Path, suffix: str, kind: Kind) -> Iterator[tuple[Path, Kind, float, int]]:
    for path in folder.iterdir():
        if path.suffix == suffix and not path.name.startswith("."):
            try:
                status = path.lstat()
            except FileNotFoundError:
                # Another prodtop removed it meanwhile.
                continue
            yield path, kind, status.st_mtime, status.st_size


def read_row(path: Path, kind: Kind, modified_s: float, size_bytes: int) -> KeptRow:
    """The row of a file, whatever it holds."""
    row = KeptRow(path=path, kind=kind, modified_s=modified_s, size_bytes=size_bytes)
    try:
        facts = _snapshot_facts(path) if kind is Kind.SNAPSHOT else _recording_facts(path)
        check_numbers(msgspec.structs.asdict(facts))
    except FileNotFoundError:
        return msgspec.structs.replace(row, problem="gone meanwhile")
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        return msgspec.structs.replace(row, problem=f"no {kind}: {clean(str(error))}")
    except (ProdtopError, OSError) as error:
        # The name stands beside it.
        said = clean(str(error)).replace(clean(str(path)), "").strip(" :")
        return msgspec.structs.replace(row, problem=said or "cannot be read")
    return msgspec.structs.replace(row, facts=facts)


# Snapshots


class _Model(msgspec.Struct, frozen=True):
    name: str


class _Rates(msgspec.Struct, frozen=True):
    decode_tok_s: float | None


class _Done(msgspec.Struct, frozen=True):
    finished: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Frame(msgspec.Struct, frozen=True, tag="Frame"):
    model: _Model
    throughput: _Rates
    latency: dict[Window, Latency]
    accounting: _Done | None
    device: str
    device_name: str = ""


class _Settings(msgspec.Struct, frozen=True):
    strategy: StrategyName | None
    precision: PrecisionName | None
    window: Window


class _Version(msgspec.Struct, frozen=True):
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _Head(msgspec.Struct, frozen=True):
    """The part of a snapshot that a list shows."""

    saved_wall_s: float
    frame: _Frame
    settings: _Settings
    versions: dict[str, str]
    series: dict[str, list[Point]]
    events: list[str]
    label: str = ""


def _snapshot_facts(path: Path) -> Facts:
    content = read_bounded(path, LARGEST_LISTED_BYTES)
    version = msgspec.json.decode(content, type=_Version).schema_version
    if version > SCHEMA_VERSION:
        raise CheckpointError(f"of a newer prodtop (schema {version}): upgrade to read it")
    head = msgspec.json.decode(content, type=_Head)
    check_numbers({"saved_wall_s": head.saved_wall_s})
    frame, window = head.frame, head.settings.window
    latency = frame.latency.get(window)
    ttft = None if latency is None else latency.ttft
    return Facts(
        wall_s=head.saved_wall_s,
        label=clean(head.label),
        model=clean(frame.model.name),
        device=clean(frame.device_name or frame.device),
        strategy=str(head.settings.strategy or "--"),
        precision=str(head.settings.precision or "--"),
        decode_tok_s=frame.throughput.decode_tok_s,
        ttft_p95_ms=None if ttft is None else ttft.p95_ms,
        window=str(window),
        latency=latency,
        requests=None if frame.accounting is None else frame.accounting.finished,
        version=clean(head.versions.get("prodtop", "")),
        curves={
            name: thinned([value for _, value in head.series.get(name, [])]) for name in CURVES
        },
        events=[clean(text) for text in head.events[-EVENTS:]],
    )


def thinned(values: Sequence[float]) -> list[float]:
    """At most `CURVE_POINTS` values: the greatest of each stretch, so that no peak is lost."""
    count = len(values)
    if count <= CURVE_POINTS:
        return list(values)
    edges = [count * place // CURVE_POINTS for place in range(CURVE_POINTS + 1)]
    return [max(values[first:last]) for first, last in pairwise(edges)]


# Recordings


def _recording_facts(path: Path) -> Facts:
    recording = Recording(path)
    try:
        frame = _last_frame(recording)
        latency = None if frame is None else frame.latency.get(Window.SESSION)
        averages = None if frame is None else frame.averages.get(Window.SESSION)
        ttft = None if latency is None else latency.ttft
        return Facts(
            wall_s=recording.spans[0].began_wall_s,
            label=recording.facts.get("label", ""),
            model="--" if frame is None else clean(frame.model.name),
            device="--" if frame is None else clean(frame.device_name or frame.device),
            strategy="--" if frame is None else str(frame.strategy or "--"),
            precision="--" if frame is None else str(frame.precision or "--"),
            decode_tok_s=None if averages is None else averages.decode_tok_s,
            ttft_p95_ms=None if ttft is None else ttft.p95_ms,
            window=str(Window.SESSION),
            latency=latency,
            requests=sum(span.requests for span in recording.spans),
            version=recording.facts.get("prodtop", ""),
            curves=_curves(recording),
            events=_events(recording),
            length_s=recording.ended_clock_s - recording.began_clock_s,
            in_use=is_written_now(path),
        )
    finally:
        recording.close()


def _last_frame(recording: Recording) -> Frame | None:
    """The newest frame of the last stretch."""
    last = recording.spans[-1]
    frame: Frame | None = None
    for tick in recording.ticks(last.first_tick):
        frame = tick.frame or frame
    return frame


def _curves(recording: Recording) -> dict[str, list[float]]:
    """The greatest values of some stretches, spread evenly over all of it."""
    every = max(1, -(-len(recording.spans) // _LISTED_SPANS))
    curves: Mapping[str, list[float]] = {name: [] for name in CURVES}
    for span in recording.spans[::every]:
        for peaks in recording.peaks(span.first_tick, span.first_tick + span.ticks):
            for name, values in curves.items():
                values += [extent.high for extent in peaks.columns.get(name, [])]
    return {name: thinned(values) for name, values in curves.items()}


def _events(recording: Recording) -> list[str]:
    stored = recording.events(recording.first_tick, recording.last_tick + 1, EVENTS)
    return [event.kind for event in stored]
