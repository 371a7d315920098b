"""How good the network is: loss over a row of tokens, bits per character, samples."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from .network import Network
from .vocabulary import END_OF_TEXT_ID

BATCH_WINDOWS = 16


@dataclass(frozen=True)
class Loss:
    """Summed negative log-likelihood (nats) of `tokens` predicted tokens."""

    nats: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.nats / self.tokens

    def bits_per_char(self, chars: int) -> float:
        """Bits over the characters of the text, the cost of the document ends included."""
        return self.nats / math.log(2) / chars


@torch.inference_mode()
def loss_over(network: Network, row: np.ndarray, window: int, stride: int) -> Loss:
    """Score every token of `row` `[tokens]` but the first, each once.

    Windows of `window` tokens begin every `stride` tokens; a window scores the tokens that no
    earlier one did. With `stride == window` a token sees what its window holds before it; with
    half of it, at least `window - stride` tokens (but for the row's beginning).
    """
    device = next(network.parameters()).device
    tokens = torch.from_numpy(row.astype(np.int64)).to(device)
    inputs, targets = tokens[:-1], tokens[1:]
    full: list[int] = list(range(0, len(inputs) - window + 1, stride))
    nats = torch.zeros((), dtype=torch.float64, device=device)
    for begin in range(0, len(full), BATCH_WINDOWS):
        starts = full[begin : begin + BATCH_WINDOWS]
        losses = _token_losses(
            network,
            torch.stack([inputs[start : start + window] for start in starts]),
            torch.stack([targets[start : start + window] for start in starts]),
        )
        if begin == 0:
            nats += losses[0, : window - stride].double().sum()
        nats += losses[:, window - stride :].double().sum()
    scored = full[-1] + window if full else 0
    if scored < len(inputs):
        start = max(0, len(inputs) - window)
        losses = _token_losses(network, inputs[None, start:], targets[None, start:])
        nats += losses[0, scored - start :].double().sum()
    return Loss(float(nats), len(inputs))


def _token_losses(network: Network, inputs: Tensor, targets: Tensor) -> Tensor:
    logits = network(inputs).float().flatten(0, 1)
    return F.cross_entropy(logits, targets.flatten(), reduction="none").view_as(targets)


@torch.inference_mode()
def sample(
    network: Network,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> str:
    """Continue `prompt` from a document's beginning; stop at the document's end."""
    device = next(network.parameters()).device
    generator = torch.Generator(device="cpu").manual_seed(seed)
    ids = [END_OF_TEXT_ID, *tokenizer.encode(prompt, add_special_tokens=False).ids]
    began = len(ids)
    for _ in range(new_tokens):
        logits = network(torch.tensor([ids], device=device))[0, -1].float().cpu()
        ordered, order = (logits / temperature).softmax(-1).sort(descending=True)
        ordered[ordered.cumsum(-1) - ordered >= top_p] = 0.0
        chosen = int(order[torch.multinomial(ordered, 1, generator=generator)])
        if chosen == END_OF_TEXT_ID:
            break
        ids.append(chosen)
    return str(tokenizer.decode(ids[began:]))
