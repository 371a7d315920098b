"""Guessing by looking up: what followed the last few tokens when they came up before.

Prompt lookup decoding (Saxena 2023): texts repeat themselves and their prompts (code, quotes,
tables, names), and a lookup costs next to nothing.
"""

from collections.abc import Sequence

from .request import Request


class NgramIndex:
    """Where each n-gram of one growing text occurred last. `sizes` are tried in their order."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._indexed = 0
        self._after: dict[tuple[int, ...], int] = {}

    def propose(self, tokens: Sequence[int], most: int) -> list[int]:
        """Up to `most` tokens that may follow; none where no n-gram at the end came up before.

        A repetition that runs into the end of the text goes on from its own beginning.
        """
        self._extend(tokens)
        count = len(tokens)
        for size in self._sizes:
            place = self._after.get(tuple(tokens[-size:])) if size <= count else None
            if place is not None:
                period = count - place
                return [tokens[place + index % period] for index in range(most)]
        return []

    def _extend(self, tokens: Sequence[int]) -> None:
        """Take in the n-grams that end before the last token: those at the end are looked for."""
        after, sizes = self._after, self._sizes
        for end in range(self._indexed + 1, len(tokens)):
            for size in sizes:
                if size <= end:
                    after[tuple(tokens[end - size : end])] = end
        self._indexed = max(self._indexed, len(tokens) - 1)


class NgramDrafter:
    """Looks up n-grams of `shortest` to `longest` tokens, longest first: `Drafter`."""

    def __init__(self, shortest: int, longest: int) -> None:
        self._sizes = range(longest, shortest - 1, -1)
        self._indices: dict[int, NgramIndex] = {}

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        return [
            self._index(request).propose(request.tokens, room)
            for request, room in zip(requests, most, strict=True)
        ]

    def forget(self, request_id: int) -> None:
        self._indices.pop(request_id, None)

    def _index(self, request: Request) -> NgramIndex:
        index = self._indices.get(request.request_id)
        if index is None:
            index = self._indices[request.request_id] = NgramIndex(self._sizes)
        return index
