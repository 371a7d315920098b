"""Reads one field of the form each: raises `ValueError` or `FieldError` with the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ...engine.planner.cost.calibration import Software, default_constants
from ...engine.planner.cost.hardware import Gpu, find_gpu, load_gpus
from ...engine.planner.search.constraints import MOST_GPUS, MOST_SEQUENCES
from ...engine.shape.field_errors import positive
from .fields import AUTO
from .numbers import parse_amount, parse_whole

_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=str)


def gpu(text: str) -> Gpu:
    """A GPU type by name, or the first of the user's own TOML file (`FILE:KEY` for another)."""
    name, _, key = text.strip().rpartition(".toml")
    if not name:
        return find_gpu(text.strip())
    own = load_gpus(Path(f"{name}.toml").expanduser())
    if not own:
        raise ValueError("the file has no GPU")
    return find_gpu(key.lstrip(":"), own) if key else next(iter(own.values()))


def gpus(text: str) -> int:
    """A number of GPUs; beyond a million it is a slip of the pen."""
    value = whole(text)
    if value > MOST_GPUS:
        raise ValueError(f"more than {MOST_GPUS:,} GPUs are not planned for")
    return value


def batch(text: str) -> int:
    """Sequences of the global batch."""
    value = whole(text)
    if value > MOST_SEQUENCES:
        raise ValueError(f"more than {MOST_SEQUENCES:,} sequences are not planned for")
    return value


def whole(text: str) -> int:
    """A whole number from 1 on."""
    try:
        return positive("value", parse_whole(text))
    except ValueError as error:
        raise ValueError(f"must be a whole number, found {text!r}") from error


def above_zero(text: str) -> float:
    """A number above 0."""
    try:
        value = parse_amount(text)
    except ValueError as error:
        raise ValueError(f"must be a number, found {text!r}") from error
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def optional(parse: Callable[[str], _Value]) -> Callable[[str], _Value | None]:
    """`None` for what is left to follow from the other fields."""
    return lambda text: None if text.strip().lower() == AUTO else parse(text)


def one_of(choices: tuple[_Choice, ...]) -> Callable[[str], _Choice]:
    """One of some words, in any case."""

    def parse(text: str) -> _Choice:
        for choice in choices:
            if str(choice) == text.strip().lower():
                return choice
        raise ValueError(f"one of {', '.join(map(str, choices))}")

    return parse


def zero(text: str) -> int:
    """A ZeRO stage."""
    return int(one_of(("0", "1", "2", "3"))(text))


def shard(text: str) -> int:
    """Ranks that share one sharded copy; 0 for all of them."""
    return 0 if text.strip().lower() == "all" else whole(text)


def software(text: str) -> Software:
    """A generation of training frameworks."""
    return default_constants().profile(text.strip())
