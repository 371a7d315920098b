"""The text that int4 is calibrated on: the load's prompts, which ship, or a file of the user's."""

from ..load.prompts import bundled_prompts
from ..protocol.errors import BadInputError
from ..text.tokenizer import Tokenizer
from .chunks import encode_text
from .text_file import scored_text

CALIBRATION_TOKENS = 512
"""Of each sequence."""
MOST_SEQUENCES = 128
"""GPTQ's own number (Frantar et al. 2022). A longer text is cut."""


def calibration_text(file: str | None, scored: str) -> str:
    """The text of a file, or with `None` the prompts that ship. `scored` is what is measured on.

    Raises `BadInputError` where it cannot be read, or is the text that is scored: figures from
    that would say nothing about any other.
    """
    text = _prompts() if file is None else scored_text(file)
    if text.strip() in scored or scored.strip() in text:
        raise BadInputError("the calibration text is the text that is scored: give another one")
    return text


def calibration_sequences(tokenizer: Tokenizer, text: str) -> list[list[int]]:
    """Its tokens in sequences of equal length. Raises `BadInputError` where it makes none."""
    ids = encode_text(tokenizer, text)
    if len(ids) < CALIBRATION_TOKENS:
        raise BadInputError(
            f"the calibration text has {len(ids)} tokens: it needs {CALIBRATION_TOKENS} at least"
        )
    whole = min(len(ids) // CALIBRATION_TOKENS, MOST_SEQUENCES)
    starts = range(0, whole * CALIBRATION_TOKENS, CALIBRATION_TOKENS)
    return [ids[start : start + CALIBRATION_TOKENS] for start in starts]


def _prompts() -> str:
    """Every shared beginning once, with the openings that follow it."""
    parts: list[str] = []
    for prompt in sorted(bundled_prompts(), key=lambda prompt: prompt.group):
        if prompt.system not in parts:
            parts.append(prompt.system)
        parts.append(prompt.opening)
    return "\n\n".join(parts)
