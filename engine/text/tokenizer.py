"""Text to token ids and back: the checkpoint's own tokenizer, or none for random weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer as FastTokenizer

from ..protocol.errors import BadInputError, CheckpointError
from .chat_template import ChatMessage, ChatTemplate, load_chat_template
from .cleaning import clean
from .token_stream import StreamDecoder, TextStream
from .tokenizer_file import panics_as_errors, read_tokenizer
from .tokenizer_limits import TimedEncoder, check_file_size, check_piece_lengths
from .tokenizer_trial import try_tokenizer


class Tokenizer(Protocol):
    """What the engine asks of a tokenizer. Text that it returns is clean of control characters."""

    def encode(self, text: str) -> list[int]:
        """A plain prompt. Raises `BadInputError` for a text that it has no ids for."""
        ...

    def encode_chat(self, system: str, user: str) -> list[int]:
        """A first turn, as the model's chat template writes it down.

        Raises `BadInputError` where there is no template, or it refuses the turn.
        """
        ...

    def decode(self, token_ids: list[int]) -> str: ...

    def stream(self) -> TextStream: ...


class VocabularyTokenizer:
    """A tokenizer with a vocabulary of its own, whichever file it comes from. Plain prompts get the
    special tokens that its post-processor adds (a beginning of sequence, for most); no special
    token is shown in a text. `chat` is the model's chat template, `source` its file in errors.

    Raises `CheckpointError` where `tokenizer` has more tokens than `vocabulary`, or longer ones
    than any model has.
    """

    def __init__(
        self,
        tokenizer: FastTokenizer,
        vocabulary: int,
        chat: ChatTemplate | None,
        source: Path,
    ) -> None:
        self._tokenizer = tokenizer
        size = tokenizer.get_vocab_size(with_added_tokens=False)
        if size > vocabulary:
            raise CheckpointError(
                f"{source}: has {size} tokens, more than the model's vocabulary of {vocabulary}"
            )
        check_piece_lengths(tokenizer, source)
        self._vocabulary = vocabulary
        self._encoder = TimedEncoder(tokenizer)
        self._decoder = StreamDecoder(tokenizer, self._decode)
        self._chat = chat

    def tokens(self) -> dict[int, str]:
        """Every token by its id, as the file writes it down."""
        return {token_id: token for token, token_id in self._tokenizer.get_vocab().items()}

    def to_json(self) -> str:
        """The tokenizer as a `tokenizer.json` writes it down."""
        with panics_as_errors():
            text: str = self._tokenizer.to_str()
        return text

    def encode(self, text: str) -> list[int]:
        return self._encode(text, add_special_tokens=True)

    def encode_text(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """A text's ids, with what the post-processor adds or without. Raises `BadInputError`."""
        return self._encode(text, add_special_tokens=add_special_tokens)

    @property
    def chat(self) -> ChatTemplate | None:
        """The model's chat template."""
        return self._chat

    @chat.setter
    def chat(self, template: ChatTemplate) -> None:
        self._chat = template

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, object]] = (),
        variables: Mapping[str, object] | None = None,
    ) -> str:
        """A conversation as the model's chat template writes it down, special tokens included.

        Raises `BadInputError` where there is no template, or it refuses the messages.
        """
        return self._chat_template().render(
            messages,
            add_generation_prompt=add_generation_prompt,
            tools=tools,
            variables=variables,
        )

    def encode_chat(self, system: str, user: str) -> list[int]:
        # The template has written the special tokens already.
        text = self._chat_template().render_prompt(system, user)
        return self._encode(text, add_special_tokens=False)

    def _chat_template(self) -> ChatTemplate:
        if self._chat is None:
            raise BadInputError("the model has no chat template: give it plain prompts")
        return self._chat

    def _encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        ids = self._encoder.encode(text, add_special_tokens=add_special_tokens)
        # Of a model that sees images, the tokens that stand for them have no embedding.
        if ids and max(ids) >= self._vocabulary:
            name = clean(self._tokenizer.id_to_token(max(ids)) or "")
            raise BadInputError(f"the text has {name!r}, which is no token of this model's")
        return ids

    def decode(self, token_ids: list[int]) -> str:
        return clean(self._decode(token_ids), keep_newlines=True)

    def decode_exactly(self, token_ids: list[int]) -> str:
        """The text as it is, special tokens and control characters included."""
        with panics_as_errors():
            text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def stream(self) -> TextStream:
        return self._decoder.stream()

    def raw_stream(self) -> TextStream:
        """The same without cleaning: for a client's program, and for no terminal."""
        return self._decoder.stream(raw=True)

    def token_bytes(self, token_id: int) -> bytes:
        """What a token by itself adds to a text, as it is; of a special one its name."""
        return self._decoder.token_bytes(token_id)

    @property
    def longest_token_chars(self) -> int:
        """The length of the longest token, as the file writes it down."""
        return max(map(len, self._tokenizer.get_vocab()), default=0)

    def _decode(self, token_ids: list[int]) -> str:
        with panics_as_errors():
            text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        return text


class CheckpointTokenizer(VocabularyTokenizer):
    """A `tokenizer.json`, with the chat template beside it.

    Raises `CheckpointError` where `path` is no tokenizer, takes too long to read, or has more
    tokens than `vocabulary`.
    """

    def __init__(self, path: Path, vocabulary: int) -> None:
        if not path.is_file():
            raise CheckpointError(f"{path.parent} has no {path.name}")
        check_file_size(path)
        try_tokenizer(path)
        super().__init__(read_tokenizer(path), vocabulary, load_chat_template(path.parent), path)


class NumberTokenizer:
    """For random weights, whose tokens mean nothing: shows each token as its number.

    Prompts go through another model's tokenizer; its ids are folded into the vocabulary.
    """

    def __init__(self, prompts: Tokenizer, vocabulary: int) -> None:
        self._prompts = prompts
        self._vocabulary = vocabulary

    def encode(self, text: str) -> list[int]:
        return [token % self._vocabulary for token in self._prompts.encode(text)]

    def encode_chat(self, system: str, user: str) -> list[int]:
        """Random weights know no roles: the same text as a plain prompt."""
        return self.encode(f"{system}\n\n{user}")

    def decode(self, token_ids: list[int]) -> str:
        return "".join(map(_number, token_ids))

    def stream(self) -> TextStream:
        return _NumberStream()


class _NumberStream:
    def push(self, token_id: int) -> str:
        return _number(token_id)

    def flush(self) -> str:
        return ""


def _number(token_id: int) -> str:
    return f"#{token_id} "
