"""An API over a scripted engine, and what all its tests look at in answers."""

from collections.abc import Sequence

from asgi_client import Client, Json
from prodtop.engine.protocol.served import Serving
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.limits import Limits
from scripted_link import Script, ScriptedLink, Told, outputs, serving_of
from served_folders import chat_folder, ids_of
from starlette.middleware import Middleware

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
HELLO: Json = {"messages": [{"role": "user", "content": "hello"}]}


def scripted(
    script: Script | Sequence[Told],
    *,
    serving: Serving | None = None,
    limits: Limits | None = None,
    options: ServerOptions | None = None,
    more_middleware: Sequence[Middleware] = (),
) -> tuple[Client, ScriptedLink]:
    """A client of an API whose engine tells what `script` says, to every request the same."""
    told = script if callable(script) else (lambda _: script)
    link = ScriptedLink(told, serving or serving_of(chat_folder()))
    app = create_app(
        link, options or ServerOptions(), limits=limits, more_middleware=more_middleware
    )
    return Client(app), link


def saying(text: str, *, finish_reason: str = "length", at_once: int = 1) -> Sequence[Told]:
    """A script that generates `text`; by "stop" an end-of-text token follows."""
    ids = [*ids_of(text), 0] if finish_reason == "stop" else ids_of(text)
    return outputs(ids, finish_reason=finish_reason, at_once=at_once)


def streamed_text(events: Sequence[Json], index: int = 0) -> str:
    """The text of a choice out of a stream's chunks, of either kind."""
    parts = [part for event in events for part in event["choices"] if part["index"] == index]
    return "".join(p["text"] if "text" in p else p["delta"].get("content", "") for p in parts)


def whole_text(choice: Json) -> str:
    """The text of a choice of a whole answer."""
    text: str = choice["text"] if "text" in choice else choice["message"]["content"]
    return text


def finish_reasons(events: Sequence[Json]) -> list[str]:
    """Every reason that a stream gave, in order."""
    parts = [part for event in events for part in event["choices"]]
    return [part["finish_reason"] for part in parts if part["finish_reason"] is not None]
