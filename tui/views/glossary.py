"""The words on the screen that need a word themselves, for the help; docs/glossary.md has them all.

A test holds each text to that file.
"""

from collections.abc import Mapping

from ..drawing.line import Line, Piece, in_glyphs, line, wrapped
from ..style.glyphs import Glyphs
from ..style.inks import Ink

GLOSSARY: Mapping[str, str] = {
    "L, λW": "Little's law from both sides: the time average of requests in the system, and "
    "departure rate × mean time in it.",
    "MBU": "Memory bandwidth utilization: bytes that steps had to read ÷ time ÷ measured copy "
    "bandwidth.",
    "MFU": "Model FLOPs utilization: FLOPs of the model ÷ time ÷ matmul peak; measured peak while "
    "serving, the vendor's in plans.",
    "master copy": "The weights as the checkpoint stores them, from which every precision is "
    "packed.",
    "evictable": "A KV block that no running request holds, whose content a prefix can still hit.",
    "row": "A line of a matrix of activations `[rows, features]`: a prompt token, a decoded token "
    "or a draft. In batch figures: a sequence in one step.",
    "draft": "A guess of a token that follows the newest one, computed in the same step; by n-gram "
    "look-up or by a draft model.",
}

NAME_WIDTH = 14


def glossary_lines(width: int, glyphs: Glyphs) -> list[Line]:
    """Each word with its meaning behind it, wrapped to a width."""
    lines: list[Line] = []
    for name, meaning in GLOSSARY.items():
        rows = wrapped(in_glyphs(meaning, glyphs), width - NAME_WIDTH - 1)
        for index, row in enumerate(rows):
            word = in_glyphs(name, glyphs) if index == 0 else ""
            lines.append(line(Piece(f"  {word}".ljust(NAME_WIDTH), Ink.ACCENT), " ", row))
    return lines
