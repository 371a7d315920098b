"""Requests to a server that have a text in every place that a client chooses."""

import json
from typing import Any
from urllib.parse import quote

Json = Any  # what JSON gives

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_HELLO: Json = {"messages": [{"role": "user", "content": "hello"}]}


def hostile_requests(text: str) -> list[tuple[str, str, Json | bytes, dict[str, str]]]:
    """Requests with `text` in each place that a client chooses: method, path, body, headers."""
    header = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return [
        ("POST", _CHAT, {"messages": [{"role": "user", "content": text}]}, {}),
        ("POST", _CHAT, {"messages": [{"role": text, "content": "a"}]}, {}),
        ("POST", _CHAT, {"messages": [{"role": "user", "content": "a", "name": text}]}, {}),
        ("POST", _CHAT, _HELLO | {"model": text}, {}),
        ("POST", _CHAT, _HELLO | {"tool_choice": text}, {}),
        ("POST", _CHAT, _HELLO | {"response_format": {"type": text}}, {}),
        ("POST", _COMPLETIONS, {"prompt": text}, {}),
        ("POST", _COMPLETIONS, {"prompt": "a", "stop": [text]}, {}),
        ("POST", _COMPLETIONS, {"prompt": "a", "guided_regex": text}, {}),
        ("POST", _COMPLETIONS, {"prompt": "a", "logit_bias": {text: 1}}, {}),
        ("POST", _COMPLETIONS, {"prompt": "a", text: text}, {}),
        ("POST", _COMPLETIONS, text.encode(), {}),
        ("POST", "/tokenize", {"prompt": text}, {}),
        ("POST", "/tokenize", {"prompt": "a", "model": text}, {}),
        ("GET", f"/v1/models/{text}", b"", {}),
        ("GET", f"/{text}", b"", {}),
        ("GET", f"/metrics?{text}", b"", {}),
        (text, "/v1/models", b"", {}),
        *(
            ("GET", "/v1/models", b"", {name: header})
            for name in (
                "x-request-id", "user-agent", "authorization", "accept", "x-forwarded-for",
                "forwarded", "referer", "cookie", "x-prodtop-metrics",
            )
        ),
        ("POST", "/fail", {"prompt": text}, {}),
    ]  # fmt: skip


def on_the_wire(
    method: str, path: str, body: Json | bytes, headers: dict[str, str]
) -> tuple[bytes, bytes]:
    """A request as it is, and with its path quoted, as browsers do and servers undo."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "localhost", "connection": "close", "content-length": str(len(data))}
    lines = [f"{k}: {v}".encode("latin-1") for k, v in (fields | headers).items()]
    plain, quoted = path.encode(), quote(path, safe="/?").encode()
    first, second = (
        b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", *lines, b"", data])
        for target in (plain, quoted)
    )
    return first, second
