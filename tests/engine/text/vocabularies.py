"""Small tokenizers of the kinds that models have, made in a moment."""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.decoders import Decoder

LETTERS = ["▁", *map(chr, range(ord("a"), ord("z") + 1)), *"ABC.,!é😺"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level() -> Tokenizer:
    """GPT-2's kind: characters stand for bytes, and any sequence of them is a token sequence."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = ["Ġt", "he", "ðŁ", "ÃĤ", "ĊĊ"]
    vocabulary = {text: n for n, text in enumerate(["<|end|>", *alphabet, *merged])}
    merges = [(text[0], text[1]) for text in merged]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    # Their characters stand for no bytes.
    tokenizer.add_tokens([AddedToken("<tool> 日", special=False), AddedToken("💡", special=False)])
    return tokenizer


def byte_fallback(decoder: Decoder | None = None) -> Tokenizer:
    """Llama 2's kind: words with a mark for the space, and single bytes for everything else."""
    more = ["▁▁", "▁▁▁", "<0xZZ>", "<0xe4>", "a</w>"]
    texts = ["<unk>", "<s>", "</s>", *BYTES, *LETTERS, *more]
    vocabulary = {text: n for n, text in enumerate(texts)}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True, fuse_unk=True
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoder or llama_2()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def llama_2() -> Decoder:
    return decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )


def save(tokenizer: Tokenizer, folder: Path) -> Path:
    """The `tokenizer.json` that it is written to."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path
