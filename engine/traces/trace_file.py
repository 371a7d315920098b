"""Reading a trace: within bounds, in any of the formats, or one line says what is wrong where."""

import io
from array import array
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from ..files.bounded import read_beginning, read_bounded
from ..protocol.errors import BadInputError
from ..text.cleaning import clean
from . import mooncake
from .csv_rows import CsvRows, csv_format, split_line
from .rows import LineError, Row
from .trace import Ints, Trace, TraceFormat

LARGEST_TRACE_BYTES = 512 << 20
"""BurstGPT's larger half has 180 MiB."""
MOST_ENTRIES = 10_000_000
MOST_HASH_IDS = 50_000_000
LONGEST_LINE_BYTES = 1 << 20
"""A prompt of a million tokens has 2,000 hash ids."""
LONGEST_SPAN_S = 10 * 366 * 86_400.0
"""Ten years: a longer one mixes two kinds of time."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FORMATS = "the header of an Azure or BurstGPT CSV file, or the JSON object of a Mooncake trace"


def read_trace(path: Path) -> Trace:
    """The requests in `path`, sorted by arrival; the first comes at 0 s.

    Raises:
        BadInputError: no such file, none that is regular, too large, of no known format, without a
            request, or a line that cannot be; it names the line.
    """
    name = clean(path.name)
    try:
        data = read_bounded(path, LARGEST_TRACE_BYTES)
    except FileNotFoundError:
        raise _no_such_file(path) from None
    return parse_trace(data, name)


def check_trace(path: Path) -> None:
    """Raise the `BadInputError` of a file that is none of the formats, by its first line alone.

    For before long work: the rest of the file is not looked at.
    """
    name = clean(path.name)
    try:
        head = read_beginning(path, LONGEST_LINE_BYTES + 1)
    except FileNotFoundError:
        raise _no_such_file(path) from None
    for number, first, whole in _lines(head, name):
        _, read = _reader(name, number, first)
        if first.startswith(b"{"):
            _Columns(name).take(read, number, first, whole=whole)
        return
    raise BadInputError(f"trace {name}: is empty")


def parse_trace(data: bytes, name: str) -> Trace:
    """The requests in the bytes of a file, which `name` names in errors. Raises `BadInputError`."""
    kind, read, lines = _opened(data, name)
    columns = _Columns(name)
    for number, line, whole in lines:
        columns.take(read, number, line, whole=whole)
    return columns.trace(kind)


def read_rows(path: Path) -> Iterator[Row]:
    """Every line of `path` in the file's order, those without output too, without hash ids.

    Raises `BadInputError` as `read_trace` does, but for a file without a request.
    """
    name = clean(path.name)
    try:
        data = read_bounded(path, LARGEST_TRACE_BYTES)
    except FileNotFoundError:
        raise _no_such_file(path) from None
    _, read, lines = _opened(data, name)
    for number, line, whole in lines:
        row = _row(read, name, number, line, whole=whole)
        if row is not None:
            yield row._replace(hash_ids=None)


def _opened(
    data: bytes, name: str
) -> tuple[TraceFormat, Callable[[bytes], Row], Iterator[tuple[int, bytes, bool]]]:
    """The format, what reads a line of it, and the lines that hold a request."""
    lines = _lines(data, name)
    number, first, whole = next(lines, (0, b"", True))
    if not number:
        raise BadInputError(f"trace {name}: is empty")
    kind, read = _reader(name, number, first)
    if kind is TraceFormat.MOONCAKE:
        lines = chain([(number, first, whole)], lines)
    return kind, read, lines


def _row(
    read: Callable[[bytes], Row], name: str, number: int, line: bytes, *, whole: bool
) -> Row | None:
    """One line; `None` for the last one of a file that ends within it, and is none."""
    try:
        return read(line)
    except LineError as error:
        if whole:
            raise _error(name, number, str(error)) from None
        return None


def _lines(data: bytes, name: str) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that hold something: number, content, and whether the line has an end."""
    for number, line in enumerate(io.BytesIO(data), start=1):
        if len(line) > LONGEST_LINE_BYTES:
            raise _error(name, number, f"is longer than {LONGEST_LINE_BYTES >> 20} MiB")
        whole = line.endswith(b"\n")
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        line = line.strip(b" \t\r\n")
        if line:
            yield number, line, whole


def _reader(name: str, number: int, first: bytes) -> tuple[TraceFormat, Callable[[bytes], Row]]:
    """The format of a file by its first line, and what reads the lines below a header."""
    if first.startswith(b"{"):
        return TraceFormat.MOONCAKE, mooncake.read_line
    try:
        header = split_line(first.decode())
    except (UnicodeDecodeError, LineError):
        header = []
    kind = csv_format(header)
    if kind is None:
        raise _error(name, number, f"is no beginning of a trace: it must be {_FORMATS}")
    return kind, CsvRows(kind, header).read


class _Columns:
    """Rows as they come, as columns that take few bytes each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._at_s = array("d")
        self._prompt_tokens = array("q")
        self._output_tokens = array("q")
        self._hash_ids = array("q")
        self._hash_ends = array("q", [0])
        self._numbers: dict[int | str, int] = {}
        """Hash ids of the file by those of ours."""
        self._hashed = False
        self._without_output = 0
        self._truncated = False

    def take(self, read: Callable[[bytes], Row], number: int, line: bytes, *, whole: bool) -> None:
        """One more line. The last one of a file that ends within it may be no line."""
        row = _row(read, self._name, number, line, whole=whole)
        if row is None:
            self._truncated = True
            return
        if not row.prompt_tokens or not row.output_tokens:
            self._without_output += 1
            return
        self._at_s.append(row.at_s)
        self._prompt_tokens.append(row.prompt_tokens)
        self._output_tokens.append(row.output_tokens)
        if row.hash_ids is not None:
            self._hashed = True
            numbers = self._numbers
            self._hash_ids.extend(numbers.setdefault(each, len(numbers)) for each in row.hash_ids)
        self._hash_ends.append(len(self._hash_ids))
        if len(self._at_s) > MOST_ENTRIES or len(self._hash_ids) > MOST_HASH_IDS:
            raise _error(
                self._name,
                number,
                f"is one too many: at most {MOST_ENTRIES:,} requests, {MOST_HASH_IDS:,} hash ids",
            )

    def trace(self, kind: TraceFormat) -> Trace:
        """All of it, in order of arrival. Raises `BadInputError`."""
        if not self._at_s:
            left_out = " (all lines are without output)" if self._without_output else ""
            raise BadInputError(f"trace {self._name}: holds no request{left_out}")
        at_s = np.frombuffer(self._at_s, dtype=np.float64)
        order = np.argsort(at_s, kind="stable")
        span_s = float(at_s[order[-1]] - at_s[order[0]])
        if span_s > LONGEST_SPAN_S:
            raise BadInputError(
                f"trace {self._name}: spans {span_s / 86_400:,.0f} days: its times are of two kinds"
            )
        hash_ids, hash_starts = self._hashes(order) if self._hashed else (None, None)
        return Trace(
            name=self._name,
            format=kind,
            arrival_s=at_s[order] - at_s[order[0]],
            prompt_tokens=np.array(self._prompt_tokens, dtype=np.int64)[order],
            output_tokens=np.array(self._output_tokens, dtype=np.int64)[order],
            hash_ids=hash_ids,
            hash_starts=hash_starts,
            block_tokens=mooncake.BLOCK_TOKENS if self._hashed else None,
            without_output=self._without_output,
            reordered=int(np.count_nonzero(at_s < np.maximum.accumulate(at_s))),
            truncated=self._truncated,
        )

    def _hashes(self, order: Ints) -> tuple[Ints, Ints]:
        """Hash ids and where those of each entry begin, once entries are in `order` `[n]`."""
        ids = np.array(self._hash_ids, dtype=np.int64)
        ends = np.array(self._hash_ends, dtype=np.int64)
        lengths = np.diff(ends)[order]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        # Where each id stood, less where it stands now, is the same for all of an entry.
        moved = np.repeat(ends[:-1][order] - starts[:-1], lengths)
        return ids[np.arange(len(ids)) + moved], starts


def _no_such_file(path: Path) -> BadInputError:
    return BadInputError(f"trace {clean(str(path))}: there is no such file")


def _error(name: str, number: int, reason: str) -> BadInputError:
    return BadInputError(f"trace {name}: line {number} {clean(reason)}")
