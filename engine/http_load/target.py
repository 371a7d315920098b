"""The server that a load is put on: its address, its model, and what a request to it is."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from .messages import Api

PATHS: dict[Api, str] = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its text, and how its answer is to be made."""

    text: str
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. `headers` are made anew for each: tokens are renewed in place."""

    url: str
    model: str
    api: Api = "completions"
    headers: Callable[[], dict[str, str]] = dict
    ca_file: str | None = None

    def request(self, asked: Asked) -> bytes:
        """The bytes of an HTTP/1.1 request for a streamed answer with its token counts."""
        parts = urlsplit(self.url)
        body = msgspec.json.encode(self._body(asked))
        lines = [
            f"POST {parts.path.rstrip('/')}{PATHS[self.api]} HTTP/1.1",
            f"host: {parts.netloc}",
            "content-type: application/json",
            "accept: text/event-stream",
            "accept-encoding: identity",
            "user-agent: prodtop",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers().items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _body(self, asked: Asked) -> dict[str, object]:
        told: dict[str, object] = {"prompt": asked.text}
        if self.api == "chat":
            told = {"messages": [{"role": "user", "content": asked.text}]}
        body: dict[str, object] = {
            "model": self.model,
            **told,
            "max_tokens": asked.max_tokens,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if asked.seed is not None:
            body["seed"] = asked.seed
        if asked.ignore_eos:
            # vLLM's, SGLang's and our own; a server that does not know it refuses the request.
            body["ignore_eos"] = True
        return body
