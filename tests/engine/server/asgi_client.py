"""A client that calls an ASGI application in its own event loop, and may leave when it wants."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.applications import Starlette

Json = Any  # what JSON gives: tests look into it


@dataclass
class Answer:
    """A response as it came; `pieces` are the parts of its body as they were sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Json:
        """The body, which must be JSON."""
        return json.loads(self.body)

    def events(self) -> list[Json]:
        """The data of a stream, which must end as streams do, and have nothing but data in it."""
        lines = [line for line in self.body.decode().split("\n") if line]
        data = [line for line in lines if not line.startswith(":")]
        assert all(line.startswith("data: ") for line in data), lines
        assert data[-1] == "data: [DONE]"
        return [json.loads(line.removeprefix("data: ")) for line in data[:-1]]


class Call:
    """One request under way: `leave` closes its connection."""

    def __init__(
        self,
        app: Starlette,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        on_piece: Callable[[bytes], Any] | None,
    ) -> None:
        self.answer = Answer()
        self._body: list[bytes] = [body]
        self._left = asyncio.Event()
        self._on_piece = on_piece
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path.partition("?")[0],
            "raw_path": path.encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    def leave(self) -> None:
        self._left.set()

    async def done(self) -> Answer:
        """The whole answer."""
        await self._task
        return self.answer

    async def first_piece(self) -> Self:
        """Wait until a part of the body came."""
        while not self.answer.pieces and not self._task.done():
            await asyncio.sleep(0)
        return self

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
            self.answer.headers = headers
        elif message.get("body"):
            self.answer.pieces.append(message["body"])
            if self._on_piece is not None:
                await self._on_piece(message["body"])


class Client:
    """Calls `app`."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def begin(
        self,
        method: str,
        path: str,
        body: Json | bytes = b"",
        headers: Mapping[str, str] | None = None,
        on_piece: Callable[[bytes], Any] | None = None,
    ) -> Call:
        """Send a request, and wait for nothing."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Call(self._app, method, path, data, headers or {}, on_piece)

    async def post(
        self, path: str, body: Json | bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await self.begin("POST", path, body, headers).done()

    async def get(self, path: str) -> Answer:
        return await self.begin("GET", path).done()
