"""How a byte-level tokenizer splits a text before it merges, by the name that GGUF files give it.

The file names only the kind (`tokenizer.ggml.pre`); the patterns are those of the `tokenizer.json`
files that the kinds come from. Each pattern runs in time linear in the text.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"

_LLAMA_3 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN_2 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _pattern(regex: str) -> PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _gpt_2() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def _single_digits() -> PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt_2()])


@dataclass(frozen=True, slots=True)
class Splitting:
    """`whole_words`: a word that is a token is taken as it is, whatever merges lead to it.

    `bos`: prompts begin with the beginning of a sequence where the file does not say.
    """

    pre_tokenizer: Callable[[], PreTokenizer]
    normalizer: Callable[[], Normalizer] | None = None
    whole_words: bool = False
    bos: bool = False


_OF_LLAMA_3 = Splitting(lambda: _pattern(_LLAMA_3), whole_words=True, bos=True)
_OF_QWEN_2 = Splitting(lambda: _pattern(_QWEN_2), normalizer=normalizers.NFC)

SPLITTINGS = {
    "gpt-2": Splitting(_gpt_2),
    "smollm": Splitting(_single_digits),
    "starcoder": Splitting(_single_digits),
    "refact": Splitting(_single_digits),
    "llama-bpe": _OF_LLAMA_3,
    "llama3": _OF_LLAMA_3,
    "llama-v3": _OF_LLAMA_3,
    "smaug-bpe": Splitting(lambda: _pattern(_LLAMA_3)),
    "qwen2": _OF_QWEN_2,
    "deepseek-r1-qwen": Splitting(_OF_QWEN_2.pre_tokenizer),
    "tekken": Splitting(lambda: _pattern(_TEKKEN), whole_words=True, bos=True),
}
"""By `tokenizer.ggml.pre`."""
