"""Prompts as text, about as long as a load asks: the server's own counts say how long they are."""

from dataclasses import dataclass

from ..load.prompts import Prompt, bundled_prompts
from ..load.sequence import Arrival
from ..load.synthetic import SyntheticPrompts

USUAL_CHARACTERS = 4.0
"""Of a token of English, until the server has said how many it counts."""


@dataclass
class TextMaker:
    """Makes the text of each request of a load: the bundled prompts, or of a trace words drawn so
    that equal blocks are equal text.

    `characters` is how many make a token with this server, as measured; `salt` begins each text.
    """

    seed: int = 0
    characters: float = USUAL_CHARACTERS
    salt: str = ""

    def __post_init__(self) -> None:
        self.prompts: tuple[Prompt, ...] = bundled_prompts()
        texts = " ".join(prompt.text for prompt in self.prompts)
        self._words = sorted({word for word in texts.split() if word.isalpha() and word.isascii()})
        self._drawn = SyntheticPrompts(len(self._words), frozenset(), self.seed)
        self._word_characters = 1 + sum(map(len, self._words)) / len(self._words)

    def measured(self, text: str, tokens: int) -> None:
        """The server has counted so many tokens in a text."""
        if tokens > 0:
            self.characters = len(text) / tokens

    def text(self, arrival: Arrival) -> str:
        """The prompt of a request, cut or repeated to the length it is to have."""
        return f"{self.salt} {self._unsalted(arrival)}" if self.salt else self._unsalted(arrival)

    def _unsalted(self, arrival: Arrival) -> str:
        if arrival.synthetic is not None:
            return self._synthetic(arrival)
        if arrival.prompt_tokens is None:
            return arrival.text
        length = max(1, round(arrival.prompt_tokens * self.characters))
        repeated = arrival.text + " "
        return (repeated * (length // len(repeated) + 1))[:length]

    def _synthetic(self, arrival: Arrival) -> str:
        assert arrival.synthetic is not None
        words = self._drawn.make(arrival.synthetic)
        # A word is more or less than a token: as many characters as the tokens come to.
        length = max(1, round(arrival.synthetic.tokens * self.characters))
        return " ".join(self._words[each] for each in words).ljust(length)[:length]
