"""The text that quality is measured on: the one that ships, or a file of the user's."""

from pathlib import Path

from ..files.bounded import read_bounded
from ..model.loading import BUNDLED_FOLDER
from ..protocol.errors import BadInputError, CheckpointError
from ..text.cleaning import clean

LARGEST_TEXT_BYTES = 64 << 20
BUNDLED_TEXT = "heldout.txt"
"""English that the bundled model was not trained on; see its model card."""


def scored_text(file: str | None) -> str:
    """The text of a file, or with `None` the one that ships.

    Raises:
        BadInputError: it is missing, no regular file, too large, empty, or not UTF-8.
    """
    path = BUNDLED_FOLDER / BUNDLED_TEXT if file is None else Path(file)
    name = clean(str(path))
    try:
        data = read_bounded(path, LARGEST_TEXT_BYTES)
    except FileNotFoundError:
        raise BadInputError(f"{name}: no such file") from None
    except CheckpointError as error:
        raise BadInputError(str(error)) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{name}: not UTF-8 text (byte {error.start}): convert it, for example with iconv"
        ) from None
    if "\x00" in text:
        raise BadInputError(f"{name}: not a text: it holds zero bytes")
    if not text.strip():
        raise BadInputError(f"{name}: the text is empty")
    return text
