"""Prompts as text, about as long as a load asks: the server's own counts say how long they are."""

from dataclasses import dataclass, field

from ..load.prompts import Prompt, bundled_prompts
from ..load.sequence import Arrival
from ..load.synthetic import SyntheticPrompts

USUAL_CHARACTERS = 4.0
"""Of a token of English, until the server has said how many it counts."""


@dataclass
class TextMaker:
    """Makes the text of each request of a load: the bundled prompts, or of a trace words drawn so
    that equal blocks are equal text.

    `characters` is how many make a token with this server, as measured; `of_prompts` the same of
    single prompts by their place, which differ by a fifth. `salt` begins each text; it and what the
    server puts around a text (its template) are `around_tokens`.
    """

    seed: int = 0
    characters: float = USUAL_CHARACTERS
    salt: str = ""
    around_tokens: int = 0
    of_prompts: dict[int, float] = field(default_factory=dict)

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

    def measured_prompt(self, place: int, tokens: int) -> None:
        """The server has counted so many tokens in a prompt, with its salt and template."""
        if tokens > self.around_tokens:
            length = len(self.prompts[place].text)
            self.of_prompts[place] = length / (tokens - self.around_tokens)

    def text(self, arrival: Arrival) -> str:
        """The prompt of a request, cut or repeated to the length it is to have."""
        return f"{self.salt} {self._unsalted(arrival)}" if self.salt else self._unsalted(arrival)

    def to_count(self, place: int | None) -> str:
        """A prompt as it is, or nothing, behind other letters than the salt's: a server's cache has
        nothing of the load's prompts from having counted them."""
        text = "" if place is None else self.prompts[place].text
        return f"{self.salt[::-1]} {text}" if self.salt else text

    def _unsalted(self, arrival: Arrival) -> str:
        if arrival.synthetic is not None:
            return self._synthetic(arrival)
        if arrival.prompt_tokens is None:
            return arrival.text
        tokens = max(1, arrival.prompt_tokens - self.around_tokens)
        place = arrival.prompt_index
        characters = self.characters if place is None else self.of_prompts.get(place)
        length = max(1, round(tokens * (characters or self.characters)))
        repeated = arrival.text + " "
        return (repeated * (length // len(repeated) + 1))[:length]

    def _synthetic(self, arrival: Arrival) -> str:
        assert arrival.synthetic is not None
        words = self._drawn.make(arrival.synthetic)
        # A word is more or less than a token: as many characters as the tokens come to.
        length = max(1, round(arrival.synthetic.tokens * self.characters))
        return " ".join(self._words[each] for each in words).ljust(length)[:length]
