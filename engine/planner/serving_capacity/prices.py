"""What a GPU costs an hour: settings with a date and a source, overridden by the user's own."""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from ...files.toml_text import UnreadableTomlError, parse_toml
from ...shape.field_errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for one GPU and hour, the day they were read, and where."""

    usd_per_hour: float
    date: datetime.date
    source: str

    def __post_init__(self) -> None:
        if not 0 < self.usd_per_hour < math.inf:
            raise ValueError(f"a price must be a finite number above 0, found {self.usd_per_hour}")


@cache
def packaged_prices() -> Mapping[str, Price]:
    """The prices of `prices.toml`, by GPU key."""
    text = files(__package__).joinpath("prices.toml").read_text(encoding="utf-8")
    return parse_prices(text, "prices.toml")


def parse_prices(text: str, source: str) -> Mapping[str, Price]:
    """Read prices by GPU key from TOML; raises `FieldError` for one that is missing or absurd."""
    try:
        return msgspec.convert(parse_toml(text), type=dict[str, Price])
    except (UnreadableTomlError, msgspec.ValidationError) as error:
        raise FieldError("prices", f"{source}: {error}") from error


def usd_per_million(usd_per_hour: float, tokens_s: float) -> float:
    """Cost of a million tokens at `tokens_s` on hardware of `usd_per_hour` in all."""
    return usd_per_hour / 3600 / tokens_s * 1e6
