"""A server that is watched: its frames, and what is told while it does not answer as it should."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from faulty_server import Behaviour, FaultyServer, raw, serving, silent, whole
from prodtop.engine.attach.asking.fetch import Fetcher
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.watched_server import BACK_OFF, WatchedServer
from prodtop.engine.protocol import (
    EngineKind,
    Frame,
    Message,
    ServerBack,
    ServerDown,
    ServerProcess,
)

QUICK_S = 1.0
"""How long an answer may take in these tests."""


def exposition(tokens: int, *, running: int = 3, started_s: float = 1000.0) -> bytes:
    """What a vLLM tells that has generated so many tokens."""
    labels = 'model_name="tiny",engine="0"'
    return "\n".join(
        [
            f"process_start_time_seconds {started_s}",
            f"vllm:num_requests_running{{{labels}}} {running}",
            f"vllm:num_requests_waiting{{{labels}}} 1",
            f"vllm:kv_cache_usage_perc{{{labels}}} 0.25",
            f"vllm:generation_tokens_total{{{labels}}} {tokens}",
            f"vllm:prompt_tokens_total{{{labels}}} {2 * tokens}",
            "",
        ]
    ).encode()


def metrics(tokens: int, **more: float) -> Behaviour:
    """Answer every path with these metrics."""
    text = "content-type: text/plain; version=0.0.4\r\n"
    return whole(exposition(tokens, **more), headers=text)  # type: ignore[arg-type]  # numbers


class Clock:
    """Goes on a second with each round."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Watch:
    """Rounds of a watched server, and what they told."""

    def __init__(self, faulty: FaultyServer, **more: str) -> None:
        self.told: list[Message] = []
        self.clock = Clock()
        self.server = WatchedServer(
            NamedServer(url=faulty.url, name="chat", **more),  # type: ignore[arg-type]  # all text
            self.told.append,
            connect=lambda each: Fetcher(each.url, timeout_s=QUICK_S),
            clock=self.clock,
            wall=lambda: 1.8e9 + self.clock.now_s,
        )

    async def rounds(self, number: int = 1) -> Sequence[Message]:
        before = len(self.told)
        for _ in range(number):
            await self.server.round()
            self.clock.now_s += 1.0
        return self.told[before:]

    def newest(self) -> Frame:
        return next(each for each in reversed(self.told) if isinstance(each, Frame))


async def test_frames_have_rates_and_say_how_the_server_is_read() -> None:
    async with serving(metrics(0)) as faulty:
        watch = Watch(faulty)
        for second in range(4):
            faulty.behaviour = metrics(100 * second)
            await watch.rounds()
        await watch.server.close()
    frame = watch.newest()
    assert frame.attached is not None
    assert (frame.attached.kind, frame.attached.name) == (EngineKind.VLLM, "chat")
    assert frame.attached.scraped_per_s == 1.0
    assert frame.throughput.decode_tok_s == pytest.approx(100, rel=0.02)
    assert (frame.queue.running, frame.queue.waiting) == (3, 1)
    numbers = [each.sequence for each in watch.told if isinstance(each, Frame)]
    assert numbers == [1, 2, 3, 4]


FAULTS: dict[str, Behaviour] = {
    "silent": silent,
    "500": whole(b"", status="500 Internal Server Error"),
    "a redirect": whole(b"", status="301 Moved Permanently", headers="location: /x\r\n"),
    "garbage": whole(bytes(range(256)) * 64),
    "HTML": whole(b"<html><body>It works!</body></html>", headers="content-type: text/html\r\n"),
    "nothing": whole(b""),
    "no HTTP": raw(b"\x16\x03\x01\x02\x00"),
    "NaN everywhere": whole(exposition(5).replace(b" 5\n", b" NaN\n").replace(b" 3\n", b" Inf\n")),
}


@pytest.mark.parametrize("what", FAULTS)
async def test_what_is_wrong_is_told_at_once_and_nothing_wrong_is_shown(what: str) -> None:
    async with serving(metrics(0)) as faulty:
        watch = Watch(faulty)
        await watch.rounds(2)
        faulty.behaviour = FAULTS[what]
        told = await watch.rounds(3)
        faulty.behaviour = metrics(10)
        back = await watch.rounds(2)
        await watch.server.close()
    if what == "NaN everywhere":
        # It answers, and some of it is no number: that is missing, and nothing else.
        for each in told:
            assert isinstance(each, Frame)
            assert each.queue.running is None
            assert each.queue.waiting == 1
        return
    assert [type(each) for each in told] == [ServerDown] * 3
    for each, retry_s in zip(told, BACK_OFF, strict=False):
        assert isinstance(each, ServerDown)
        assert each.reason.isprintable()
        assert each.retry_in_s == retry_s
    known = [type(each) for each in back if not isinstance(each, ServerProcess)]
    assert known == [ServerBack, Frame, Frame]
    frame = watch.newest()
    assert frame.throughput.decode_tok_s is None or 0 <= frame.throughput.decode_tok_s <= 10


async def test_a_restart_makes_no_figure_negative_and_no_peak() -> None:
    async with serving(metrics(1_000_000)) as faulty:
        watch = Watch(faulty)
        before = [(1_000_000 + 100 * second, 1e3) for second in range(3)]
        after = [(50 + 100 * second, 2e3) for second in range(5)]
        for tokens, started_s in (*before, *after):
            faulty.behaviour = metrics(tokens, started_s=started_s)
            await watch.rounds()
            speed = watch.newest().throughput.decode_tok_s
            assert speed is None or 0 <= speed <= 101
        await watch.server.close()
    assert watch.newest().throughput.decode_tok_s == pytest.approx(100, rel=0.1)


async def test_a_server_that_dies_is_down_within_three_seconds_and_back_by_itself() -> None:
    told: asyncio.Queue[Message] = asyncio.Queue()

    async def until(kind: type[Message]) -> float:
        async with asyncio.timeout(10):
            while not isinstance(await told.get(), kind):
                pass
        return asyncio.get_running_loop().time()

    async with serving(metrics(0)) as faulty:
        port = faulty.port
        server = NamedServer(url=faulty.url, name="chat", interval_s=0.2)
        running = asyncio.create_task(WatchedServer(server, told.put_nowait).run())
        await until(Frame)
    died_s = asyncio.get_running_loop().time()
    assert await until(ServerDown) - died_s < 3
    async with serving(metrics(5), port):
        await until(ServerBack)
        await until(Frame)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_slow_server_is_asked_less_often() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.6 * QUICK_S)
        await metrics(3)(writer)

    async with serving(slow) as faulty:
        server = NamedServer(url=faulty.url, name="chat", interval_s=0.1)
        watched = WatchedServer(server, lambda _: None)
        assert await watched.round() == pytest.approx(0.6 * QUICK_S * 4, rel=0.5)
        await watched.close()


async def test_what_answers_without_metrics_is_asked_for_what_else_it_tells() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        path = faulty.requests[-1].split(b" ")[1]
        answers: dict[bytes, Callable[[], Behaviour]] = {
            b"/v1/models": lambda: whole(b'{"object":"list","data":[{"id":"tiny"}]}'),
        }
        behaviour = answers.get(path, lambda: whole(b"", status="404 Not Found"))()
        await behaviour(writer)

    async with serving(answer) as faulty:
        watch = Watch(faulty)
        await watch.rounds(2)
        await watch.server.close()
    assert watch.newest().model.name == "tiny"


async def test_secrets_are_sent_and_in_nothing_that_is_told(tmp_path: Path) -> None:
    token, key = tmp_path / "token", tmp_path / "headers"
    token.write_text("s3cret-one\n")
    key.write_text("# for the gateway\nX-Api-Key: s3cret-two\n")
    async with serving(metrics(0)) as faulty:
        watch = Watch(faulty, token_file=str(token), headers_file=str(key))
        await watch.rounds()
        token.write_text("s3cret-renewed\n")
        await watch.rounds()
        token.unlink()
        await watch.rounds()
        await watch.server.close()
    sent = b"".join(faulty.requests)
    assert b"Bearer s3cret-one" in sent
    assert b"Bearer s3cret-renewed" in sent
    assert b"s3cret-two" in sent
    assert isinstance(watch.told[-1], ServerDown)
    assert all(b"s3cret" not in msgspec.json.encode(each) for each in watch.told)


REFUSALS = ("401 Unauthorized", "403 Forbidden", "404 Not Found", "501 Not Implemented")


@pytest.mark.parametrize("status", REFUSALS)
async def test_metrics_that_are_refused_later_are_a_failure_and_no_old_figures(status: str) -> None:
    async with serving(metrics(0)) as faulty:
        watch = Watch(faulty)
        await watch.rounds(3)
        faulty.behaviour = whole(b"", status=status)
        told = await watch.rounds(3)
        faulty.behaviour = metrics(10)
        back = await watch.rounds(2)
        await watch.server.close()
    assert [type(each) for each in told] == [ServerDown] * 3
    assert all(isinstance(each, ServerDown) and status[:3] in each.reason for each in told)
    known = [type(each) for each in back if not isinstance(each, ServerProcess)]
    assert known == [ServerBack, Frame, Frame]


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_server_that_refuses_from_the_start_says_so_and_comes_by_itself(
    status: str,
) -> None:
    async with serving(whole(b"", status=status)) as faulty:
        watch = Watch(faulty)
        told = await watch.rounds(2)
        faulty.behaviour = metrics(0)
        back = await watch.rounds(1)
        await watch.server.close()
    assert all(isinstance(each, ServerDown) and status in each.reason for each in told)
    assert isinstance(back[-1], Frame)


async def test_json_in_the_place_of_metrics_is_a_failure() -> None:
    async with serving(metrics(0)) as faulty:
        watch = Watch(faulty)
        await watch.rounds(2)
        faulty.behaviour = whole(b'[{"iter":1}]', headers="content-type: application/json\r\n")
        told = await watch.rounds(1)
        await watch.server.close()
    assert [type(each) for each in told] == [ServerDown]


async def test_what_hangs_beside_the_metrics_does_not_hold_up_a_frame() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        path = faulty.requests[-1].split(b" ")[1]
        await (metrics(0) if path == b"/metrics" else silent)(writer)

    told: list[Message] = []
    async with serving(answer) as faulty:
        # Without a limit on an answer's time: nothing but not waiting for it makes a frame.
        watched = WatchedServer(
            NamedServer(url=faulty.url, name="chat"),
            told.append,
            connect=lambda each: Fetcher(each.url, timeout_s=60),
        )
        async with asyncio.timeout(30):
            await watched.round()
            await watched.round()
        await watched.close()
    assert [type(each) for each in told if not isinstance(each, ServerProcess)] == [Frame, Frame]
    asked = [head.split(b" ")[1] for head in faulty.requests]
    assert asked.count(b"/version") == 1


@pytest.mark.parametrize("ending", ["silent", "401", "500", "cut"])
async def test_a_server_without_metrics_is_down_in_the_round_after_its_end(ending: str) -> None:
    async def models(writer: asyncio.StreamWriter) -> None:
        path = faulty.requests[-1].split(b" ")[1]
        has = path == b"/v1/models"
        body = b'{"object":"list","data":[{"id":"tiny"}]}'
        await (whole(body) if has else whole(b"", status="404 Not Found"))(writer)

    ends: dict[str, Behaviour] = {
        "silent": silent,
        "401": whole(b"", status="401 Unauthorized"),
        "500": whole(b"", status="500 Internal Server Error"),
        "cut": raw(b""),
    }
    async with serving(models) as faulty:
        watch = Watch(faulty)
        good = await watch.rounds(3)
        faulty.behaviour = ends[ending]
        told = await watch.rounds(2)
        faulty.behaviour = models
        back = await watch.rounds(1)
        await watch.server.close()
    assert sum(isinstance(each, Frame) for each in good) == 3
    assert [type(each) for each in told] == [ServerDown] * 2
    assert isinstance(back[-1], Frame)
    assert watch.newest().model.name == "tiny"
