"""The served model's tokenizer as a server needs it: exact text, single tokens, chats with tools.

Built from the same files as the worker's, without torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..files.json_fields import read_json
from ..model.gguf.header import read_header
from ..model.gguf.metadata import Metadata
from ..model.gguf.tokenizer import build_tokenizer as build_gguf_tokenizer
from ..model.gguf.tokenizer import role_texts
from ..protocol.served import TokenizerSource
from ..text.chat_template import ChatMessage, ChatTemplate, read_chat_template
from ..text.special_tokens import read_special_tokens
from ..text.token_stream import TextStream
from ..text.tokenizer import CheckpointTokenizer, NumberTokenizer, VocabularyTokenizer

_TOKENIZER = "tokenizer.json"
_CONFIG = "tokenizer_config.json"
_LONGEST_NUMBER_CHARS = 4096
"""Of random weights any text is a prompt: its tokens are another model's."""


class ServedTokenizer(Protocol):
    """What routes ask of a tokenizer. Encoding and rendering may be slow: do it in a thread."""

    longest_token_chars: int

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Raises `BadInputError` for a text that it has no ids for."""
        ...

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, object]],
        variables: Mapping[str, object],
    ) -> str:
        """Raises `BadInputError` where there is no template, or it refuses the messages."""
        ...

    def decode(self, token_ids: list[int]) -> str:
        """The text of ids, special tokens included."""
        ...

    def stream(self) -> TextStream:
        """The text of generated tokens, as it is; special tokens have none."""
        ...

    def token_bytes(self, token_id: int) -> bytes: ...

    def info(self) -> dict[str, object]:
        """The fields of `tokenizer_config.json`, `chat_template` and special tokens included."""
        ...


class _Vocabulary:
    """A model's own tokenizer."""

    def __init__(self, tokenizer: VocabularyTokenizer, info: dict[str, object]) -> None:
        self._tokenizer = tokenizer
        self._info = info
        self.longest_token_chars = tokenizer.longest_token_chars
        self.decode = tokenizer.decode_exactly
        self.encode = tokenizer.encode_text
        self.stream = tokenizer.raw_stream
        self.token_bytes = tokenizer.token_bytes

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, object]],
        variables: Mapping[str, object],
    ) -> str:
        return self._tokenizer.render_chat(
            messages,
            add_generation_prompt=add_generation_prompt,
            tools=tools,
            variables=variables,
        )

    def info(self) -> dict[str, object]:
        return dict(self._info)


class _Numbers:
    """Random weights: a token is shown as its number, and a chat is its messages one by one, unless
    there is a `template`."""

    longest_token_chars = _LONGEST_NUMBER_CHARS

    def __init__(self, tokenizer: NumberTokenizer, template: ChatTemplate | None) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self.decode = tokenizer.decode
        self.stream = tokenizer.stream

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        del add_special_tokens
        return self._tokenizer.encode(text)

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, object]],
        variables: Mapping[str, object],
    ) -> str:
        if self._template is not None:
            return self._template.render(
                messages,
                add_generation_prompt=add_generation_prompt,
                tools=tools,
                variables=variables,
            )
        return "\n\n".join(message.content for message in messages)

    def token_bytes(self, token_id: int) -> bytes:
        return self._tokenizer.decode([token_id]).encode()

    def info(self) -> dict[str, object]:
        info: dict[str, object] = {"tokenizer_class": type(self._tokenizer).__name__}
        return info | {"chat_template": None if self._template is None else self._template.text}


def build_tokenizer(source: TokenizerSource, template: Path | None = None) -> ServedTokenizer:
    """Read the tokenizer at `source`; a chat template in a file takes the place of the model's.

    Raises `CheckpointError` where one of them is none.
    """
    path = Path(source.path)
    if source.kind == "gguf":
        return _of_gguf(path, source.vocabulary, template)
    if source.kind == "numbers":
        # The other model's vocabulary has its own size: its ids are folded into this one's.
        prompts = CheckpointTokenizer(path / _TOKENIZER, 2**31 - 1)
        read = None if template is None else read_chat_template(template, {})
        return _Numbers(NumberTokenizer(prompts, source.vocabulary), read)
    tokenizer = CheckpointTokenizer(path / _TOKENIZER, source.vocabulary)
    config = path / _CONFIG
    info = dict(read_json(config)) if config.is_file() else {}
    roles = read_special_tokens(path).texts
    info |= roles
    if template is not None:
        tokenizer.chat = read_chat_template(template, roles)
    return _Vocabulary(tokenizer, _with_template(info, tokenizer))


def _of_gguf(path: Path, vocabulary: int, template: Path | None) -> ServedTokenizer:
    metadata = Metadata(read_header(path).metadata, str(path))
    tokenizer = build_gguf_tokenizer(metadata, vocabulary)
    info: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    roles = role_texts(metadata)
    info |= roles
    if template is not None:
        tokenizer.chat = read_chat_template(template, roles)
    return _Vocabulary(tokenizer, _with_template(info, tokenizer))


def _with_template(info: dict[str, object], tokenizer: VocabularyTokenizer) -> dict[str, object]:
    info.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    template = tokenizer.chat
    return info | {"chat_template": None if template is None else template.text or None}
