"""What a tokenizer from outside may take: the length of its texts, and the time for a prompt."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import Decoder
from tokenizers.normalizers import Normalizer

from ..protocol.errors import BadInputError, CheckpointError
from .cleaning import clean

LARGEST_FILE_BYTES = 256 << 20
"""Vocabularies of 256,000 tokens take about 35 MB."""

LONGEST_PIECE_CHARS = 4096
"""A token stands for a word, or for a run of some hundred spaces at most."""

ENCODE_LIMIT_S = 10.0
"""A prompt takes milliseconds; a pattern that backtracks without end takes for ever."""


def check_file_size(path: Path) -> None:
    """Raise `CheckpointError` for a file that is no tokenizer's by its size alone."""
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise CheckpointError(f"{path}: larger than {LARGEST_FILE_BYTES >> 20} MiB")


def check_piece_lengths(tokenizer: FastTokenizer, path: Path) -> None:
    """Raise `CheckpointError` where a single token could become a text of any length."""
    for part in (tokenizer.get_vocab(), _texts(tokenizer.decoder), _texts(tokenizer.normalizer)):
        longest = max(map(len, part), default=0)
        if longest > LONGEST_PIECE_CHARS:
            raise CheckpointError(
                f"{path}: has a token of {longest} characters, more than {LONGEST_PIECE_CHARS}"
            )


def _texts(part: Decoder | Normalizer | None) -> list[str]:
    """The texts in a decoder's or a normalizer's settings."""
    return [] if part is None else list(_walk(json.loads(part.__getstate__())))


def _walk(values: object) -> Iterator[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, list):
        for value in values:
            yield from _walk(value)
    elif isinstance(values, dict):
        for name, value in values.items():
            # A table of Unicode's normal forms, which no text ever gets.
            if name != "precompiled_charsmap":
                yield from _walk(value)


class TimedEncoder:
    """Encodes texts in a thread of their own, and waits for them no longer than a limit."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._tokenizer = tokenizer
        self._stuck = False

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The ids of a text. What takes too long is left behind: nothing can end it.

        Raises `BadInputError` where it takes too long, and for every text from then on, and where
        the library has no ids for a text.
        """
        ids: list[int] = []
        failures: list[BaseException] = []
        done = Event()

        def work() -> None:
            try:
                # Of a batch alone the library works without Python's lock.
                (encoding,) = self._tokenizer.encode_batch(
                    [text], add_special_tokens=add_special_tokens
                )
                ids.extend(encoding.ids)
            # Of a panic in the library, too, which is no `Exception`: nobody else sees it here.
            except BaseException as error:  # noqa: BLE001
                failures.append(error)
            finally:
                done.set()

        if not self._stuck:
            Thread(target=work, name="tokenize", daemon=True).start()
            self._stuck = not done.wait(ENCODE_LIMIT_S)
        if self._stuck:
            raise BadInputError(
                f"the tokenizer takes more than {ENCODE_LIMIT_S:g} s for a text: serve another one"
            )
        if failures:
            reason = clean(str(failures[0])) or type(failures[0]).__name__
            raise BadInputError(f"the tokenizer cannot encode a text: {reason}") from failures[0]
        return ids
