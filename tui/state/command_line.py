"""Lines typed after `:`, such as `users 64`: what they do, and how they may go on."""

from dataclasses import dataclass

from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .actions import Outcome
from .settable import SETTABLE, Settable, Standing


@dataclass(frozen=True, slots=True)
class Hint:
    """One way for a line to go on: `line` is the whole of it, `note` what it would do."""

    line: str
    form: str
    note: str


def run_line(text: str, standing: Standing) -> Outcome:
    """What a line leads to. Raises `BadInputError`, in one line, for one that means nothing."""
    name, _, value = text.strip().removeprefix(":").partition(" ")
    if not name:
        return Outcome(standing.pending)
    settable = SETTABLE.get(name)
    if settable is None:
        near = _beginning_with(name)
        if len(near) != 1:
            among = ", ".join(near or SETTABLE)
            raise BadInputError(f"'{clean(name)}' cannot be set; there are {among}")
        settable = SETTABLE[near[0]]
    value = value.strip()
    if not value and settable.form:
        now = settable.now(standing)
        raise BadInputError(
            f"{name} {settable.form}: {settable.help}{f' Now {now}.' if now else ''}"
        )
    return settable.run(value, standing)


def hints(text: str, standing: Standing) -> list[Hint]:
    """How a line may go on, the likeliest first; none for one that no name begins with."""
    name, space, value = text.lstrip().partition(" ")
    if not space:
        return [_hint(name, SETTABLE[name], standing) for name in _beginning_with(name)]
    settable = SETTABLE.get(name)
    if settable is None:
        return []
    value = value.lstrip()
    choices = [word for word in settable.choices(standing) if word.startswith(value)]
    return [Hint(f"{name} {word}", "", settable.help) for word in choices] or [
        _hint(name, settable, standing)
    ]


def _hint(name: str, settable: Settable, standing: Standing) -> Hint:
    now = settable.now(standing)
    note = f"{settable.help} Now {now}." if now else settable.help
    return Hint(name, settable.form, note)


def _beginning_with(name: str) -> list[str]:
    return [candidate for candidate in SETTABLE if candidate.startswith(name)]


def completed(text: str, standing: Standing) -> str:
    """The line with what all ways to go on have in common, and a space after a whole name."""
    found = [hint.line for hint in hints(text, standing)]
    if not found:
        return text
    common = found[0]
    for line in found[1:]:
        while not line.startswith(common):
            common = common[:-1]
    if len(common) < len(text.lstrip()):
        return text
    whole = len(found) == 1 and " " not in common and SETTABLE[common].form
    return f"{common} " if whole else common
