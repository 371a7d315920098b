"""Reads lists of words and patterns that an operator edits.

A TOML file holds rules: words, patterns, or both, with a severity and an action each. A text file
holds one word or phrase a line, all under the rule of the file's name; `#` begins a comment.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from ...files.bounded import read_bounded
from ...files.toml_text import UnreadableTomlError, decode_toml_text, parse_toml
from ...protocol.errors import BadInputError
from ...text.cleaning import clean
from .findings import ActionName, Rule, Severity
from .folding import FOLDED
from .literals import Word
from .pattern_syntax import PatternError, read_pattern
from .patterns import PatternRule

LARGEST_LIST_BYTES = 4 << 20
MOST_WORD_CHARS = 256
"""A stream holds a text back for as long as it may become a word of a list."""

BUNDLED = "bundled:"
"""Before the name of a list that ships: `bundled:injection`."""


class WordListError(BadInputError):
    """A list that cannot be used: says which file, which rule, and why."""


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    severity: Severity = "medium"
    action: ActionName | None = None
    words: list[str] = []
    patterns: list[str] = []
    inside: bool = False
    label: str = "[REDACTED]"


class _List(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rules: list[_Rule]


@dataclass(frozen=True, slots=True)
class RuleList:
    """What a list looks for."""

    words: tuple[Word, ...]
    patterns: tuple[PatternRule, ...]


def read_list(
    name: str,
    folder: Path,
    actions: dict[Severity, ActionName | None],
    severity: Severity = "medium",
) -> RuleList:
    """Read the list `name`: one that ships, or a file, sought from `folder`.

    A rule without an action has that of its severity in `actions`; where that is none, it is left
    out. `severity` is that of a text file's words. Raises `WordListError`.
    """
    if name.startswith(BUNDLED):
        text = _bundled(name)
        return _read_toml(text, name, actions)
    path = folder / Path(name).expanduser()
    try:
        text = decode_toml_text(read_bounded(path, LARGEST_LIST_BYTES))
    except FileNotFoundError:
        raise WordListError(f"{name}: no such list") from None
    except UnreadableTomlError as error:
        raise WordListError(f"{name}: {error}") from None
    if path.suffix == ".toml":
        return _read_toml(text, name, actions)
    rule = _Rule(name=path.stem, severity=severity, words=_lines(text))
    return _compiled(_List(rules=[rule]), name, actions)


def _bundled(name: str) -> str:
    stem = name.removeprefix(BUNDLED)
    try:
        if stem.isidentifier():
            return files(f"{__package__}.lists").joinpath(f"{stem}.toml").read_text("utf-8")
    except FileNotFoundError:
        pass
    raise WordListError(f"{clean(name)}: no such list ships")


def _lines(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _read_toml(text: str, name: str, actions: dict[Severity, ActionName | None]) -> RuleList:
    try:
        rules = msgspec.convert(parse_toml(text), _List)
    except UnreadableTomlError as error:
        raise WordListError(f"{name}: {clean(str(error))}") from None
    except msgspec.ValidationError as error:
        raise WordListError(f"{name}: {clean(str(error))}") from None
    return _compiled(rules, name, actions)


def _compiled(rules: _List, name: str, actions: dict[Severity, ActionName | None]) -> RuleList:
    words: list[Word] = []
    patterns: list[PatternRule] = []
    for given in rules.rules:
        action = given.action or actions[given.severity]
        if action is None:
            continue
        rule = Rule(given.name, given.severity, action, given.label)
        words += [_word(text, rule, given, name) for text in given.words]
        patterns += [_pattern(text, rule, name) for text in given.patterns]
    return RuleList(tuple(words), tuple(patterns))


def _word(text: str, rule: Rule, given: _Rule, name: str) -> Word:
    if not text.strip() or len(text) > MOST_WORD_CHARS:
        where = f"{name}: rule {clean(rule.name)}"
        raise WordListError(f"{where}: a word has 1 to {MOST_WORD_CHARS} characters")
    return Word(rule, text, given.inside)


def _pattern(text: str, rule: Rule, name: str) -> PatternRule:
    try:
        # Texts are read folded, and so must be the letters that are looked for in them.
        folded = "".join(char if char.isascii() else FOLDED[ord(char)] for char in text)
        return PatternRule(rule, read_pattern(folded))
    except PatternError as error:
        shown = clean(text if len(text) <= 60 else f"{text[:60]}…")
        where = f"{name}: rule {clean(rule.name)}: pattern {shown}"
        raise WordListError(f"{where}: {error}") from None
