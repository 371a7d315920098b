"""How uncertain the model was of an answer while it is served: flagged above a bound, counted."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...protocol.served import TokenLogprob
from .findings import Flag, Outcome
from .settings import UncertaintySettings
from .uncertainty import Uncertainty, UncertaintyReference, entropy_of_top, measure

TOP_LOGPROBS = 20
"""Of each token, for its entropy: the most that a client may ask for as well."""

NAME = "uncertainty"


@dataclass(slots=True)
class AnswerEntropy:
    """The token entropies of one answer, in nats. `told` are the logprobs that its client wants."""

    reference: UncertaintyReference | None
    above: float
    told: int | None
    entropies: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """How many logprobs of each token to ask the engine for."""
        return max(TOP_LOGPROBS, self.told or 0)

    def take(self, logprobs: list[TokenLogprob]) -> list[TokenLogprob]:
        """Take in those of some tokens; returns what their client is told of them."""
        for each in logprobs:
            self.entropies.append(entropy_of_top([logprob for _, logprob in each.top]))
        if self.told is None:
            return []
        return [
            TokenLogprob(
                token_id=each.token_id,
                logprob=each.logprob,
                rank=each.rank,
                top=each.top[: self.told],
            )
            for each in logprobs
        ]

    def uncertainty(self) -> Uncertainty | None:
        """That of the answer so far; `None` without a token."""
        return measure(self.entropies, self.reference)

    def outcome(self) -> Outcome | None:
        """What became of the answer; `None` where there is no reference of its model."""
        if self.reference is None:
            return None
        return Outcome.FLAG if self.flags() else Outcome.PASS

    def flags(self) -> list[Flag]:
        """Why it is to be looked at: its score is above the bound."""
        found = self.uncertainty()
        if found is None or found.score is None or found.score < self.above:
            return []
        return [Flag(NAME, "score")]


class UncertaintyGuard:
    """Measures answers against the reference of the model that gave them."""

    def __init__(
        self,
        settings: UncertaintySettings,
        reference_of: Callable[[str], UncertaintyReference | None],
    ) -> None:
        self._settings, self._reference_of = settings, reference_of

    def measure(self, model: str, told: int | None) -> AnswerEntropy:
        """What measures one answer of `model`."""
        return AnswerEntropy(self._reference_of(model), self._settings.above, told)
