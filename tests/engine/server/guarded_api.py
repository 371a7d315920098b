"""APIs with guards over a scripted engine, and what their tests say to them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

from api_harness import CHAT, COMPLETIONS, scripted
from asgi_client import Client, Json
from prodtop.engine.protocol.server_options import GuardOptions, ServerOptions
from prodtop.engine.server.scope_keys import KEY_ID
from scripted_link import Script, ScriptedLink, Told
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

BLOCKED, FLAGGED = "forbidden phrase", "dubious phrase"
MAIL = "alice@example.com"
BOTH_ROUTES = (COMPLETIONS, CHAT)

LISTS: Json = [{"name": "high.txt", "severity": "high"}, {"name": "low.txt", "severity": "low"}]
GUARDS: Mapping[str, Json] = {"content": {"lists": LISTS}}
"""`BLOCKED` blocks, `FLAGGED` flags, and personal data are redacted."""


class CheckedKeys:
    """Stands for what checks API keys: here whatever the header `x-checked-key` says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if b"x-checked-key" in headers:
            scope[KEY_ID] = headers[b"x-checked-key"].decode()
        await self._app(scope, receive, send)


def guard_options(**tables: Json) -> ServerOptions:
    """Options of a server with `GUARDS`, and `tables` beside or instead of theirs."""
    folder = Path(mkdtemp(prefix="prodtop-lists-"))
    (folder / "high.txt").write_text(f"{BLOCKED}\n")
    (folder / "low.txt").write_text(f"{FLAGGED}\n")
    table: dict[str, object] = {**GUARDS, **tables}
    return ServerOptions(guards=GuardOptions(table=table, folder=str(folder)))


def guarded(script: Script | Sequence[Told], **tables: Json) -> tuple[Client, ScriptedLink]:
    """A client of an API with guards."""
    return scripted(
        script, options=guard_options(**tables), more_middleware=[Middleware(CheckedKeys)]
    )


def asking(route: str, prompt: str, **fields: Json) -> Json:
    """A body with one prompt, for either route."""
    if route == COMPLETIONS:
        return {"prompt": prompt, **fields}
    return {"messages": [{"role": "user", "content": prompt}], **fields}


async def guard_metrics(api: Client) -> dict[str, float]:
    """The guards' lines of `/metrics`."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith("prodtop_guard_")]
    return {name.removeprefix("prodtop_guard_"): float(value) for name, _, value in found}
