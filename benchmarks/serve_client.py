"""Clients of `benchmarks/serve_load.py`: streams over plain sockets, as little work as can be.

Only the end of a stream is parsed: its usage, or its error. Of the rest events are counted and
timed as they come.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

LAST_BYTES = 4096
"""Of a stream, which hold its usage and its end."""
END = b"data: [DONE]\n\n\r\n0\r\n\r\n"
_EVENT = b"data: {"
_USAGE = re.compile(rb'"usage":(\{[^{}]*)')


@dataclass(frozen=True, slots=True)
class Work:
    """What every client asks for: prompts of random ids, answers of a fixed length, of which a
    share is cut by a stop string instead, and a share is left by its client in the middle."""

    prompt_tokens: int
    output_tokens: int
    vocabulary: int
    stop_share: float
    leave_share: float
    key: str | None
    temperature: float = 0.0

    def body(self, draw: random.Random) -> bytes:
        """One request; a stop string is one that any text of English soon has."""
        cut = draw.random() < self.stop_share
        fields: dict[str, object] = {
            "prompt": [draw.randrange(10, self.vocabulary) for _ in range(self.prompt_tokens)],
            "max_tokens": self.output_tokens,
            "temperature": self.temperature,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return json.dumps(fields | ({"stop": ["e"]} if cut else {})).encode()


@dataclass(slots=True)
class Tally:
    """What all clients saw. Times in seconds; `itl_s` has the gaps between the events of a
    stream."""

    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    left: int = 0
    finished: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    ttft_s: list[float] = field(default_factory=list)
    itl_s: list[float] = field(default_factory=list)

    def forget_times(self) -> None:
        """What was timed until now was warming up; counts stay, to be held against the server's."""
        self.ttft_s.clear()
        self.itl_s.clear()

    @classmethod
    def of(cls, parts: Sequence["Tally"]) -> "Tally":
        """What several processes' clients saw."""
        whole = cls()
        for part in parts:
            whole.statuses += part.statuses
            whole.errors += part.errors
            whole.left += part.left
            whole.finished += part.finished
            whole.prompt_tokens += part.prompt_tokens
            whole.output_tokens += part.output_tokens
            whole.ttft_s += part.ttft_s
            whole.itl_s += part.itl_s
        return whole


def usage_of(tail: bytes) -> tuple[int, int] | None:
    """Prompt and output tokens by the last usage of a stream's end; fields in any order."""
    found = _USAGE.findall(tail)
    if not found:
        return None
    prompt = re.search(rb'"prompt_tokens":(\d+)', found[-1])
    output = re.search(rb'"completion_tokens":(\d+)', found[-1])
    return None if prompt is None or output is None else (int(prompt[1]), int(output[1]))


class StreamClient:
    """One client: one request at a time over one connection, until `end`."""

    def __init__(self, host: str, port: int, work: Work, tally: Tally, seed: int) -> None:
        self._host, self._port = host, port
        self._work = work
        self._tally = tally
        self._draw = random.Random(seed)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, end: asyncio.Event) -> None:
        """Ask again and again; the last answer is read to its end."""
        while not end.is_set():
            try:
                await self._ask()
            except (OSError, asyncio.IncompleteReadError) as error:
                self._tally.errors[type(error).__name__] += 1
                self._hang_up()
        self._hang_up()

    async def _ask(self) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        assert self._reader is not None
        data = self._work.body(self._draw)
        key = "" if self._work.key is None else f"authorization: Bearer {self._work.key}\r\n"
        head = (
            f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n{key}"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        began_s = time.perf_counter()
        self._writer.write(head.encode() + data)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        self._tally.statuses[status] += 1
        if status == 200:
            await self._read_stream(self._reader, began_s)
        else:
            await self._read_refusal(self._reader, answer)

    async def _read_refusal(self, reader: asyncio.StreamReader, head: bytes) -> None:
        length = re.search(rb"content-length: (\d+)", head)
        retry = re.search(rb"retry-after: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        await asyncio.sleep(float(retry[1]) if retry else 1.0)

    async def _read_stream(self, reader: asyncio.StreamReader, began_s: float) -> None:
        tally, leaves = self._tally, self._draw.random() < self._work.leave_share
        last_s, tail = 0.0, b""
        while not tail.endswith(END):
            data = await reader.read(1 << 16)
            now_s = time.perf_counter()
            if not data:
                raise asyncio.IncompleteReadError(tail, None)
            events = data.count(_EVENT)
            # A head and comments come before the first event, where that takes long.
            if events:
                if last_s:
                    tally.itl_s.append(now_s - last_s)
                else:
                    tally.ttft_s.append(now_s - began_s)
                # What came together has no time between.
                tally.itl_s += [0.0] * (events - 1)
                last_s = now_s
            tail = (tail + data)[-LAST_BYTES:]
            if leaves and not tail.endswith(END) and self._draw.random() < 0.1:
                tally.left += 1
                self._hang_up()
                return
        usage = usage_of(tail)
        if usage is None:
            tally.errors["error in the stream"] += 1
            return
        tally.finished += 1
        tally.prompt_tokens += usage[0]
        tally.output_tokens += usage[1]

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
