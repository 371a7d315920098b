"""Reads the text of one option each: raises `ValueError` or `FieldError` with the reason."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ...protocol.errors import CheckpointError
from ...shape.config_json import load_shape
from ...shape.derived import shape_from_parameters
from ...shape.field_errors import LARGEST_COUNT, FieldError
from ...shape.model_shape import ModelShape
from ...shape.presets import preset
from ...text.cleaning import clean
from ..cost.hardware import Gpu, find_gpu, load_gpus
from ..cost.layout import Recompute
from ..search.constraints import RECOMPUTES

AUTO = "auto"
"""What follows from the other options: a GPU type's usual node, the degrees that are searched."""
ALL = "all"
SERVED = "served"
"""In place of a model: the one that the engine is serving now."""

_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=str)

_AMOUNT = re.compile(r"([0-9][0-9_,]*\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?\s*([kmbgt]?)", re.I)
_DECIMAL = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def parse_amount(text: str) -> float:
    """A number from 0 on as people type it, with a decimal suffix: `4096`, `1.4T`, `15e12`.

    Raises:
        ValueError: it is no such number, or too large.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no number")
    digits, exponent, suffix = match.groups()
    value = float(digits.replace("_", "").replace(",", "") + (exponent or ""))
    value *= _DECIMAL[suffix.lower()]
    if not math.isfinite(value):
        raise ValueError("this number is too large")
    return value


def parse_whole(text: str) -> int:
    """A whole number from 0 on; `k` and `m` are powers of 1024 here, as in "a sequence of 8k".

    Raises:
        ValueError: it is none.
    """
    plain = text.strip().lower()
    for suffix, factor in (("k", 1024), ("m", 1 << 20)):
        if plain.endswith(suffix):
            value = parse_amount(plain[:-1]) * factor
            break
    else:
        value = parse_amount(plain)
    if value != int(value):
        raise ValueError(f"{text!r} is no whole number")
    return int(value)


def count(most: int = LARGEST_COUNT) -> Callable[[str], int]:
    """A parser of whole numbers from 1 to `most`, which raises `ValueError` for others."""

    def parse(text: str) -> int:
        try:
            value = parse_whole(text)
        except ValueError:
            value = 0
        if value < 1:
            raise ValueError(f"must be a positive whole number, found {text!r}")
        if value > most:
            raise ValueError(f"at most {most:,}, found {text.strip()}")
        return value

    return parse


def above_zero(text: str) -> float:
    """A finite number above 0. Raises `ValueError`."""
    try:
        value = parse_amount(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ValueError(f"must be a number above 0, found {text!r}")
    return value


def from_zero(text: str) -> float:
    """A finite number from 0 on. Raises `ValueError`."""
    return 0.0 if text.strip() in ("0", "0.0") else above_zero(text)


def optional(parse: Callable[[str], _Value]) -> Callable[[str], _Value | None]:
    """`None` for `auto`."""
    return lambda text: None if text.strip().lower() == AUTO else parse(text)


def recomputation(text: str) -> tuple[Recompute, int]:
    """`none`, `selective`, `full`, or `full/4`: in four layers of each stage."""
    kind, slash, layers = text.strip().partition("/")
    if slash and kind.strip() == "full":
        return "full", count()(layers)
    return one_of(RECOMPUTES)(text), -1


def one_of(choices: tuple[_Choice, ...]) -> Callable[[str], _Choice]:
    """A parser of some words, in any case, which raises `ValueError` for others."""

    def parse(text: str) -> _Choice:
        for choice in choices:
            if choice == text.strip().lower():
                return choice
        raise ValueError(f"unknown {text!r}, known are {', '.join(choices)}")

    return parse


def counts(most: int) -> Callable[[str], tuple[int, ...]]:
    """A parser of whole numbers from 1 to `most` between commas, each once, smallest first."""

    def parse(text: str) -> tuple[int, ...]:
        return tuple(sorted({count(most)(part) for part in text.split(",")}))

    return parse


def several(text: str) -> tuple[str, ...]:
    """The names of `a,b` or `all`, each once, in the order given."""
    return tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))


def switch(text: str) -> bool:
    """`on` or `off`."""
    return one_of(("on", "off"))(text) == "on"


def zero_stage(text: str) -> int:
    """A ZeRO stage. Raises `ValueError`."""
    if text.strip() not in ("0", "1", "2", "3"):
        raise ValueError(f"the stage is 0, 1, 2 or 3, found {text}")
    return int(text)


def shard_size(text: str) -> int:
    """Ranks that share one sharded copy; 0 for all of them. Raises `ValueError`."""
    if text.strip().lower() in (ALL, "0"):
        return 0
    try:
        return count()(text)
    except ValueError as error:
        raise ValueError("must be 0 (all) or a positive whole number") from error


def gpu_file(text: str) -> Mapping[str, Gpu]:
    """The GPU types of a TOML file of the user's own."""
    return load_gpus(Path(text).expanduser())


def parse_gpu(text: str, own: Mapping[str, Gpu]) -> Gpu:
    """A GPU type by name, or the first of a TOML file (`FILE.toml:KEY` for another).

    Raises:
        FieldError: there is no such type, or the file cannot be read.
        ValueError: the file is empty.
    """
    name, _, key = text.strip().rpartition(".toml")
    if not name:
        return find_gpu(text.strip(), own)
    listed = gpu_file(f"{name}.toml")
    if not listed:
        raise ValueError("the file has no GPU")
    return find_gpu(key.lstrip(":"), listed) if key else next(iter(listed.values()))


def parse_model(text: str, served: ModelShape | None) -> ModelShape:
    """A preset, a parameter count, a `config.json` (or its folder), or the `served` model.

    Raises:
        FieldError: it is none of them, or the file cannot be planned with.
    """
    plain = text.strip()
    if plain.lower() == SERVED:
        if served is None:
            raise FieldError("model", "no engine is serving yet")
        return served
    if plain.endswith(".json") or os.sep in plain or plain.startswith(("~", ".")):
        return _config(plain)
    try:
        parameters = parse_amount(plain)
    except ValueError:
        return preset(plain)
    return shape_from_parameters(parameters)


def _config(text: str) -> ModelShape:
    try:
        path = Path(text).expanduser()
        file = path / "config.json" if path.is_dir() else path
        changed_ns = file.stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such file"
        raise FieldError("model", f"cannot be read: {reason}") from error
    return _loaded(file, changed_ns)


@lru_cache(maxsize=8)
def _loaded(file: Path, changed_ns: int) -> ModelShape:
    """The file is read anew only when it has changed: the form is read at every key."""
    try:
        shape = load_shape(file)
        # Its name is that of a folder.
        return replace(shape, name=clean(shape.name))
    except CheckpointError as error:
        raise FieldError("model", str(error)) from error
