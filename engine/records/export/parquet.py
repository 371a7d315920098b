"""A recording as Parquet: typed columns, null where a figure was not measured.

https://parquet.apache.org/docs/file-format/. The columns are those of the CSV exports, by the same
names; what the recording says of itself is in the metadata of the file, under `prodtop.…`. Rows are
written in groups, so that a day takes no more memory than an hour.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from types import NoneType, UnionType
from typing import TYPE_CHECKING, BinaryIO, get_args, get_type_hints

from ...protocol import FinishedRequest
from ...protocol.errors import ProdtopError
from ...text.cleaning import clean
from ..columns import COLUMNS
from ..recording.reader import Recording
from .session import ended_requests, left_out, points
from .tables import REQUEST_FIELDS

if TYPE_CHECKING:
    import pyarrow

ROWS_OF_A_GROUP = 16_384
"""Of 18 columns that is 2 MB: small beside the decoder, large enough to compress well."""

Row = Sequence[object]


def write_requests(recording: Recording, file: BinaryIO) -> None:
    """A row for each request that ended; `arrival_s` since the recording began. Raises
    `ProdtopError` where pyarrow is not installed."""
    hints = get_type_hints(FinishedRequest)
    kinds = {
        "arrival_s": float,
        **{name: _kind(hints[name]) for name in REQUEST_FIELDS},
        "finish_reason": str,
    }
    rows = (
        (ended.began_s, *(getattr(ended.request, name) for name in REQUEST_FIELDS), ended.reason)
        for ended in ended_requests(recording)
    )
    _write(recording, file, kinds, rows)


def write_series(recording: Recording, file: BinaryIO) -> None:
    """A row for each poll: the columns that charts draw. Raises as `write_requests`."""
    kinds = {"wall_s": float, **dict.fromkeys(COLUMNS, float)}
    rows = (
        (point.wall_s, *(point.columns.get(name) for name in COLUMNS))
        for point in points(recording)
    )
    _write(recording, file, kinds, rows)


BINARY_FORMATS: Mapping[str, Callable[[Recording, BinaryIO], None]] = {
    "parquet": write_requests,
    "series-parquet": write_series,
}
"""Each writes a file."""


def _kind(hint: object) -> type:
    """The type of a field whose value may be missing."""
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    (kind,) = (part for part in parts if part is not NoneType)
    return str if issubclass(kind, Enum) else kind


def _write(
    recording: Recording, file: BinaryIO, kinds: Mapping[str, type], rows: Iterable[Row]
) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ProdtopError(
            "parquet needs the package pyarrow: pip install 'prodtop[parquet]', or export csv"
        ) from error
    arrow = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    schema = pa.schema([(name, arrow[kind]) for name, kind in kinds.items()])
    schema = schema.with_metadata(_facts(recording))
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batches(rows, schema):
            writer.write_batch(batch, row_group_size=ROWS_OF_A_GROUP)


def _batches(rows: Iterable[Row], schema: "pyarrow.Schema") -> Iterator["pyarrow.RecordBatch"]:
    import pyarrow as pa

    coming = iter(rows)
    while some := list(islice(coming, ROWS_OF_A_GROUP)):
        columns = zip(*some, strict=True)
        arrays = [pa.array(column, each.type) for column, each in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _facts(recording: Recording) -> dict[str, str]:
    """What the recording says of itself, as text."""
    ticks = recording.ticks(recording.first_tick)
    first = next((tick.frame for tick in ticks if tick.frame is not None), None)
    facts = {
        **recording.facts,
        "length_s": f"{recording.ended_clock_s - recording.began_clock_s:.6f}",
        "requests_left_out": str(left_out(recording)),
    }
    if first is not None:
        facts["model"] = clean(first.model.name)
        facts["device"] = clean(first.device_name or first.device)
    return {f"prodtop.{key}": value for key, value in facts.items()}
