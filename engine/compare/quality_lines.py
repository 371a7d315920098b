"""The quality of precisions, from the lines that `prodtop quality --json` prints."""

import msgspec

from ..protocol import Interval, PrecisionName
from ..protocol.errors import BadInputError


class _Line(msgspec.Struct, frozen=True):
    """What is needed of a line; those of another `kind` are passed over."""

    kind: str
    precision: PrecisionName | None = None
    ratio: Interval | None = None


def retentions(content: bytes, source: str) -> dict[PrecisionName, float]:
    """The retention of each precision: the reference's perplexity over its own, 1 for the
    reference. Raises `BadInputError`, naming `source`, where the lines hold none."""
    found: dict[PrecisionName, float] = {}
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInputError(
                f"{source}:{number}: is no line of prodtop quality --json: {error}"
            ) from error
        if line.kind == "level" and line.precision is not None:
            found[line.precision] = _retention(line.ratio, f"{source}:{number}")
    if not found:
        raise BadInputError(f"{source} holds no quality of a precision: prodtop quality --json")
    return found


def _retention(ratio: Interval | None, where: str) -> float:
    if ratio is None:
        return 1.0
    if not ratio.value > 0:
        raise BadInputError(f"{where}: a ratio of perplexities must be above 0")
    return 1 / ratio.value
