"""What is read of a server's `/metrics`, beside what the client that loads it measures meanwhile.

    python benchmarks/attach_agreement.py URL [--users 1,16,64] [--requests 256]
        [--prompt-tokens 512] [--output-tokens 128] [--temperature 0.6] [--json]

For each number of users a load goes to the server and the reader of `prodtop attach` watches it;
all of the load lies between the reader's first frame and its last. Counts must be equal; means are
the server's own histograms against the client's clock, which ends at the other side of HTTP.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import msgspec
from prodtop.engine.attach.asking.settings import NamedServer, ServerSettings
from prodtop.engine.attach.watched_server import WatchedServer
from prodtop.engine.http_load.connections import Connections
from prodtop.engine.http_load.main import load_of, reachable
from prodtop.engine.http_load.messages import HttpLoadOptions, ServerResult
from prodtop.engine.http_load.result import result_of
from prodtop.engine.http_load.run import run_load
from prodtop.engine.http_load.texts import TextMaker
from prodtop.engine.protocol import Distribution, Frame, LoadSpec, Message, Percentiles, Window

DEADLINE_S = 120.0
INTERVAL_S = 0.5
CONTEXT_TOKENS = 4096


@dataclass(frozen=True)
class Row:
    """A figure of one load: as the client has it, and as it was read."""

    users: int
    figure: str
    client: float | None
    read: float | None

    @property
    def ratio(self) -> float | None:
        """Read over the client's."""
        return self.read / self.client if self.client and self.read is not None else None


class Watching:
    """A server as the reader tells of it."""

    def __init__(self, url: str) -> None:
        settings = NamedServer(url=url, name="server", interval_s=INTERVAL_S)
        self.told: list[Message] = []
        self._task = asyncio.create_task(WatchedServer(settings, self.told.append).run())

    @property
    def frames(self) -> list[Frame]:
        return [each for each in self.told if isinstance(each, Frame)]

    async def frames_more(self, number: int) -> None:
        """Wait for so many frames from now on."""
        wanted = len(self.frames) + number
        async with asyncio.timeout(DEADLINE_S):
            while len(self.frames) < wanted:
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def loaded(
    url: str, spec: LoadSpec, requests: int, context_tokens: int
) -> tuple[ServerResult, list[Frame]]:
    """The client's result of a load, and the frames of the server meanwhile."""
    options = HttpLoadOptions(server=ServerSettings(url=url), loads=[spec], requests=requests)
    target = await reachable(options)
    connections = Connections(target, timeout_s=DEADLINE_S)
    texts = TextMaker(salt=f"{time.monotonic_ns()}")
    # As many at once as the load has: engines make what they need when it is first asked for, and
    # that is no part of the load. How long a token is here is learnt from them too.
    warm = msgspec.structs.replace(spec, output_tokens_min=8, output_tokens_max=8)
    await run_load(load_of(warm, texts, spec.users, context_tokens), connections, texts)
    watching = Watching(url)
    try:
        await watching.frames_more(2)
        load = load_of(spec, texts, requests, context_tokens)
        served = await run_load(load, connections, texts)
        await watching.frames_more(3)
    finally:
        await watching.end()
        await connections.close()
    result = result_of(served, model=target.model, url=url, api=target.api, versions={})
    return result, watching.frames


def rows(users: int, result: ServerResult, frames: list[Frame]) -> Iterator[Row]:
    """Counts, then means in milliseconds, then tokens a second while it was loaded."""
    newest = frames[-1]
    accounting, seen = newest.accounting, newest.latency[Window.SESSION]
    running = [frame.queue.running or 0 for frame in frames]
    finished, failed = (
        (None, None) if accounting is None else (accounting.finished, accounting.failed)
    )
    yield Row(users, "requests", result.requests, finished)
    yield Row(users, "failed", result.failed, failed)
    yield Row(users, "output tokens", result.output_tokens, newest.generated_tokens_total)
    yield Row(users, "peak running", result.peak_running, max(running))

    def means(name: str, measured: Distribution | None, read: Percentiles | None) -> Row:
        client = None if measured is None else measured.mean
        return Row(users, f"{name} mean, ms", client, None if read is None else read.mean_ms)

    yield means("TTFT", result.ttft_ms, seen.ttft)
    yield means("TPOT", result.tpot_ms, seen.tpot)
    yield means("ITL", result.itl_ms, seen.itl)
    yield means("E2E", result.e2e_ms, seen.e2e)
    rates = [each.throughput.decode_tok_s for each in frames if each.queue.running == users]
    known = [rate for rate in rates if rate is not None]
    middle = known[len(known) // 4 :]
    yield Row(
        users, "output tok/s", result.output_tok_s, sum(middle) / len(middle) if middle else None
    )


def table(found: list[Row]) -> Iterator[str]:
    yield "| users | figure | client | read | read ÷ client |"
    yield "|---|---|---|---|---|"
    for row in found:
        cells = [
            "--" if value is None else f"{value:,.{digits}f}"
            for value, digits in ((row.client, 2), (row.read, 2), (row.ratio, 4))
        ]
        yield f"| {row.users} | {row.figure} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--users", default="1,16,64")
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--output-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: list[Row] = []
    for users in map(int, given.users.split(",")):
        spec = LoadSpec(
            users=users,
            temperature=given.temperature,
            ignore_eos=True,
            # A cache of whole answers would give tokens that were not generated.
            fixed_seed_share=0.0,
            prompt_tokens_min=given.prompt_tokens,
            prompt_tokens_max=given.prompt_tokens,
            output_tokens_min=given.output_tokens,
            output_tokens_max=given.output_tokens,
        )
        requests = max(users, min(given.requests, 16 * users))
        result, frames = asyncio.run(loaded(given.url, spec, requests, CONTEXT_TOKENS))
        if result.errors:
            print(f"{users} users: {result.errors}", file=sys.stderr)
        found += rows(users, result, frames)
    if given.json:
        print(json.dumps([asdict(row) for row in found]))
    print(*table(found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
