"""What is measured: each precision as it is served, and other ways to int4 beside it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..precision.int4_rounding import Int4Rounding, PlainInt4
from ..protocol import INT4_GROUPS, PrecisionName, QualitySpec
from ..protocol.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way of storing the layers. `name` is empty for what is served at `precision`.

    `int4` rounds in another way; `None` is what is served, or, if `calibrated`, a calibration yet
    to come, in groups of `group`.
    """

    precision: PrecisionName
    name: str = ""
    int4: Int4Rounding | None = None
    calibrated: bool = False
    group: int | None = None

    def __str__(self) -> str:
        return self.name or self.precision


def schemes_of(spec: QualitySpec) -> list[Scheme]:
    """All that is asked for, what is served first. Raises `BadInputError` for an odd group."""
    for group in spec.int4_groups:
        if group not in INT4_GROUPS:
            known = ", ".join(map(str, INT4_GROUPS))
            raise BadInputError(f"int4 groups of {group}: choose from {known}")
    served = [Scheme(precision) for precision in spec.precisions]
    return [*served, *_other_int4(spec)]


def _other_int4(spec: QualitySpec) -> Iterator[Scheme]:
    """Each method at the level's own group size and at each that was asked for."""
    for group in (None, *spec.int4_groups):
        size = "" if group is None else f" g{group}"
        if group is not None:
            yield Scheme(PrecisionName.INT4, f"int4{size}", PlainInt4(group))
        if spec.int4_rounded:
            yield Scheme(PrecisionName.INT4, f"int4 rtn{size}", PlainInt4(group, fitted=False))
        if spec.int4_calibrated:
            name = f"int4 gptq{size}"
            yield Scheme(PrecisionName.INT4, name, calibrated=True, group=group)
