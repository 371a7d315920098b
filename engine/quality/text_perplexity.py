"""Perplexity by word and by byte over a whole text, as lm-eval reports it for wikitext."""

import math
import re

from torch import Tensor

from ..protocol import TextPerplexity
from .statistics import exponential


def text_perplexity(losses: Tensor, text: str) -> TextPerplexity:
    """From -ln p of every token of `text`, fp64 `[tokens]`.

    Source: lm-eval 0.4.13, `tasks/wikitext`: words are the pieces between white space of the text
    as it is written, bytes those of its UTF-8.
    """
    loss = float(losses.sum())
    words, size = len(re.split(r"\s+", text)), len(text.encode())
    return TextPerplexity(
        word=exponential(loss / words),
        byte=exponential(loss / size),
        bits_per_byte=loss / size / math.log(2),
    )
