"""What a request asks of a server: read from its body on the way, which is then let go of."""

from dataclasses import dataclass

import msgspec

LARGEST_READ_BYTES = 4 << 20
"""A body of more (pictures, mostly) is passed on, and its prompt is not looked at."""

_GENERATES = (
    "/chat/completions",
    "/completions",
    # llama.cpp's own, and Ollama's.
    "/completion",
    "/api/chat",
    "/api/generate",
)
_STREAMS_UNASKED = ("/api/chat", "/api/generate")


@dataclass(frozen=True, slots=True)
class Asked:
    """`None`: it was not said. `prompt`: its text as JSON, with tools and roles; or `token_ids`."""

    model: str | None = None
    streams: bool = False
    max_tokens: int | None = None
    prompt: bytes | None = None
    token_ids: tuple[int, ...] | None = None


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n_predict: int | None = None
    options: _Options | None = None
    tools: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()


_BODIES = msgspec.json.Decoder(_Body)
_TOKEN_IDS = msgspec.json.Decoder(tuple[int, ...])


def generates(method: bytes, path: str) -> bool:
    """Whether it asks for text: what is measured. All else is passed on."""
    return method == b"POST" and path.rstrip("/").endswith(_GENERATES)


def asked_of(path: str, body: bytes) -> Asked:
    """What the body asks; nothing is known of one that cannot be read."""
    try:
        read = _BODIES.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Asked()
    streams = path.rstrip("/").endswith(_STREAMS_UNASKED) if read.stream is None else read.stream
    options = None if read.options is None else read.options.num_predict
    limits = (read.max_completion_tokens, read.max_tokens, read.n_predict, options)
    prompt = bytes(read.prompt)
    token_ids = _token_ids(prompt)
    parts = (bytes(read.tools), bytes(read.system), bytes(read.messages), prompt)
    return Asked(
        model=read.model,
        streams=streams,
        max_tokens=next((each for each in limits if each is not None and each >= 0), None),
        prompt=None if token_ids is not None else b"\n".join(part for part in parts if part),
        token_ids=token_ids,
    )


def _token_ids(prompt: bytes) -> tuple[int, ...] | None:
    """A prompt that is tokens already."""
    if not prompt.startswith(b"[") or not prompt[1:64].lstrip()[:1].isdigit():
        return None
    try:
        return _TOKEN_IDS.decode(prompt)
    except msgspec.MsgspecError:
        return None
