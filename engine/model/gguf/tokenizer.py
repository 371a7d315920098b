"""The tokenizer in a GGUF file: byte-level merges (`gpt2`), or pieces with scores (`llama`).

Of the second kind a file has no merges. As in transformers, every way to cut a piece into two
others is one, those of the piece with the highest score first: what SentencePiece's BPE merges.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, decoders, models, normalizers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.processors import TemplateProcessing

from ...protocol.errors import CheckpointError
from ...text.chat_template import LARGEST_TEMPLATE_BYTES, ChatTemplate
from ...text.cleaning import clean
from ...text.tokenizer import VocabularyTokenizer
from ...text.tokenizer_file import panics_as_errors
from ...text.tokenizer_limits import LONGEST_PIECE_CHARS
from .metadata import Metadata
from .splitting import SPLITTINGS

_HIDDEN = (2, 3)
"""Of ggml's types of tokens: the unknown one, and those of control. Never part of a shown text."""
_USER_DEFINED = 4
"""Found in a text before it is split, as those are, but text themselves."""

_LONGEST_SCORED_CHARS = 256
"""SentencePiece makes pieces of 16 characters; each is cut everywhere."""
_MOST_SCORED_CHARS = 1 << 23
"""Of all pieces together: four times those of a vocabulary of 256,000, cut in some seconds."""

_ROLES = {
    "bos_token": "bos",
    "eos_token": "eos",
    "unk_token": "unknown",
    "pad_token": "padding",
    "sep_token": "seperator",
    "cls_token": "cls",
    "mask_token": "mask",
}
"""How GGUF writes the roles of tokens that a chat template may name."""

_KEY = "tokenizer.ggml."


def build_tokenizer(metadata: Metadata, vocabulary: int) -> VocabularyTokenizer:
    """The tokenizer that the metadata describes, for a model of `vocabulary` tokens.

    Raises:
        CheckpointError: it is of another kind, damaged, or has more tokens than the model.
    """
    tokens = metadata.texts(f"{_KEY}tokens") or []
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        raise metadata.error(f"`{_KEY}tokens` has a token twice")
    if max(map(len, tokens), default=0) > LONGEST_PIECE_CHARS:
        raise metadata.error(f"has a token of more than {LONGEST_PIECE_CHARS} characters")
    roles = _roles(metadata, tokens)
    # The library raises a bare Exception for what it cannot build.
    try:
        with panics_as_errors():
            tokenizer = _build(metadata, tokens, ids)
            _add_special_tokens(tokenizer, metadata, tokens, roles)
            _frame_prompts(tokenizer, metadata, ids, roles)
    except CheckpointError:
        raise
    except Exception as error:
        raise metadata.error(f"its tokenizer cannot be built: {clean(str(error))}") from error
    chat = _chat_template(metadata, roles)
    return VocabularyTokenizer(tokenizer, vocabulary, chat, Path(metadata.source))


def _build(metadata: Metadata, tokens: list[str], ids: dict[str, int]) -> FastTokenizer:
    kind = metadata.text(f"{_KEY}model", "")
    if kind == "gpt2":
        return _byte_level(metadata, ids)
    if kind == "llama":
        return _scored(metadata, tokens, ids)
    raise metadata.error(f"a tokenizer of the kind {clean(kind)[:60]!r} is not read (gpt2, llama)")


def _byte_level(metadata: Metadata, ids: dict[str, int]) -> FastTokenizer:
    name = metadata.text(f"{_KEY}pre", "")
    if name not in SPLITTINGS:
        raise metadata.error(
            f"`{_KEY}pre` is {clean(name)[:60]!r}: how it splits a text is not known here "
            f"(known: {', '.join(SPLITTINGS)})"
        )
    splitting = SPLITTINGS[name]
    if metadata.flag(f"{_KEY}add_space_prefix"):
        raise metadata.error(f"`{_KEY}add_space_prefix` is not supported for byte-level tokens")
    merges = []
    for merge in metadata.texts(f"{_KEY}merges") or []:
        # A space is no character of a byte-level token; the first could only be part of one.
        left, _, right = merge.partition(" ")
        merges.append((left, right))
    tokenizer = FastTokenizer(
        models.BPE(vocab=ids, merges=merges, ignore_merges=splitting.whole_words)
    )
    if splitting.normalizer is not None:
        tokenizer.normalizer = splitting.normalizer()
    tokenizer.pre_tokenizer = splitting.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _scored(metadata: Metadata, tokens: list[str], ids: dict[str, int]) -> FastTokenizer:
    scores = metadata.floats(f"{_KEY}scores")
    if scores is None or len(scores) != len(tokens):
        raise metadata.error(f"`{_KEY}scores` must have a number for each token")
    unknown = _token_id(metadata, "unknown", len(tokens))
    tokenizer = FastTokenizer(
        models.BPE(
            vocab=ids,
            merges=_merges(metadata, ids, scores),
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefixed = metadata.flag(f"{_KEY}add_space_prefix", True)
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefixed else spaces
    )
    stages = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefixed:
        stages.append(decoders.Strip(content=" ", left=1, right=0))
    tokenizer.decoder = decoders.Sequence(stages)
    return tokenizer


def _merges(
    metadata: Metadata, ids: Mapping[str, int], scores: Sequence[float]
) -> list[tuple[str, str]]:
    if max(map(len, ids)) > _LONGEST_SCORED_CHARS:
        raise metadata.error(f"has a piece of more than {_LONGEST_SCORED_CHARS} characters")
    if sum(map(len, ids)) > _MOST_SCORED_CHARS:
        raise metadata.error(f"its tokens have more than {_MOST_SCORED_CHARS} characters together")
    if not all(score == score for score in scores):
        raise metadata.error(f"`{_KEY}scores` has one that is no number")

    def cuts() -> Iterator[tuple[float, int, int, str, str]]:
        for piece, token_id in ids.items():
            for cut in range(1, len(piece)):
                left, right = piece[:cut], piece[cut:]
                if left in ids and right in ids:
                    yield -scores[token_id], ids[left], ids[right], left, right

    return [(left, right) for *_, left, right in sorted(cuts())]


def role_texts(metadata: Metadata) -> dict[str, str]:
    """The texts of the tokens that have a role, by its name in transformers (`eos_token`).

    Raises:
        CheckpointError: a role is given to what is no token.
    """
    return _roles(metadata, metadata.texts(f"{_KEY}tokens") or [])


def _token_id(metadata: Metadata, name: str, tokens: int) -> int | None:
    """The id of the token in the role `name`; `None` where the file names none."""
    key = f"{_KEY}{name}_token_id"
    if not metadata.has(key):
        return None
    number = metadata.number(key)
    if number != int(number) or not 0 <= number < tokens:
        raise metadata.error(f"`{key}` is {number:g}, which is no token's")
    return int(number)


def _roles(metadata: Metadata, tokens: Sequence[str]) -> dict[str, str]:
    """The texts of the tokens that have a role."""
    roles = {role: _token_id(metadata, name, len(tokens)) for role, name in _ROLES.items()}
    return {role: tokens[token_id] for role, token_id in roles.items() if token_id is not None}


def _add_special_tokens(
    tokenizer: FastTokenizer,
    metadata: Metadata,
    tokens: Sequence[str],
    roles: Mapping[str, str],
) -> None:
    """Have what is no plain token found as a whole; those of control are never shown."""
    kinds = metadata.integers(f"{_KEY}token_type") or []
    if kinds and len(kinds) != len(tokens):
        raise metadata.error(f"`{_KEY}token_type` must have a number for each token")
    special = {text for text, kind in zip(tokens, kinds, strict=False) if kind in _HIDDEN}
    # Beside those, a file may give roles that nothing uses to plain tokens (padding: "!").
    special |= {roles[role] for role in ("bos_token", "eos_token") if role in roles}
    user = [text for text, kind in zip(tokens, kinds, strict=False) if kind == _USER_DEFINED]
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False) for text in user if text not in special]
    )
    # In the order of their ids.
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False) for text in tokens if text in special]
    )


def _frame_prompts(
    tokenizer: FastTokenizer, metadata: Metadata, ids: Mapping[str, int], roles: Mapping[str, str]
) -> None:
    """Begin and end plain prompts as the file says, or as its kind of tokenizer does."""
    scored = metadata.text(f"{_KEY}model", "") == "llama"
    splitting = SPLITTINGS.get(metadata.text(f"{_KEY}pre", ""))
    by_kind = scored or (splitting is not None and splitting.bos)
    begins = metadata.flag(f"{_KEY}add_bos_token", by_kind and "bos_token" in roles)
    ends = metadata.flag(f"{_KEY}add_eos_token")
    frame: list[str] = []
    for wanted, role in ((begins, "bos_token"), (ends, "eos_token")):
        if wanted and role not in roles:
            raise metadata.error(f"asks for a token at each prompt's end or begin, but no {role}")
    if begins:
        frame.append(roles["bos_token"])
    parts = [*frame, "$A", *([roles["eos_token"]] if ends else [])]
    if len(parts) > 1:
        used = [part for part in parts if part != "$A"]
        tokenizer.post_processor = TemplateProcessing(
            single=parts, special_tokens=[(text, ids[text]) for text in dict.fromkeys(used)]
        )


def _chat_template(metadata: Metadata, roles: Mapping[str, str]) -> ChatTemplate | None:
    """The template of the file; what is wrong with it is told when it is used."""
    key = "tokenizer.chat_template"
    template = metadata.get(key)
    if template is None:
        return None
    problem = None
    if not isinstance(template, str):
        problem = metadata.error(f"`{key}` must be a text")
    elif len(template.encode()) > LARGEST_TEMPLATE_BYTES:
        problem = metadata.error(f"`{key}` is larger than {LARGEST_TEMPLATE_BYTES >> 20} MiB")
    text = "" if problem is not None or not isinstance(template, str) else template
    return ChatTemplate(text, roles, metadata.source, problem)
