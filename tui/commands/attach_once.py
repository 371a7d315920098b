"""`prodtop attach URL --once`: what servers tell now, as lines or as JSON."""

import asyncio
import sys

from ...engine.attach.asking.settings import AttachOptions
from ...engine.attach.watched_server import WatchedServer
from ...engine.protocol import Frame, Message, ServerDown, Window
from ...engine.protocol.errors import ProdtopError
from ...engine.text.cleaning import clean
from ..style.formatting import count, percent, rate
from ..style.quantiles import quantile_text
from .json_output import print_json

SCRAPES = 3
"""Rates need two; with three a counter that is written once a second moves as well."""


class Told:
    """The newest frame of a server, and why it is down where it is."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.reason: str | None = None

    def take(self, message: Message) -> None:
        match message:
            case Frame():
                self.frame, self.reason = message, None
            case ServerDown(reason=reason):
                self.reason = reason
            case _:
                pass


def print_once(options: AttachOptions, *, as_json: bool) -> None:
    """Print each server's figures. Raises `ProdtopError` where one of them does not answer."""
    told = asyncio.run(_asked(options))
    for server, each in zip(options.servers, told, strict=True):
        if each.frame is None:
            print(f"{clean(server.name)}: {clean(each.reason or 'no answer')}", file=sys.stderr)
        elif as_json:
            print_json(each.frame)
        else:
            print("\n".join(_lines(each.frame)))
    down = sum(each.frame is None for each in told)
    if down:
        raise ProdtopError(f"{down} of {len(told)} servers did not tell anything")


async def _asked(options: AttachOptions) -> list[Told]:
    told = [Told() for _ in options.servers]
    await asyncio.gather(
        *(
            _ask(WatchedServer(server, each.take))
            for server, each in zip(options.servers, told, strict=True)
        )
    )
    return told


async def _ask(server: WatchedServer) -> None:
    """As many scrapes as rates need; none more of a server that does not answer."""
    try:
        for number in range(SCRAPES):
            wait_s = await server.round()
            if server.is_down:
                return
            if number < SCRAPES - 1:
                await asyncio.sleep(wait_s)
    finally:
        await server.close()


def _lines(frame: Frame) -> list[str]:
    attached = frame.attached
    head = "" if attached is None else f"{attached.name}: {attached.kind} {attached.version or ''}"
    latency = frame.latency.get(Window.SESSION)
    throughput, queue = frame.throughput, frame.queue
    lines = [
        f"{head.strip()}, {frame.model.name or '--'}",
        f"  decode {rate(throughput.decode_tok_s, 'tok')}, prefill"
        f" {rate(throughput.prefill_tok_s, 'tok')}, {rate(throughput.requests_per_s, 'req')}",
        f"  {count(queue.running)} running, {count(queue.waiting)} waiting,"
        f" KV {percent(_kv(frame))}",
    ]
    if latency is not None:
        named = (("TTFT", latency.ttft), ("ITL", latency.itl), ("E2E", latency.e2e))
        parts = [f"{name} p95 {quantile_text(of, of.p95_ms if of else None)}" for name, of in named]
        lines.append(f"  {', '.join(parts)} (since it was attached)")
    return [clean(line) for line in lines]


def _kv(frame: Frame) -> float | None:
    blocks = frame.cache.blocks
    if blocks is None:
        return frame.cache.usage
    return blocks.running / blocks.total if blocks.total else None
