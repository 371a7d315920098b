"""`prodtop attach URL --once`: what servers tell now, as lines or as JSON."""

import asyncio
import sys

from ...engine.attach.asking.settings import AttachOptions, NamedServer
from ...engine.attach.file_sd.files import TargetFiles
from ...engine.attach.file_sd.servers import named_apart
from ...engine.attach.watched_server import WatchedServer
from ...engine.attach.watches import AT_ONCE
from ...engine.protocol import Frame, Message, ServerDown, Window
from ...engine.protocol.errors import BadInputError, ProdtopError
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
    servers = _servers(options)
    told = asyncio.run(_asked(servers))
    for server, each in zip(servers, told, strict=True):
        if each.frame is None:
            print(f"{clean(server.name)}: {clean(each.reason or 'no answer')}", file=sys.stderr)
        elif as_json:
            print_json(each.frame)
        else:
            print("\n".join(_lines(each.frame)))
    down = sum(each.frame is None for each in told)
    if down:
        raise ProdtopError(f"{down} of {len(told)} servers did not tell anything")


def _servers(options: AttachOptions) -> list[NamedServer]:
    """Those that are named, and those that discovery files name now. Raises `BadInputError` where
    there are none."""
    found = TargetFiles(options.target_files).look()
    if found is None or not options.target_files:
        return options.servers
    servers = named_apart((*options.servers, *found.servers))
    if not servers:
        reasons = "; ".join(map(clean, found.notes))
        raise BadInputError(f"the discovery files name no server{f': {reasons}' * bool(reasons)}")
    for note in found.notes:
        print(clean(note), file=sys.stderr)
    return servers


async def _asked(servers: list[NamedServer]) -> list[Told]:
    told, gate = [Told() for _ in servers], asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(
        *(
            _ask(WatchedServer(server, each.take), gate)
            for server, each in zip(servers, told, strict=True)
        )
    )
    return told


async def _ask(server: WatchedServer, gate: asyncio.Semaphore) -> None:
    """As many scrapes as rates need; none more of a server that does not answer."""
    try:
        for number in range(SCRAPES):
            async with gate:
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
