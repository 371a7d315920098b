"""A comparison as JSON lines: the work, then a line for each repeat, skipped cell or failure."""

from typing import TypeVar

import msgspec

from ..protocol import CellResult
from ..protocol.errors import BadInputError
from .cells import Cell, Comparison, Measured, Work

SCHEMA_VERSION = 1

Kind = TypeVar("Kind", bound=msgspec.Struct)


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    compare_schema_version: int
    work: Work
    cells: list[Cell]


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`cell`: its number in the head."""

    cell: int
    repeat: CellResult | None = None
    skipped: str | None = None
    failure: str | None = None


def encode(comparison: Comparison) -> bytes:
    """The lines. Cells without a result are in the first alone."""
    head = _Head(
        compare_schema_version=SCHEMA_VERSION,
        work=comparison.work,
        cells=[each.cell for each in comparison.cells],
    )
    lines: list[msgspec.Struct] = [head]
    for number, each in enumerate(comparison.cells):
        lines += (_Line(cell=number, repeat=repeat) for repeat in each.repeats)
        if each.skipped is not None or each.failure is not None:
            lines.append(_Line(cell=number, skipped=each.skipped, failure=each.failure))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def decode(content: bytes, source: str) -> Comparison:
    """What `encode` wrote. Raises `BadInputError`, naming `source` and the line."""
    lines = content.splitlines()
    if not lines:
        raise BadInputError(f"{source} is empty: it holds no comparison")
    head = _decoded(lines[0], _Head, source, 1)
    if head.compare_schema_version != SCHEMA_VERSION:
        raise BadInputError(
            f"{source} has schema version {head.compare_schema_version}, and this prodtop reads"
            f" {SCHEMA_VERSION}"
        )
    results = [Measured(cell=cell) for cell in head.cells]
    if any(results[i].cell == each.cell for n, each in enumerate(results) for i in range(n)):
        raise BadInputError(f"{source}:1: a cell stands there twice")
    for number, content_line in enumerate(lines[1:], start=2):
        line = _decoded(content_line, _Line, source, number)
        if not 0 <= line.cell < len(results):
            raise BadInputError(f"{source}:{number}: there is no cell {line.cell}")
        results[line.cell] = _added(results[line.cell], line)
    return Comparison(work=head.work, cells=results)


def _added(measured: Measured, line: _Line) -> Measured:
    if line.repeat is not None:
        return msgspec.structs.replace(measured, repeats=[*measured.repeats, line.repeat])
    return msgspec.structs.replace(measured, skipped=line.skipped, failure=line.failure)


def _decoded(line: bytes, kind: type[Kind], source: str, number: int) -> Kind:
    try:
        return msgspec.json.decode(line, type=kind)
    # Beside what msgspec says: a list nested too deeply.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"{source}:{number}: is no line of a comparison: {error}") from error


def resumed(asked: Comparison, kept: Comparison, source: str) -> Comparison:
    """The cells asked for with the repeats that are kept of them; failures are tried again.

    Raises `BadInputError`, naming `source`, where `kept` did other work.
    """
    before, after = msgspec.structs.asdict(kept.work), msgspec.structs.asdict(asked.work)
    differing = [f"{name} {before[name]}" for name in before if before[name] != after[name]]
    if differing:
        raise BadInputError(
            f"{source} was measured with other settings ({', '.join(differing)}): resume with"
            " the same, or give another --out"
        )
    cells = [_resumed(each, kept.find(each.cell)) for each in asked.cells]
    return msgspec.structs.replace(asked, cells=cells)


def not_asked(asked: Comparison, kept: Comparison) -> list[Measured]:
    """The cells that are kept and not asked for."""
    wanted = [each.cell for each in asked.cells]
    return [each for each in kept.cells if each.cell not in wanted]


def _resumed(asked: Measured, kept: Measured | None) -> Measured:
    return asked if kept is None else msgspec.structs.replace(asked, repeats=kept.repeats)
