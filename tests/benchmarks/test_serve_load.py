"""What the clients of `serve_load.py` count: shares of streams, usage, and the sum of processes."""

import asyncio
import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[2] / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


serve_client = script("serve_client")
client_processes = script("client_processes")


@settings(deadline=None)
@given(streams=st.integers(1, 300), processes=st.integers(1, 40))
def test_every_stream_is_one_process_s_and_none_has_two_more_than_another(
    streams: int, processes: int
) -> None:
    shares = client_processes.shares(streams, processes)
    assert [number for share in shares for number in share] == list(range(streams))
    sizes = {len(share) for share in shares}
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 1
    assert len(shares) == min(streams, processes)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        {"prompt_tokens": 5, "total_tokens": 12, "completion_tokens": 7},
        {"completion_tokens": 7, "prompt_tokens": 5, "prompt_tokens_details": None},
    ],
)
def test_usage_is_found_in_any_order_of_its_fields(fields: dict[str, int | None]) -> None:
    text = json.dumps({"choices": [], "usage": fields}, separators=(",", ":"))
    assert serve_client.usage_of(b"data: " + text.encode() + serve_client.END) == (5, 7)
    assert serve_client.usage_of(b'data: {"error":{}}' + serve_client.END) is None


def test_tallies_of_processes_add_up() -> None:
    parts = [
        serve_client.Tally(
            statuses=Counter({200: n, 429: 1}),
            errors=Counter({"OSError": n}),
            left=n,
            finished=2 * n,
            prompt_tokens=3 * n,
            output_tokens=4 * n,
            ttft_s=[n * 0.1],
            itl_s=[n * 0.2, n * 0.3],
        )
        for n in (1, 2)
    ]
    whole = serve_client.Tally.of(parts)
    assert (whole.statuses, whole.errors) == (Counter({200: 3, 429: 2}), Counter({"OSError": 3}))
    assert (whole.left, whole.finished, whole.prompt_tokens, whole.output_tokens) == (3, 6, 9, 12)
    assert (whole.ttft_s, whole.itl_s) == ([0.1, 0.2], [0.2, 0.3, 0.4, 0.6])
    whole.forget_times()
    assert (whole.ttft_s, whole.itl_s, whole.finished) == ([], [], 6)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As vLLM's server answers: a request without its type is refused."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].split()[0])
    asked = json.loads(await reader.readexactly(length))
    if b"\r\ncontent-type: application/json\r\n" not in head:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    else:
        usage = {"prompt_tokens": len(asked["prompt"]), "total_tokens": 9, "completion_tokens": 2}
        events = [json.dumps({"choices": [{"text": "a"}]})] * 2
        events += [json.dumps({"choices": [], "usage": usage}, separators=(",", ":")), "[DONE]"]
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            line = f"data: {event}\n\n"
            writer.write(f"{len(line):x}\r\n{line}\r\n".encode())
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


def test_a_client_reads_what_vllm_s_server_streams() -> None:
    work = serve_client.Work(7, 2, 4000, 0.0, 0.0, None, 0.6)
    tally = serve_client.Tally()

    async def one() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        end = asyncio.Event()
        client = serve_client.StreamClient("127.0.0.1", port, work, tally, 0)
        running = asyncio.create_task(client.run(end))
        while not tally.statuses:
            await asyncio.sleep(0)
        end.set()
        await running
        server.close()

    asyncio.run(one())
    assert dict(tally.statuses) == {200: 1}
    assert (tally.finished, tally.prompt_tokens, tally.output_tokens) == (1, 7, 2)
    assert (len(tally.ttft_s), len(tally.itl_s)) == (1, 2)
