"""What a streamed token costs the server's process: a paced worker's link, real sockets, no engine.

    python benchmarks/server_tokens.py [--streams 64] [--steps-per-s 100] [--seconds 6]

The server runs as it does, in a process of its own, whose CPU time is read; this process plays the
worker, a token of every stream a step, and all of the clients. Where it cannot keep the pace it
says so by fewer tokens a second.
"""

import argparse
import selectors
import socket
import threading
import time

import msgspec
import psutil
from prodtop.engine.client.child import Child
from prodtop.engine.client.watched_server import server_command
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol import (
    REPORT_DECODER,
    PrecisionName,
    Report,
    ServerListening,
    StrategyName,
)
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol.served import (
    SERVER_COMMAND_DECODER,
    Output,
    ServerCommand,
    Serving,
    Submit,
    TokenizerSource,
    Tokens,
)
from prodtop.engine.protocol.server_options import ServerOptions

HOST = "127.0.0.1"
WARM_UP_STEPS = 20
TOKEN_IDS = range(300, 400)
SERVING = Serving(
    model="paced",
    context_tokens=1 << 20,
    vocabulary=4096,
    eos_token_ids=[0],
    tokenizer=TokenizerSource(kind="folder", path=str(BUNDLED_FOLDER), vocabulary=4096),
    strategy=StrategyName.STREAMING,
    precision=PrecisionName.BF16,
    streams=True,
    max_seqs=1024,
    kv_tokens=1 << 30,
    loaded_at_wall_s=0.0,
)


def start(child: Child[Report]) -> tuple[int, Channel[ServerCommand]]:
    """Start the server; gives its port and the worker's end of its link."""
    child.start()
    port = None
    while port is None:
        time.sleep(0.02)
        for report in child.poll():
            if isinstance(report, ServerListening):
                port = report.port
    mine, theirs = socket.socketpair()
    child.hand_over(theirs)
    theirs.close()
    link = Channel(mine, SERVER_COMMAND_DECODER)
    link.send(SERVING)
    return port, link


def open_streams(port: int, link: Channel[ServerCommand], number: int) -> list[int]:
    """Begin streams, which a thread reads; gives their keys."""
    body = msgspec.json.encode({"prompt": "hello", "stream": True, "max_tokens": 1 << 19})
    head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}"
    selector = selectors.DefaultSelector()
    keys: list[int] = []
    while len(keys) < number:
        client = socket.create_connection((HOST, port))
        client.sendall(f"{head}\r\n\r\n".encode() + body)
        selector.register(client, selectors.EVENT_READ)
        asked = len(keys)
        while len(keys) == asked:
            # Beside it the server asks for metrics, which nobody here has.
            keys += [each.key for each in link.receive() if isinstance(each, Submit)]
            time.sleep(0.001)
    threading.Thread(target=read_all, args=(selector,), daemon=True).start()
    return keys


def read_all(selector: selectors.BaseSelector) -> None:
    """Read whatever comes, for good."""
    while True:
        for key, _ in selector.select():
            client = key.fileobj
            if isinstance(client, socket.socket) and not client.recv(1 << 16):
                selector.unregister(client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--steps-per-s", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=6)
    arguments = parser.parse_args()
    options = ServerOptions(port=0)
    child = Child("server", lambda: server_command(options), REPORT_DECODER, takes_links=True)
    try:
        port, link = start(child)
        keys = open_streams(port, link, arguments.streams)

        def step(number: int) -> None:
            ids = [TOKEN_IDS[number % len(TOKEN_IDS)]]
            outputs = [Output(key=key, token_ids=ids) for key in keys]
            link.send(Tokens(at_s=time.monotonic(), outputs=outputs))
            link.receive()

        for number in range(WARM_UP_STEPS):
            step(number)
            time.sleep(1 / arguments.steps_per_s)
        server = psutil.Process(child.pid)
        before, began_s, steps = server.cpu_times(), time.monotonic(), 0
        while (passed_s := time.monotonic() - began_s) < arguments.seconds:
            step(steps)
            steps += 1
            time.sleep(max(0.0, steps / arguments.steps_per_s - passed_s))
        after = server.cpu_times()
        tokens = steps * arguments.streams
        user_us = (after.user - before.user) / tokens * 1e6
        system_us = (after.system - before.system) / tokens * 1e6
        print(
            f"{arguments.streams} streams, {tokens / passed_s:,.0f} tok/s:"
            f" {user_us + system_us:.1f} µs a token ({user_us:.1f} user, {system_us:.1f} system)"
        )
    finally:
        child.stop()


if __name__ == "__main__":
    main()
