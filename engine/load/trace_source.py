"""The trace that a load names, read once however many loads play it."""

from functools import lru_cache
from pathlib import Path

from ..protocol import TraceSpec
from ..protocol.errors import BadInputError
from ..traces.trace import Trace
from ..traces.trace_file import read_trace


def trace_of(spec: TraceSpec) -> Trace:
    """The part of the file that `spec` asks for. Raises `BadInputError` as `read_trace` does, and
    where nothing is left."""
    path = Path(spec.path)
    try:
        status = path.stat()
    except FileNotFoundError:
        whole = read_trace(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"trace {spec.name}: cannot be read: {error}") from error
    else:
        whole = _read(path, status.st_mtime_ns, status.st_size)
    return whole.part(spec.start_s, spec.most_requests)


@lru_cache(maxsize=1)
def _read(path: Path, changed_ns: int, size_bytes: int) -> Trace:
    """The file as it was when it last changed: a bench plays it once a cell, and to warm up."""
    del changed_ns, size_bytes
    return read_trace(path)
