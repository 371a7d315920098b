"""What a request wants done to its logits before a token is chosen from them."""

from dataclasses import dataclass

from ..protocol.errors import BadInputError

LARGEST_FP32 = 3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class LogitEdits:
    """Edits of one request's logits, which greedy sampling obeys, too.

    In this order: `logit_bias` (token ids in ascending order, each once) is added;
    `repetition_penalty` divides the positive and multiplies the negative logits of tokens in prompt
    or output (Keskar et al. 2019); `frequency_penalty` times its count in the output, and
    `presence_penalty` for being there at all, are taken off (OpenAI's). No stop token is chosen
    before `min_tokens` were. Of what is left over the temperature, `min_p` drops tokens with less
    than that share of the likeliest one's probability (Nguyen et al. 2024).
    """

    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    min_p: float = 0.0
    min_tokens: int = 0

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self != NO_EDITS

    @property
    def by_tokens(self) -> bool:
        """Whether they look at the tokens before: all of those must be known."""
        return bool(self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1)

    @classmethod
    def of(
        cls,
        *,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        repetition_penalty: float = 1.0,
        logit_bias: dict[int, float] | None = None,
        min_p: float = 0.0,
        min_tokens: int = 0,
    ) -> "LogitEdits":
        """Edits as a request writes them down; equal where they do the same."""
        bias = sorted((logit_bias or {}).items())
        return cls(
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            repetition_penalty=repetition_penalty,
            logit_bias=tuple((token, value) for token, value in bias if value),
            min_p=min_p,
            min_tokens=min_tokens,
        )

    def check(self, vocabulary: int) -> None:
        """Raise `BadInputError` for what is no number of fp32's, or no token of the vocabulary."""
        for name, value in (
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ):
            if not abs(value) <= LARGEST_FP32:
                raise BadInputError(f"{name} must be a number, not {value}")
        if not 1 / LARGEST_FP32 <= self.repetition_penalty <= LARGEST_FP32:
            raise BadInputError(
                f"repetition_penalty must be a number above 0, not {self.repetition_penalty}"
            )
        if not 0 <= self.min_p <= 1:
            raise BadInputError(f"min_p must be from 0 to 1, not {self.min_p}")
        if self.min_tokens < 0:
            raise BadInputError(f"min_tokens must be at least 0, not {self.min_tokens}")
        for token, value in self.logit_bias:
            if not 0 <= token < vocabulary:
                raise BadInputError(f"logit_bias has token {token}, outside 0 … {vocabulary - 1}")
            if not abs(value) <= LARGEST_FP32:
                raise BadInputError(f"logit_bias of token {token} must be a number, not {value}")


NO_EDITS = LogitEdits()
