"""The trace that a load names, read once however many loads play it."""

from functools import lru_cache
from pathlib import Path

from ..files.changed import FileStamp, file_stamp
from ..protocol import TraceSpec
from ..traces.trace import Trace
from ..traces.trace_file import read_trace


def trace_of(spec: TraceSpec) -> Trace:
    """The part of the file that `spec` asks for. Raises `BadInputError` as `read_trace` does, and
    where nothing is left."""
    path = Path(spec.path)
    return _read(path, file_stamp(path)).part(spec.start_s, spec.most_requests)


@lru_cache(maxsize=1)
def _read(path: Path, stamp: FileStamp | None) -> Trace:
    """The file as it was when it last changed: a bench plays it once a cell, and to warm up."""
    del stamp
    return read_trace(path)
