"""Tokens that the files beside `tokenizer.json` name, read and added as `transformers` does it.

Where `tokenizer_config.json` has `added_tokens_decoder` (written since transformers 4.34), it is
the whole truth; in older folders `special_tokens_map.json` and `added_tokens.json` come on top.
`add_bos_token` and `add_eos_token` count for folders without a `tokenizer.json` alone.
"""

from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import AddedToken
from tokenizers import Tokenizer as FastTokenizer

from ..files.json_fields import Fields, read_json
from ..protocol.errors import CheckpointError

NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
"""The roles that every tokenizer may give a token; a model may have others, `…_token` as well."""

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What the files name. `texts` are those of roles, for a chat template."""

    texts: dict[str, str]
    added: list[AddedToken] = field(default_factory=list)
    """Tokens that `tokenizer.json` may lack, in the order of their ids."""
    special: list[AddedToken] = field(default_factory=list)
    """Those of a role: never part of a text that is shown."""
    split: bool = False
    """Whether the names of special tokens within a text are text."""

    def add_to(self, tokenizer: FastTokenizer) -> None:
        """Add what `tokenizer` lacks. New ones get the next free ids, whatever the files say."""
        present = set(map(repr, tokenizer.get_added_tokens_decoder().values()))
        tokenizer.add_tokens([token for token in self.added if repr(token) not in present])
        contents = {t.content for t in tokenizer.get_added_tokens_decoder().values()}
        tokenizer.add_tokens([token for token in self.special if token.content not in contents])
        tokenizer.add_special_tokens(self.special)
        tokenizer.encode_special_tokens = self.split


def read_special_tokens(folder: Path) -> SpecialTokens:
    """What the files of a checkpoint folder name.

    Raises `CheckpointError` for a file that cannot be read, or a token that is none.
    """
    path = folder / "tokenizer_config.json"
    config = Fields(read_json(path) if path.is_file() else {}, str(path))
    decoder = config.get("added_tokens_decoder")
    if decoder is None:
        named, added, extra = _older_files(folder, config)
    else:
        named, added, extra = _named(config), _by_id(config), _extra(config)
    by_content = {token.content: token for token in added}
    roles = {
        name: token if isinstance(token, AddedToken) else by_content.get(token, token)
        for name, token in named.items()
    }
    special = [_special(token) for token in [*roles.values(), *extra]]
    return SpecialTokens(
        texts={name: _content(token) for name, token in roles.items()},
        added=added,
        special=special,
        split=config.flag("split_special_tokens"),
    )


def _named(fields: Fields) -> dict[str, str | AddedToken]:
    """Tokens of roles: the usual ones first, then the model's own."""
    own = [name for name in fields.names() if name.endswith("_token") and name not in NAMES]
    tokens: dict[str, str | AddedToken] = {}
    for name in (*NAMES, *own):
        value = fields.get(name)
        if isinstance(value, str | dict):
            tokens[name] = _token(value, fields, name)
        elif name in NAMES and value is not None:
            raise fields.error(f"`{name}` must be a text or a token")
    extra = fields.get("extra_special_tokens")
    if isinstance(extra, dict):
        tokens |= {str(name): _token(value, fields, name) for name, value in extra.items()}
    return tokens


def _by_id(config: Fields) -> list[AddedToken]:
    """The tokens of `added_tokens_decoder`."""
    table = config.get("added_tokens_decoder")
    if not isinstance(table, dict) or not all(str(key).isdecimal() for key in table):
        raise config.error("`added_tokens_decoder` must map ids to tokens")
    tokens = [_token(table[key], config, str(key)) for key in sorted(table, key=int)]
    if not all(isinstance(token, AddedToken) for token in tokens):
        raise config.error("`added_tokens_decoder` must hold tables")
    return [token for token in tokens if isinstance(token, AddedToken)]


def _older_files(
    folder: Path, config: Fields
) -> tuple[dict[str, str | AddedToken], list[AddedToken], list[str | AddedToken]]:
    """As `special_tokens_map.json`, which comes before the config, and `added_tokens.json` say."""
    path = folder / "special_tokens_map.json"
    fields = Fields(read_json(path) if path.is_file() else {}, str(path))
    named = _named(config) | {
        name: token if isinstance(token, str) else _special(token)
        for name, token in _named(fields).items()
    }
    path = folder / "added_tokens.json"
    ids = read_json(path) if path.is_file() else {}
    if not all(isinstance(number, int) for number in ids.values()):
        raise CheckpointError(f"{path}: must map tokens to ids")
    special = set(map(_content, named.values()))
    added = [
        AddedToken(text, normalized=text not in special, special=text in special)
        for text in sorted(ids, key=lambda text: (int(str(ids[text])), text))
    ]
    return named, added, [*_extra(config), *_extra(fields)]


def _token(value: object, fields: Fields, name: str) -> str | AddedToken:
    """A text, or a table with its `content` and flags."""
    if isinstance(value, str):
        return value
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(content, str):
        raise fields.error(f"`{name}` must be a text or a table with a `content`")
    flags = {flag: bool(value[flag]) for flag in _FLAGS if flag in value}
    return AddedToken(content, **flags)


def _extra(fields: Fields) -> list[str | AddedToken]:
    """Special tokens without a role; those in a table have one each."""
    values = fields.get("extra_special_tokens") or fields.get("additional_special_tokens")
    if values is None or isinstance(values, dict):
        return []
    if not isinstance(values, list):
        raise fields.error("`extra_special_tokens` must be a list")
    return [_token(value, fields, "extra_special_tokens") for value in values]


def _special(token: str | AddedToken) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, special=True, normalized=False)
    return AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=True,
    )


def _content(token: str | AddedToken) -> str:
    text: str = token if isinstance(token, str) else token.content
    return text
