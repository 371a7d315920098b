"""The text that int4 is calibrated on: the one that ships, or a file of the user's."""

from ..model.loading import BUNDLED_FOLDER
from ..protocol.errors import BadInputError
from ..text.tokenizer import Tokenizer
from .chunks import encode_text
from .text_file import scored_text

BUNDLED_CALIBRATION = "calibration.txt"
"""Excerpts of the bundled model's training text: `tools/bundled_model/calibration.py`."""
CALIBRATION_TOKENS = 512
"""Of each sequence."""
MOST_SEQUENCES = 128
"""GPTQ's own number (Frantar et al. 2022). A longer text is cut."""


def calibration_text(file: str | None, scored: str) -> str:
    """The text of a file, or with `None` the one that ships. `scored` is what is measured on.

    Raises `BadInputError` where it cannot be read, or is the text that is scored: figures from
    that would say nothing about any other.
    """
    text = scored_text(str(BUNDLED_FOLDER / BUNDLED_CALIBRATION) if file is None else file)
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
