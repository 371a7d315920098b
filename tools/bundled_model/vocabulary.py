"""The tokenizer of the bundled model: byte-level BPE with 4096 entries.

Every text round-trips, since each of the 256 bytes has a token. Encoding adds no token by itself:
`add_special_tokens` makes no difference, and whoever wants a document's beginning puts
`END_OF_TEXT_ID` first. One special token both ends a document and begins the next.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY_SIZE = 4096
END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 0
CONTEXT_TOKENS = 1024
"""The context of the model where training names no other."""
ENCODE_TOGETHER = 256
"""Documents encoded in one call: more would only hold memory."""


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train the tokenizer on `texts` (Sennrich et al. 2016, Radford et al. 2019)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_documents(tokenizer: Tokenizer, documents: Sequence[str]) -> np.ndarray:
    """Return the documents as one row of token ids (uint16), each begun by `END_OF_TEXT_ID`.

    A last `END_OF_TEXT_ID` closes the row, so that every document also has its end.
    """
    rows: list[np.ndarray] = []
    for begin in range(0, len(documents), ENCODE_TOGETHER):
        texts = list(documents[begin : begin + ENCODE_TOGETHER])
        rows.extend(
            np.asarray([END_OF_TEXT_ID, *encoding.ids], dtype=np.uint16)
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        )
    rows.append(np.asarray([END_OF_TEXT_ID], dtype=np.uint16))
    return np.concatenate(rows)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json` and the `tokenizer_config.json` that `transformers` reads."""
    tokenizer.save(str(folder / "tokenizer.json"))
    write_tokenizer_config(CONTEXT_TOKENS, folder)


def write_tokenizer_config(context_tokens: int, folder: Path) -> None:
    """Write `tokenizer_config.json` for a model with this context."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_tokens,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
