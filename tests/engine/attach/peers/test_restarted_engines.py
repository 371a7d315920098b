"""Real engines that are killed and started again while they are watched.

Down within three seconds of the end, back by itself; the counters, which begin at 0 again, make
nothing negative, no jump, and lose nothing that was counted.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from checkpoints import TinyShape, write_checkpoint, write_tokenizer
from peer_models import write_gguf_file
from peer_servers import PeerServer, free_port, process, python_of, wait_until_ready
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.watched_server import WatchedServer
from prodtop.engine.http_load.connections import Connections
from prodtop.engine.http_load.target import Asked, Target
from prodtop.engine.protocol import Frame, Message, ServerBack, ServerDown
from real_engines import CONTEXT_TOKENS, llama_cpp_command
from watched_load import DEADLINE_S, Watched, model_of

DOWN_WITHIN_S = 3.0
INTERVAL_S = 0.5
SLACK = 1.1
"""Of the time between two scrapes, which is not kept to the millisecond."""
ANSWERS = 4
TOKENS = (120, 30)
"""Of each answer, before the restart and after it: fewer come than had been counted."""

Command = Callable[[Path, int], list[str]]


def llama_cpp(folder: Path, port: int) -> list[str]:
    python_of("llama-cpp")
    return llama_cpp_command(write_gguf_file(folder / "tiny.gguf"), port)


def prodtop(folder: Path, port: int) -> list[str]:
    model = folder / "model"
    write_checkpoint(model, TinyShape(context_tokens=CONTEXT_TOKENS))
    write_tokenizer(model)
    program = Path(sys.prefix) / "bin" / "prodtop"
    options = ["--port", str(port), "--threads", "1", "--device", "cpu"]
    return [str(program), "serve", "--model", str(model), *options]


@contextmanager
def running(command: list[str], server: PeerServer) -> Iterator[subprocess.Popen[bytes]]:
    """The engine, from when it answers."""
    with process(command, server.log, {}) as engine:
        wait_until_ready(server, engine, "/health", b"")
        yield engine


@asynccontextmanager
async def watching(server: PeerServer) -> AsyncIterator[Watched]:
    """Watch it, whatever becomes of it."""
    watched = Watched()
    settings = NamedServer(url=server.url, name="peer", interval_s=INTERVAL_S)
    task = asyncio.create_task(WatchedServer(settings, watched.told.append).run())
    try:
        yield watched
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], bool]) -> float:
    """Wait for it; returns when it was so."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0.02)
    return time.monotonic()


async def answered(server: PeerServer, tokens: int) -> int:
    """Have answers of so many tokens made, one after the other; returns how many tokens came."""
    connections = Connections(Target(server.url, model_of(server)), timeout_s=DEADLINE_S)
    made = 0
    for number in range(ANSWERS):
        answer = await connections.ask(Asked(f"{tokens} {number} words", max_tokens=tokens))
        assert answer.error is None, answer.error
        made += answer.output_tokens or 0
    await connections.close()
    return made


def counted(frame: Frame) -> int:
    """Output tokens since it was attached: none before the second scrape."""
    return frame.generated_tokens_total or 0


def told(watched: Watched, kind: type[Message]) -> list[Message]:
    return [each for each in watched.told if isinstance(each, kind)]


@pytest.mark.parametrize("command", [llama_cpp, prodtop])
async def test_a_killed_engine_is_down_and_comes_back_without_a_jump(
    command: Command, tmp_path: Path
) -> None:
    server = PeerServer(free_port(), tmp_path / "engine.log")
    start = command(tmp_path, server.port)
    async with AsyncExitStack() as stack:
        with running(start, server) as engine:
            watched = await stack.enter_async_context(watching(server))
            await until(lambda: bool(watched.frames))
            begun = await answered(server, TOKENS[0])
            await until(lambda: counted(watched.newest) >= begun)
            before = counted(watched.newest)
            assert not told(watched, ServerDown)
            engine.kill()
            killed_s = time.monotonic()
            down_s = await until(lambda: bool(told(watched, ServerDown)))
        assert down_s - killed_s < DOWN_WITHIN_S
        seen = len(watched.frames)
        with running(start, server):
            await until(lambda: bool(told(watched, ServerBack)))
            await until(lambda: len(watched.frames) > seen)
            after = await answered(server, TOKENS[1])
            await until(lambda: counted(watched.newest) >= before + after)
            await until(lambda: watched.newest.throughput.decode_tok_s == 0)
    assert_no_jump(watched.frames, seen, after)
    assert counted(watched.newest) == before + after


def assert_no_jump(frames: list[Frame], seen: int, after: int) -> None:
    """What is counted only grows; no rate since the restart, over half a second or more, is of more
    tokens than were made since then."""
    totals = [counted(each) for each in frames]
    assert totals == sorted(totals)
    speeds = [each.throughput.decode_tok_s for each in frames]
    assert all(speed is None or speed >= 0 for speed in speeds)
    assert max(speed or 0 for speed in speeds[seen:]) <= SLACK * after / INTERVAL_S
    assert any(speeds[seen:])
