"""The bundled model in transformers, and what it makes of a chunk of text."""

import torch
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.quality.chunks import ScoredChunk
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel


def peer(dtype: torch.dtype) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(BUNDLED_FOLDER, dtype=dtype)
    return loaded.eval()


def log_probabilities(model: PreTrainedModel, chunk: ScoredChunk) -> Tensor:
    """fp64 `[scored, vocabulary]`, of the tokens that are scored."""
    with torch.no_grad():
        logits = model(torch.tensor([chunk.tokens])).logits[0, chunk.first - 1 : -1]
    return torch.log_softmax(logits.double(), dim=-1)
