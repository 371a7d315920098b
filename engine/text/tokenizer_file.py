"""Reading a `tokenizer.json` with what the files beside it add."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer

from ..protocol.errors import CheckpointError
from .cleaning import clean
from .special_tokens import read_special_tokens


def read_tokenizer(path: Path) -> FastTokenizer:
    """The tokenizer at `path`, with the tokens that its folder names, as it is for prompts.

    Raises:
        CheckpointError: it is none, or a file beside it cannot be read.
    """
    special = read_special_tokens(path.parent)
    try:
        with panics_as_errors():
            tokenizer: FastTokenizer = FastTokenizer.from_file(str(path))
            # What a training needed of it is not for prompts.
            tokenizer.no_truncation()
            tokenizer.no_padding()
            special.add_to(tokenizer)
    # The library raises a bare Exception for every malformed file.
    except Exception as error:
        raise CheckpointError(f"{path}: not a tokenizer: {clean(str(error))}") from error
    return tokenizer


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Turn a panic of the library, which is no `Exception` in Python, into a `RuntimeError`."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from error
