"""The form as a value: what stands in it, which field is chosen, and what is being typed.

Every key press makes a new form; nothing here draws or computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...engine.planner.question.option import SERVING, Line
from ...engine.planner.question.options import FORM
from ...engine.planner.question.parsers import parse_amount

KEYS = tuple(FORM)
LONGEST = 200
"""Characters that a field takes: enough for any path."""

_FIRST = {key: line.first for key, line in FORM.items() if line.group != SERVING}
"""The first form is a 7B model on 32 GPUs. What to serve it with stays as it is."""

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "1B": _FIRST | {"model": "generic-1b", "tokens": "100B", "micro_batch": "4"},
    "7B": _FIRST,
    "70B": _FIRST
    | {
        "model": "generic-70b",
        "batch": "128",
        "tokens": "2T",
        "tp": "8",
        "pp": "2",
        "recompute": "selective",
    },
}
"""What one key sets up on 32 GPUs, by name."""


@dataclass(frozen=True, slots=True)
class Editing:
    """Text being typed into a field, with the caret before character `caret`. All of it may be
    `selected`: then what is typed takes its place, and moving the caret keeps it."""

    text: str
    caret: int
    selected: bool = False

    def typed(self, characters: str) -> "Editing":
        """With some characters at the caret; what cannot be shown on one line is left out."""
        if self.selected:
            return Editing("", 0).typed(characters)
        printable = "".join(one for one in characters if one.isprintable())
        text = (self.text[: self.caret] + printable + self.text[self.caret :])[:LONGEST]
        return Editing(text, min(self.caret + len(printable), len(text)))

    def erased(self, *, before: bool) -> "Editing":
        """Without the character before the caret, or the one at it; without what is selected."""
        if self.selected:
            return Editing("", 0)
        start = self.caret - 1 if before else self.caret
        if not 0 <= start < len(self.text):
            return self
        return Editing(self.text[:start] + self.text[start + 1 :], start)

    def moved(self, caret: int) -> "Editing":
        return Editing(self.text, min(max(0, caret), len(self.text)))


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the form, by the key of each option. `touched` is the one that was changed
    last: where several disagree, it is the one to mark."""

    texts: Mapping[str, str]
    selected: int = 0
    editing: Editing | None = None
    touched: str = ""

    @classmethod
    def initial(cls) -> "Form":
        return cls({key: line.first for key, line in FORM.items()})

    @property
    def key(self) -> str:
        """The chosen field's."""
        return KEYS[self.selected]

    @property
    def line(self) -> Line:
        """The chosen field."""
        return FORM[self.key]

    @property
    def current(self) -> Mapping[str, str]:
        """All texts, with what is being typed in its place: results follow every key."""
        if self.editing is None:
            return self.texts
        return {**self.texts, self.key: self.editing.text}

    def moved(self, steps: int) -> "Form":
        """Another field chosen; what was being typed stays."""
        form = self.committed()
        return replace(form, selected=min(max(0, form.selected + steps), len(KEYS) - 1))

    def choosing(self, key: str) -> "Form":
        """The field of that option chosen."""
        return replace(self.committed(), selected=KEYS.index(key))

    def stepped(self, direction: int) -> "Form":
        """The chosen field one step on or back; a value between steps goes to the next one."""
        text = stepped(self.line, self.texts[self.key], direction)
        return self.with_texts({self.key: text})

    def with_texts(self, texts: Mapping[str, str]) -> "Form":
        """With other values in some fields. A field that is being typed into is left."""
        touched = next(iter(texts)) if len(texts) == 1 else ""
        return replace(self, texts={**self.texts, **texts}, editing=None, touched=touched)

    def begun(self, text: str | None = None) -> "Form":
        """Typing into the chosen field: its value is selected or, with `text`, replaced."""
        editing = Editing("", 0).typed(self.texts[self.key] if text is None else text)
        if text is None:
            editing = replace(editing, selected=True)
        return replace(self, editing=editing, touched=self.key)

    def edited(self, editing: Editing) -> "Form":
        return replace(self, editing=editing)

    def committed(self) -> "Form":
        """What was typed becomes the field's value; nothing typed leaves it as it was."""
        if self.editing is None:
            return self
        text = self.editing.text.strip() or self.texts[self.key]
        return replace(self, texts={**self.texts, self.key: text}, editing=None)

    def cancelled(self) -> "Form":
        """As before the typing began."""
        return replace(self, editing=None)


def stepped(line: Line, text: str, direction: int) -> str:
    """The step after or before `text`; `text` itself at the end of the steps.

    A number that is no step goes to the nearest step in that direction, any other text to the
    field's first value.
    """
    steps = line.steps
    if text in steps:
        index = steps.index(text) + direction
        return steps[min(max(0, index), len(steps) - 1)]
    value = _number(text)
    if not line.numeric or value is None:
        return line.first
    numbers = [(number, step) for step in steps if (number := _number(step)) is not None]
    if direction > 0:
        return next((step for number, step in numbers if number > value), steps[-1])
    return next((step for number, step in reversed(numbers) if number < value), steps[0])


def _number(text: str) -> float | None:
    try:
        return parse_amount(text)
    except ValueError:
        return None
