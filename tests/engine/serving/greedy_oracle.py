"""What transformers generates greedily from the same folder: the oracle of the engine's outputs."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.generation.utils import GenerateDecoderOnlyOutput

CLEAR_MARGIN = 1e-2
"""Where the two best logits are closer than this, rounding may decide between them."""

_DRAWS = 200


@dataclass(frozen=True)
class Case:
    """A prompt and what a greedy model says to it, within `max_tokens`."""

    prompt: tuple[int, ...]
    max_tokens: int
    output: tuple[int, ...]


class GreedyOracle:
    """A checkpoint folder under transformers, in fp32."""

    def __init__(self, folder: Path) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    @property
    def vocabulary(self) -> int:
        size: int = self._model.config.vocab_size
        return size

    def case(
        self, prompt: Sequence[int], max_tokens: int, eos_token_id: int | None = None
    ) -> Case | None:
        """The greedy output; `None` where a choice in it is too close to call."""
        tokens = torch.tensor([list(prompt)])
        with torch.inference_mode():
            generated = self._model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=eos_token_id,
                pad_token_id=0,
                output_logits=True,
                return_dict_in_generate=True,
            )
        assert isinstance(generated, GenerateDecoderOnlyOutput)
        assert generated.logits is not None
        best = torch.stack([logits[0] for logits in generated.logits]).topk(2).values
        if float((best[:, 0] - best[:, 1]).min()) < CLEAR_MARGIN:
            return None
        output = generated.sequences[0, len(prompt) :].tolist()
        return Case(tuple(prompt), max_tokens, tuple(output))

    def cases(
        self, lengths: Sequence[tuple[int, int]], *, shared_prefix: int, seed: int
    ) -> list[Case]:
        """A clear case for each (prompt tokens, max tokens).

        Prompts longer than `shared_prefix` begin with the same tokens.
        """
        rng = random.Random(seed)
        prefix = [rng.randrange(self.vocabulary) for _ in range(shared_prefix)]
        return [self._draw(rng, prefix, *each) for each in lengths]

    def _draw(
        self, rng: random.Random, prefix: list[int], prompt_tokens: int, max_tokens: int
    ) -> Case:
        beginning = prefix if prompt_tokens > len(prefix) else []
        for _ in range(_DRAWS):
            rest = range(prompt_tokens - len(beginning))
            prompt = beginning + [rng.randrange(self.vocabulary) for _ in rest]
            case = self.case(prompt, max_tokens)
            if case is not None:
                return case
        raise AssertionError(f"no clear case of {prompt_tokens} and {max_tokens} tokens")
