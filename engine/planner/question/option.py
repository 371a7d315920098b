"""What an option of the planner is: its name and words, how it is read, its line in the form."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from .parsers import AUTO, count, optional

TRAINING, CLUSTER, LAYOUT = "Training", "Cluster", "Layout"
SOFTWARE, SERVING = "Software", "Serving"
SEARCHED, USUAL = "searched", "the type's usual"

ANY_COUNT, ABOVE_ZERO = "a whole number from 1", "a number above 0"

Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True)
class Line:
    """An option's line in the form.

    group: the heading that it stands under. steps: what ← and → go through. first: the text that
    the form begins with. hint: what may be written. limits: which values are taken. numeric: is
    typed into at once, other lines once editing is asked for.
    """

    label: str
    group: str
    steps: tuple[str, ...]
    first: str
    hint: str
    limits: str
    unit: str
    numeric: bool


@dataclass(frozen=True)
class Option(Generic[Value_co]):
    """One thing that the planner can be asked for.

    key: its name; the command line dashes it. parse: what a text means; raises `ValueError` or
        `FieldError`. help: what it is, as a few words; `choices` are listed behind them.
    default: the text where none is given. `AUTO` stands for what follows from the rest, and `auto`
        says what that is. metavar: what the help calls the value; a flag has none.
    remedy: what to do about a refused value. line: in the form, which lacks the options without.
    """

    key: str
    parse: Callable[[str], Value_co]
    help: str
    default: str = AUTO
    auto: str = ""
    metavar: str = "N"
    choices: tuple[str, ...] = ()
    remedy: str = ""
    line: Line | None = None

    @property
    def argument(self) -> str:
        """Its name on the command line: `--node-gpus`."""
        return "--" + self.key.replace("_", "-")

    def following(self, auto: str) -> Self:
        """With what `AUTO` stands for."""
        return replace(self, auto=auto)

    def refused(self, remedy: str) -> Self:
        """With what to do about a refused value."""
        return replace(self, remedy=remedy)

    def in_form(
        self,
        label: str,
        group: str,
        steps: tuple[str, ...],
        *,
        first: str = "",
        hint: str = "",
        limits: str = ANY_COUNT,
        unit: str = "",
        numeric: bool = True,
    ) -> Self:
        """With a line in the form, which begins with the option's default and says its help unless
        told otherwise.

        limits: which values are taken, in words; empty where the hint says it.
        """
        start = first or self.default
        words = f"{self.help}; auto: {self.auto}" if start == AUTO else self.help
        line = Line(label, group, steps, start, hint or words, limits, unit, numeric)
        return replace(self, line=line)


def powers(first: int, last: int) -> tuple[str, ...]:
    """`first`, doubled up to `last`."""
    doublings = (last // first).bit_length()
    return tuple(str(first << doubling) for doubling in range(doublings))


def listed(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def up_to(most: int) -> str:
    return f"1 to {most:,}"


def left_open(
    key: str, words: str, parse: Callable[[str], Value_co], metavar: str = "N"
) -> Option[Value_co | None]:
    """What is searched unless it is given."""
    option = Option(key, optional(parse), words, auto=SEARCHED, metavar=metavar)
    return option.refused("choose another, or leave it out to have it searched")


def degree(key: str, words: str, label: str, most: int, unit: str = "") -> Option[int | None]:
    """A degree of parallelism, or another count."""
    steps = powers(1, most)
    return left_open(key, words, count()).in_form(label, LAYOUT, steps, first="1", unit=unit)


def choice(
    key: str,
    words: str,
    parse: Callable[[str], Value_co],
    choices: tuple[str, ...],
    group: str,
    first: str,
    *,
    auto: str = "",
    label: str = "",
) -> Option[Value_co]:
    """One of some words; one with `auto` may be left open, but the form begins with `first`."""
    default, way = (AUTO, ", or leave it out") if auto else (first, "")
    return (
        Option(key, parse, words, default, auto, key[0].upper(), choices)
        .refused(f"choose one of them{way}")
        .in_form(label or key, group, choices, first=first, limits=listed(choices), numeric=False)
    )
