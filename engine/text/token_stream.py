"""Text of token ids as they come, equal to what `tokenizers` decodes of all of them at once.

`tokenizers` decodes a whole sequence through a chain of decoders. Here the same chain is a chain of
stages that pass on each text as soon as no later token can change it: bytes of a character wait for
its last one, and single-byte tokens (`<0x0A>`) for the end of their run, because one that is no
UTF-8 turns its whole run into replacement characters.
"""

import json
import re
from codecs import utf_8_decode
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from tokenizers import Tokenizer as FastTokenizer

from .cleaning import clean

REPLACEMENT_CHARACTER = "\ufffd"

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")

Form = TypeVar("Form")


class TextStream(Protocol):
    """One sequence's text, token by token."""

    def push(self, token_id: int) -> str:
        """The text that became certain with this token; empty while a later one may change it."""
        ...

    def flush(self) -> str:
        """What is left when no token follows."""
        ...


class StreamDecoder:
    """Makes the text streams of a tokenizer. `decode` gives the text of a whole sequence, for
    decoders that are not known here: their streams have no text before the end."""

    def __init__(self, tokenizer: FastTokenizer, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        added = tokenizer.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}

        def text_of(token_id: int) -> str | None:
            text: str | None = tokenizer.id_to_token(token_id)
            return None if text in special else text

        self._stages = _stages_of(tokenizer)
        self._texts = _ByToken(text_of)
        self._bytes = _ByToken(lambda token_id: _token_bytes(text_of(token_id) or ""))
        self._pieces = _ByToken(lambda token_id: self._piece(tokenizer, token_id))

    def stream(self, *, raw: bool = False) -> TextStream:
        """The stream of one sequence, clean of control characters, or `raw`: for a client's
        program, and for no terminal."""
        shown = _as_it_is if raw else _clean
        if self._stages is None:
            return _WholeText(self._decode, shown)
        if self._stages == [_ByteLevel]:
            return _ByteStream(self._bytes, shown)
        return _TokenStream([make() for make in self._stages], self._texts, shown)

    def token_bytes(self, token_id: int) -> bytes:
        """What a token by itself adds to a text, as it is; of a special one its name."""
        return self._pieces[token_id]

    def _piece(self, tokenizer: FastTokenizer, token_id: int) -> bytes:
        name = tokenizer.id_to_token(token_id) or ""
        text = self._texts[token_id]
        if text is None:
            return name.encode("utf-8", "replace")
        if self._stages is None:
            return self._decode([token_id]).encode("utf-8", "replace")
        if self._stages == [_ByteLevel]:
            return self._bytes[token_id]
        byte = _BYTE_TOKEN.fullmatch(text) if _ByteFallback in self._stages else None
        if byte is not None:
            return bytes([int(byte[1], 16)])
        # Within a text: at its start a decoder may strip a space, at its end leave one away.
        makers = self._stages
        after, whole = (
            _run([make() for make in makers], tokens).removeprefix("x")
            for tokens in (["x", "x"], ["x", text, "x"])
        )
        return whole.removesuffix(after).encode("utf-8", "replace")


class _ByToken(dict[int, Form], Generic[Form]):
    """What is made of each token, made once. An id that is not shown has no text."""

    def __init__(self, make: Callable[[int], Form]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, token_id: int) -> Form:
        form = self[token_id] = self._make(token_id)
        return form


class _ByteStream:
    """A byte-level vocabulary alone, which most models have, without the detour of stages."""

    def __init__(self, bytes_of: Mapping[int, bytes], shown: Callable[[str], str]) -> None:
        self._bytes_of = bytes_of
        self._shown = shown
        self._rest = b""

    def push(self, token_id: int) -> str:
        data = self._rest + self._bytes_of[token_id]
        text, used = utf_8_decode(data, "replace", False)
        self._rest = data[used:]
        return self._shown(text)

    def flush(self) -> str:
        rest, self._rest = self._rest, b""
        return self._shown(rest.decode("utf-8", "replace"))


class _TokenStream:
    """A chain of stages."""

    def __init__(
        self,
        stages: Sequence["Stage"],
        texts: Mapping[int, str | None],
        shown: Callable[[str], str],
    ) -> None:
        self._stages = stages
        self._texts = texts
        self._shown = shown

    def push(self, token_id: int) -> str:
        text = self._texts[token_id]
        if text is None:
            return ""
        tokens = [text]
        for stage in self._stages:
            tokens = stage.push(tokens)
        return self._shown("".join(tokens))

    def flush(self) -> str:
        return self._shown(_run(self._stages, []))


class _WholeText:
    """A sequence whose text is known at its end alone."""

    def __init__(self, decode: Callable[[list[int]], str], shown: Callable[[str], str]) -> None:
        self._decode = decode
        self._shown = shown
        self._token_ids: list[int] = []

    def push(self, token_id: int) -> str:
        self._token_ids.append(token_id)
        return ""

    def flush(self) -> str:
        token_ids, self._token_ids = self._token_ids, []
        return self._shown(self._decode(token_ids))


def _clean(text: str) -> str:
    return clean(text, keep_newlines=True)


def _as_it_is(text: str) -> str:
    return text


class Stage(Protocol):
    """One decoder of a chain: texts of tokens in, texts of tokens out."""

    def push(self, tokens: Sequence[str]) -> list[str]: ...

    def finish(self) -> list[str]:
        """What was kept back, when no token follows."""
        ...


def _run(stages: Sequence[Stage], tokens: list[str]) -> str:
    """The last tokens of a sequence through a chain, to its end."""
    for stage in stages:
        tokens = [*stage.push(tokens), *stage.finish()]
    return "".join(tokens)


def _stages_of(tokenizer: FastTokenizer) -> list[Callable[[], Stage]] | None:
    """What makes the stages of a tokenizer's decoder; `None` where one of them is not known."""
    if tokenizer.decoder is None:
        return [_Spaced]
    stages: list[Callable[[], Stage]] = []
    fused = False
    for values in _flat(json.loads(tokenizer.decoder.__getstate__())):
        if values.get("type") == "Fuse":
            fused = True
            continue
        stage = _stage(values, fused)
        if stage is None:
            return None
        stages.append(stage)
        fused = fused or stage is _ByteLevel
    return stages


def _flat(values: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The decoders of a chain, chains within it included."""
    decoders = values.get("decoders")
    if values.get("type") != "Sequence" or not isinstance(decoders, list):
        return [values]
    return [flat for decoder in decoders for flat in _flat(decoder)]


def _stage(values: Mapping[str, object], fused: bool) -> Callable[[], Stage] | None:
    """What makes one decoder's stage. After `fused`, all that comes is parts of one token."""
    match values:
        case {"type": "ByteLevel"} if not fused:
            return _ByteLevel
        case {"type": "ByteFallback"} if not fused:
            return _ByteFallback
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)} if old and (
            len(old) == 1 or not fused
        ):
            return lambda: _EachToken(lambda token, _: token.replace(old, new))
        case {"type": "Metaspace", "replacement": str(mark), "prepend_scheme": scheme} if not fused:
            first = " " if scheme == "never" else ""
            return lambda: _EachToken(lambda token, n: token.replace(mark, " " if n else first))
        case {"type": "Strip", "content": str(char), "start": int(start), "stop": 0}:
            if fused:
                return lambda: _StripStart(char, start)
            return lambda: _EachToken(lambda token, _: _strip_start(token, char, start))
        case {"type": "BPEDecoder", "suffix": str(suffix)} if not fused and suffix:
            return lambda: _WordEnds(suffix)
    return None


class _EachToken:
    """Changes each token by itself; `change` gets its text and its number in the sequence."""

    def __init__(self, change: Callable[[str, int], str]) -> None:
        self._change = change
        self._number = 0

    def push(self, tokens: Sequence[str]) -> list[str]:
        changed = [self._change(token, self._number + n) for n, token in enumerate(tokens)]
        self._number += len(tokens)
        return changed

    def finish(self) -> list[str]:
        return []


class _Spaced:
    """Without a decoder, `tokenizers` puts a space between tokens."""

    def __init__(self) -> None:
        self._begun = False

    def push(self, tokens: Sequence[str]) -> list[str]:
        spaced = []
        for token in tokens:
            spaced.append(f" {token}" if self._begun else token)
            self._begun = True
        return spaced

    def finish(self) -> list[str]:
        return []


class _WordEnds:
    """A suffix marks a word's end: a space, but for the last token."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._newest: str | None = None

    def push(self, tokens: Sequence[str]) -> list[str]:
        words = []
        for token in tokens:
            if self._newest is not None:
                words.append(self._newest.replace(self._suffix, " "))
            self._newest = token
        return words

    def finish(self) -> list[str]:
        last, self._newest = self._newest, None
        return [] if last is None else [last.replace(self._suffix, "")]


class _ByteLevel:
    """Characters that stand for bytes. A token with any other character stands for itself."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, tokens: Sequence[str]) -> list[str]:
        data = self._rest + b"".join(map(_token_bytes, tokens))
        text, used = utf_8_decode(data, "replace", False)
        self._rest = data[used:]
        return [text]

    def finish(self) -> list[str]:
        return [self._rest.decode("utf-8", "replace")]


class _ByteFallback:
    """Tokens of one byte each: a run of them is its UTF-8 text, or a replacement character each."""

    def __init__(self) -> None:
        self._run = bytearray()

    def push(self, tokens: Sequence[str]) -> list[str]:
        passed: list[str] = []
        for token in tokens:
            byte = _BYTE_TOKEN.fullmatch(token) if token.startswith("<0x") else None
            if byte is not None:
                self._run.append(int(byte[1], 16))
                continue
            if self._run:
                passed.extend(self.finish())
            passed.append(token)
        return passed

    def finish(self) -> list[str]:
        run, self._run = bytes(self._run), bytearray()
        if not run:
            return []
        try:
            return [run.decode("utf-8")]
        except UnicodeDecodeError:
            return [REPLACEMENT_CHARACTER] * len(run)


class _StripStart:
    """Takes up to `count` times `char` off the start of the whole text."""

    def __init__(self, char: str, count: int) -> None:
        self._char = char
        self._count = count

    def push(self, tokens: Sequence[str]) -> list[str]:
        if not self._count:
            return list(tokens)
        text = "".join(tokens)
        rest = _strip_start(text, self._char, self._count)
        self._count = 0 if rest else self._count - len(text)
        return [rest]

    def finish(self) -> list[str]:
        return []


def _strip_start(text: str, char: str, count: int) -> str:
    first = 0
    while first < min(count, len(text)) and text[first] == char:
        first += 1
    return text[first:]


def _byte_alphabet() -> dict[str, int]:
    """The characters of byte-level vocabularies: printable Latin-1 as it is, the rest from U+0100.

    As GPT-2 has it: https://github.com/openai/gpt-2/blob/master/src/encoder.py
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def _token_bytes(token: str) -> bytes:
    try:
        return bytes(map(_BYTE_OF.__getitem__, token))
    except KeyError:
        return token.encode("utf-8", errors="replace")
