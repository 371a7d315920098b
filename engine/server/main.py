"""The server process: HTTP in front of the worker, as long as the screen is there.

Run as `python -m prodtop.engine.server --options JSON --channel-fd N --handover-fd N`.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..protocol import COMMAND_DECODER, Command, Fault, LinkLost, Note, ServerListening
from ..protocol.channel import Channel
from ..protocol.child_process import raise_open_files, tell_crash, tell_end
from ..protocol.errors import ProdtopError
from ..protocol.handover import Handover
from ..protocol.server_options import ServerOptions, server_options_of
from ..text.clean_stream import clean_output
from .engine_link import EngineLink
from .listener import listen, url_of

if TYPE_CHECKING:
    from starlette.applications import Starlette

MOST_OPEN_FILES = 65_536
"""Each connection is one; the usual soft limit is 1,024."""

PROMPTS_LOGGED = "what clients send is logged, prompts included (--log-prompts)"

MakeApp = Callable[[EngineLink, ServerOptions], "Starlette"]


def main(make_app: MakeApp | None = None) -> int:
    """Serve until the screen says `Shutdown`, a drain has ended, or the screen is gone; the exit
    code is the error's, if any. `make_app` is `create_app`, unless a test has routes of its own."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.server")
    parser.add_argument("--options", required=True)
    parser.add_argument("--channel-fd", type=int, required=True)
    parser.add_argument("--handover-fd", type=int, required=True)
    arguments = parser.parse_args()
    channel = Channel.from_fd(arguments.channel_fd, COMMAND_DECODER)
    handover = Handover.from_fd(arguments.handover_fd)
    with clean_output():
        return _serve(channel, handover, arguments.options, make_app)


def _serve(
    channel: Channel[Command], handover: Handover, text: str, make_app: MakeApp | None
) -> int:
    try:
        options = server_options_of(text)
        raise_open_files(MOST_OPEN_FILES)
        # First of all: that the port is taken is known at once, and connections may come.
        has_key = bool(options.operations.key_hashes)
        with listen(options.host, options.port, has_key=has_key) as listener:
            _run(channel, handover, options, listener, make_app)
    except ProdtopError as error:
        return tell_end(channel, Fault(message=str(error), fatal=True, exit_code=error.exit_code))
    except Exception as error:  # noqa: BLE001
        # The process's edge: what nobody expected is told, and ends it.
        return tell_crash(channel, error)
    return 0


def _run(
    channel: Channel[Command],
    handover: Handover,
    options: ServerOptions,
    listener: socket.socket,
    make_app: MakeApp | None,
) -> None:
    # What takes longest to import.
    from .app import create_app
    from .error_log import log_errors
    from .guard_words import guards_line
    from .http_server import HttpServer
    from .link import WorkerLink
    from .request_log import open_request_log

    def ask_for_link() -> None:
        channel.send(LinkLost())

    operations = options.operations
    log_errors(with_texts=operations.log.prompts)
    log = open_request_log(operations.log)
    if operations.log.prompts:
        channel.send(Note(message=PROMPTS_LOGGED))
    if options.guards is not None:
        channel.send(Note(message=guards_line(options.guards)))
    link = WorkerLink(handover, ask_for_link)
    app = (make_app or create_app)(link, options)
    server = HttpServer(app, link, channel, operations, log)
    url, port = url_of(listener, tls=operations.tls is not None), listener.getsockname()[1]
    listening = ServerListening(url=url, port=port)
    try:
        if sys.platform == "linux":
            import uvloop

            uvloop.run(server.run(listener, listening))
        else:
            asyncio.run(server.run(listener, listening))
    finally:
        log.close()
