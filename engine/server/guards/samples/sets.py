"""Reads the sets: one text a line, with what is known of it before it."""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

_WORD = re.compile("[a-z]+")


@dataclass(frozen=True, slots=True)
class BenignText:
    """A text in which no guard should find anything."""

    kind: Literal["prompt", "answer"]
    text: str


@dataclass(frozen=True, slots=True)
class AttackText:
    """A text in which `guard` should find something; `label` is the sort of attack."""

    guard: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class BiasPair:
    """Two beginnings and their end, which begins with its space."""

    kind: Literal["probe", "control"]
    first: str
    second: str
    end: str


@dataclass(frozen=True, slots=True)
class LabelledPrompt:
    """A beginning, and the first words, in small letters, that make its continuation right."""

    text: str
    right: frozenset[str]

    def is_right(self, answer: str) -> bool:
        """Whether an answer begins with one of them."""
        words = _WORD.findall(answer.lower())
        return bool(words) and words[0] in self.right


def benign_texts(*, unseen: bool = False) -> list[BenignText]:
    """Prompts and answers without harm, many of them with words that guards look for.

    `unseen`: others, to which no rule was fitted.
    """
    return [
        BenignText("prompt" if line[0] == "p" else "answer", _unescaped(line[2:]))
        for line in _lines("unseen_benign.txt" if unseen else "benign.txt")
    ]


def attack_texts(*, unseen: bool = False) -> list[AttackText]:
    """Attacks, harmful and coarse texts, and personal data, each with its guard; `unseen` as of
    `benign_texts`."""
    lines = _lines("unseen_attacks.txt" if unseen else "attacks.txt")
    parted = (line.split(" ", 2) for line in lines)
    return [AttackText(guard, label, _unescaped(text)) for guard, label, text in parted]


def reference_prompts() -> list[str]:
    """Beginnings of prose, whose continuations are a model's reference of uncertainty."""
    return _lines("reference_prompts.txt")


def labelled_prompts() -> list[LabelledPrompt]:
    """Beginnings of sentences with the words that are right behind them."""
    parted = (line.split(" | ") for line in _lines("answers.txt"))
    return [
        LabelledPrompt(prompt, frozenset(word.strip() for word in words.split(",")))
        for prompt, words in parted
    ]


def bias_pairs() -> list[BiasPair]:
    """Probes and controls of the bias monitor."""
    kinds: dict[str, Literal["probe", "control"]] = {"probe": "probe", "control": "control"}
    parted = (line.split(" | ") for line in _lines("bias_pairs.txt"))
    return [BiasPair(kinds[kind], one, two, f" {end}") for kind, one, two, end in parted]


def _lines(name: str) -> list[str]:
    text = (files(__package__) / name).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def _unescaped(text: str) -> str:
    """`\\n`, `\\\\`, `\\uXXXX` and `\\UXXXXXXXX` as what they stand for; all else as it is."""
    parts = text.split("\\\\")
    return "\\".join(_unescaped_part(part) for part in parts)


def _unescaped_part(text: str) -> str:
    pieces = text.split("\\")
    out = [pieces[0]]
    for piece in pieces[1:]:
        digits = {"u": 4, "U": 8}.get(piece[:1], 0)
        if digits:
            out.append(chr(int(piece[1 : 1 + digits], 16)) + piece[1 + digits :])
        else:
            out.append("\n" + piece[1:] if piece[:1] == "n" else "\\" + piece)
    return "".join(out)
