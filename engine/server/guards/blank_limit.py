"""Shortens long rows of spaces and invisible characters, which would keep a stream held back."""

from .folding import is_blank

MOST_BLANKS = 256
"""So many in a row stay, whatever they are. Nobody writes as many, and none of them shows."""

_PIECE = MOST_BLANKS // 2


class BlankLimit:
    """Lets a text through but for blanks behind `MOST_BLANKS` in a row, however it is cut."""

    def __init__(self) -> None:
        self._row = 0

    def push(self, text: str) -> str:
        """The next piece, shortened."""
        if len(text) <= _PIECE:
            return self._shortened(text)
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return "".join(map(self._shortened, pieces))

    def _shortened(self, text: str) -> str:
        if self._row + len(text) <= MOST_BLANKS:
            blanks = 0
            while blanks < len(text) and is_blank(text[-1 - blanks]):
                blanks += 1
            self._row = self._row + blanks if blanks == len(text) else blanks
            return text
        kept: list[str] = []
        for char in text:
            self._row = self._row + 1 if is_blank(char) else 0
            if self._row <= MOST_BLANKS:
                kept.append(char)
        return "".join(kept)
