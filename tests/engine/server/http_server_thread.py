"""A real HTTP server on a free port of the loopback, in a thread of its own."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prodtop.engine.server.bounded_protocol import ConnectionBounds, bounded_protocol
from starlette.applications import Starlette

DEADLINE_S = 30.0
BOUNDS = ConnectionBounds(connections=100)


@contextmanager
def serving_app(app: Starlette, bounds: ConnectionBounds = BOUNDS) -> Iterator[int]:
    """Serve `app`; gives the port. Its link is used on the server's loop alone."""
    listener = socket.create_server(("127.0.0.1", 0))
    # What waits for a client that does not read fills up soon.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded_protocol(bounds, app.state.http_counters),
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(DEADLINE_S)
        listener.close()
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` gives something true."""
    due_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < due_s, f"it never came: {what}"
        time.sleep(0.005)
