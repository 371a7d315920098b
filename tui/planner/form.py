"""The form as a value: what stands in it, which field is chosen, and what is being typed.

Every key press makes a new form; nothing here draws or computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .fields import Field, fields
from .numbers import parse_amount

LONGEST = 200
"""Characters that a field takes: enough for any path."""


@dataclass(frozen=True, slots=True)
class Editing:
    """Text being typed into a field, with the caret before character `caret`."""

    text: str
    caret: int

    def typed(self, characters: str) -> "Editing":
        """With some characters at the caret; what cannot be shown on one line is left out."""
        kept = "".join(one for one in characters if one.isprintable())
        text = (self.text[: self.caret] + kept + self.text[self.caret :])[:LONGEST]
        return Editing(text, min(self.caret + len(kept), len(text)))

    def erased(self, *, before: bool) -> "Editing":
        """Without the character before the caret, or the one at it."""
        start = self.caret - 1 if before else self.caret
        if not 0 <= start < len(self.text):
            return self
        return Editing(self.text[:start] + self.text[start + 1 :], start)

    def moved(self, caret: int) -> "Editing":
        return Editing(self.text, min(max(0, caret), len(self.text)))


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the form. `touched` is the field that was changed last: where several fields
    disagree, it is the one to mark."""

    texts: Mapping[str, str]
    selected: int = 0
    editing: Editing | None = None
    touched: str = ""

    @classmethod
    def initial(cls) -> "Form":
        return cls({field.name: field.initial for field in fields()})

    @property
    def field(self) -> Field:
        """The chosen field."""
        return fields()[self.selected]

    @property
    def current(self) -> Mapping[str, str]:
        """All texts, with what is being typed in its place: results follow every key."""
        if self.editing is None:
            return self.texts
        return {**self.texts, self.field.name: self.editing.text}

    def moved(self, steps: int) -> "Form":
        """Another field chosen; what was being typed stays."""
        kept = self.committed()
        return replace(kept, selected=min(max(0, kept.selected + steps), len(fields()) - 1))

    def choosing(self, name: str) -> "Form":
        """The field of that name chosen."""
        names = [field.name for field in fields()]
        return replace(self.committed(), selected=names.index(name))

    def stepped(self, direction: int) -> "Form":
        """The chosen field one step on or back; a value between steps goes to the next one."""
        text = stepped(self.field, self.texts[self.field.name], direction)
        return self.with_texts({self.field.name: text})

    def with_texts(self, texts: Mapping[str, str]) -> "Form":
        """With other values in some fields. A field that is being typed into is left."""
        touched = next(iter(texts)) if len(texts) == 1 else ""
        return replace(self, texts={**self.texts, **texts}, editing=None, touched=touched)

    def begun(self, text: str | None = None) -> "Form":
        """Typing into the chosen field, over its value or, with `text`, in its place."""
        start = self.texts[self.field.name] if text is None else text
        editing = Editing("", 0).typed(start)
        return replace(self, editing=editing, touched=self.field.name)

    def edited(self, editing: Editing) -> "Form":
        return replace(self, editing=editing)

    def committed(self) -> "Form":
        """What was typed becomes the field's value; nothing typed leaves it as it was."""
        if self.editing is None:
            return self
        text = self.editing.text.strip() or self.texts[self.field.name]
        return replace(self, texts={**self.texts, self.field.name: text}, editing=None)

    def cancelled(self) -> "Form":
        """As before the typing began."""
        return replace(self, editing=None)


def stepped(field: Field, text: str, direction: int) -> str:
    """The step after or before `text`; `text` itself at the end of the steps.

    A number that is no step goes to the nearest step in that direction, any other text to the
    field's first value.
    """
    steps = field.steps
    if text in steps:
        index = steps.index(text) + direction
        return steps[min(max(0, index), len(steps) - 1)]
    value = _number(text)
    if not field.numeric or value is None:
        return field.initial
    numbers = [(number, step) for step in steps if (number := _number(step)) is not None]
    if direction > 0:
        return next((step for number, step in numbers if number > value), steps[-1])
    return next((step for number, step in reversed(numbers) if number < value), steps[0])


def _number(text: str) -> float | None:
    try:
        return parse_amount(text)
    except ValueError:
        return None
