"""What whoever iterates a request gets, however fast it is taken and however it ends."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol.served import Output, TokenLogprob
from prodtop.engine.server.engine_link import EngineDownError
from prodtop.engine.server.request_stream import Ending, LinkedRequest, joined


def request(ended: list[tuple[Ending, int, str]] | None = None) -> LinkedRequest:
    def end(stream: LinkedRequest, how: Ending, tokens: int, reason: str) -> None:
        if ended is not None:
            ended.append((how, tokens, reason))
        stream.close()

    return LinkedRequest(1, 10, end)


def logprob(token: int) -> TokenLogprob:
    return TokenLogprob(token_id=token, logprob=-0.5, rank=1)


@given(pieces=st.lists(st.lists(st.integers(0, 99), max_size=3), min_size=1), seed=st.integers())
@settings(deadline=None)
def test_no_token_is_lost_however_slowly_it_is_read(pieces: list[list[int]], seed: int) -> None:
    async def read() -> None:
        stream = request()

        async def write() -> None:
            for number, piece in enumerate(pieces):
                last = number == len(pieces) - 1
                stream.push(
                    Output(
                        key=1,
                        token_ids=piece,
                        logprobs=[logprob(token) for token in piece],
                        prompt_logprobs=None if number else [logprob(7)],
                        finish_reason="length" if last else None,
                    )
                )
                # Sometimes the reader is faster, sometimes several pieces wait for it.
                if (seed >> number) & 1:
                    await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        outputs = [output async for output in stream]
        await writing
        tokens = [token for output in outputs for token in output.token_ids]
        assert tokens == [token for piece in pieces for token in piece]
        assert [each.token_id for out in outputs for each in out.logprobs or ()] == tokens
        assert [each.finish_reason for each in outputs] == [None] * (len(outputs) - 1) + ["length"]
        assert [out.prompt_logprobs for out in outputs if out.prompt_logprobs] == [[logprob(7)]]

    asyncio.run(read())


def test_what_came_before_a_failure_is_read_first() -> None:
    async def read() -> list[Output]:
        stream = request()
        stream.push(Output(key=1, token_ids=[1]))
        stream.fail(EngineDownError("gone"))
        outputs = aiter(stream)
        first = await anext(outputs)
        with pytest.raises(EngineDownError, match="gone"):
            await anext(outputs)
        return [first]

    assert asyncio.run(read()) == [Output(key=1, token_ids=[1])]


@pytest.mark.parametrize("how", [Ending.STOP, Ending.ABORT])
def test_iterating_ends_where_the_reader_ends_the_request(how: Ending) -> None:
    ended: list[tuple[Ending, int, str]] = []

    async def read() -> int:
        stream = request(ended)
        stream.push(Output(key=1, token_ids=[1]))
        seen = 0
        async for _ in stream:
            seen += 1
            if how is Ending.STOP:
                stream.stop(1)
            else:
                stream.abort("left")
        return seen

    assert asyncio.run(read()) == 1
    assert ended == [(how, 1, "") if how is Ending.STOP else (how, 0, "left")]


def test_joined_keeps_what_only_one_has() -> None:
    first = Output(key=1, token_ids=[1], prompt_logprobs=[logprob(3)])
    second = Output(key=1, token_ids=[2], finish_reason="stop", stop_token_id=2)
    assert joined(first, second) == Output(
        key=1,
        token_ids=[1, 2],
        prompt_logprobs=[logprob(3)],
        finish_reason="stop",
        stop_token_id=2,
    )
