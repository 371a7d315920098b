"""The trace of what passed: lengths, shared beginnings, no text."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.proxy import trace as trace_module
from prodtop.engine.attach.proxy.asked import Asked, asked_of
from prodtop.engine.attach.proxy.exchange import Exchange
from prodtop.engine.attach.proxy.heads import NO_BODY, RequestHead, ResponseHead
from prodtop.engine.attach.proxy.prompt_blocks import (
    GUESSED_BYTES_PER_TOKEN,
    bytes_per_token,
    fitted,
    text_chain,
    token_chain,
)
from prodtop.engine.attach.proxy.trace import (
    LEARNED_ANSWERS,
    MOST_FAILED,
    MOST_UNTOLD,
    ProxyTrace,
)
from prodtop.engine.traces.mooncake import BLOCK_TOKENS, read_line
from prodtop.engine.traces.rows import Measured
from prodtop.engine.traces.trace_file import read_trace
from scripted_upstream import event, usage

KEY = b"k" * 32
HEAD = RequestHead(b"POST", b"/v1/completions", b"1.1", (), NO_BODY)
STREAMED = ((b"content-type", b"text/event-stream"),)


def served(
    trace: ProxyTrace, number: int, asked: Asked, prompt_tokens: int | None, output: int = 2
) -> None:
    """A request that passes and ends."""
    exchange = Exchange(number, float(number), HEAD)
    trace.on_sent(number, asked)
    exchange.on_head(ResponseHead(200, STREAMED, NO_BODY))
    exchange.on_content([event("x")] * output, number + 0.5)
    if prompt_tokens is not None:
        exchange.on_content([usage(prompt_tokens, output)], number + 0.5)
    exchange.end(number + 0.6)
    trace.on_ended(exchange)


def lines(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (folder / "t.jsonl").read_text().splitlines()]
    for line in (folder / "t.jsonl").read_bytes().splitlines():
        read_line(line)
    return found


def test_beginnings_that_are_shared_have_the_same_blocks(tmp_path: Path) -> None:
    # Five bytes a token, whatever was guessed.
    shared = "".join(f"{n:04} " for n in range(4 * BLOCK_TOKENS))
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    for number in range(2 * LEARNED_ANSWERS):
        own = f"<{number:03}>" * BLOCK_TOKENS
        prompt = (shared + own).encode()
        served(trace, number, Asked(prompt=prompt), len(prompt) // 5)
    trace.close()
    ids = [line["hash_ids"] for line in lines(tmp_path)]
    assert ids[0] == [0, 1, 2, 3, 4]
    assert all(each[:4] == [0, 1, 2, 3] for each in ids if isinstance(each, list))
    assert len({str(each) for each in ids}) == len(ids), "their ends are their own"
    assert [line["input_length"] for line in lines(tmp_path)] == [5 * BLOCK_TOKENS] * len(ids)
    assert read_trace(tmp_path / "t.jsonl").block_tokens == BLOCK_TOKENS


def test_lengths_that_nobody_told_come_from_bytes(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    for number in range(MOST_UNTOLD):
        served(trace, number, Asked(prompt=b"x" * 400), None)
    assert trace.flush(100.0, float("inf")) is None
    assert {line["input_length"] for line in lines(tmp_path)} == {400 / GUESSED_BYTES_PER_TOKEN}
    assert {line["output_length"] for line in lines(tmp_path)} == {2}
    trace.close()


def test_prompts_of_tokens_need_no_guess(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    ids = list(range(3 * BLOCK_TOKENS))
    for number, prompt in enumerate((ids, [*ids[:BLOCK_TOKENS], 7], ids)):
        asked = asked_of("/v1/completions", json.dumps({"prompt": prompt}).encode())
        assert asked.token_ids == tuple(prompt)
        served(trace, number, asked, None)
    trace.close()
    assert [line["input_length"] for line in lines(tmp_path)] == [1536, 513, 1536]
    assert [line["hash_ids"] for line in lines(tmp_path)] == [[0, 1, 2], [0, 3], [0, 1, 2]]


def test_requests_without_a_token_or_a_prompt_are_no_lines(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    served(trace, 0, Asked(prompt=b"abc"), 3, output=0)
    served(trace, 1, Asked(), 3)
    served(trace, 2, Asked(prompt=b"abc"), 3)
    trace.close()
    assert len(lines(tmp_path)) == 1


def test_lines_wait_for_the_size_of_a_block_and_for_older_requests(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    for number in range(1, LEARNED_ANSWERS):
        served(trace, number, Asked(prompt=b"abcdefgh"), 2)
    trace.flush(100.0, float("inf"))
    assert not lines(tmp_path)
    served(trace, LEARNED_ANSWERS, Asked(prompt=b"abcdefgh"), 2)
    trace.flush(200.0, 3.0)
    assert [line["timestamp"] for line in lines(tmp_path)] == [0, 1000]
    trace.close()
    assert len(lines(tmp_path)) == LEARNED_ANSWERS


def test_prompts_in_memory_have_bounds(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    part = trace_module.MOST_KEPT_BYTES // 4
    for number in range(6):
        trace.on_sent(number, Asked(prompt=b"x" * part))
        assert sum(map(len, trace._texts.values())) <= trace_module.MOST_KEPT_BYTES
    trace.close()


@given(st.integers(1, 9_000), st.integers(1, 60_000), st.floats(1.0, 16.0))
def test_a_line_has_as_many_blocks_as_its_tokens(
    tokens: int, text_bytes: int, token_bytes: float
) -> None:
    blocks = -(-tokens // BLOCK_TOKENS)
    text = bytes(at % 251 for at in range(text_bytes))
    for chain in (text_chain(text, token_bytes, KEY), token_chain(range(text_bytes), KEY)):
        hashes = fitted(chain, tokens, KEY)
        assert len(hashes) == len(set(hashes)) == blocks
        assert hashes[-1] == chain[-1], "the last one stands for all of it"
        shared = min(blocks, len(chain)) - 1
        assert hashes[:shared] == chain[:shared]


@given(st.binary(min_size=1, max_size=3_000), st.binary(min_size=1, max_size=3_000))
def test_other_texts_have_other_ends_and_another_key_other_hashes(one: bytes, two: bytes) -> None:
    ends = {text_chain(text, 1.0, KEY)[-1] for text in (one, two)}
    assert len(ends) == len({one, two})
    assert not set(text_chain(one, 1.0, KEY)) & set(text_chain(one, 1.0, b"other" * 4))


def test_what_a_token_takes_is_measured_within_bounds() -> None:
    assert bytes_per_token(0, 0) == GUESSED_BYTES_PER_TOKEN
    assert bytes_per_token(300, 100) == 3.0
    assert bytes_per_token(1, 100) == 1.0
    assert bytes_per_token(10_000, 1) == 16.0


def failed(trace: ProxyTrace, number: int, asked: Asked, pieces: int = 0) -> None:
    """A request that the server refuses, or whose stream breaks off after some pieces."""
    exchange = Exchange(number, float(number), HEAD)
    trace.on_sent(number, asked)
    exchange.on_head(ResponseHead(200 if pieces else 503, STREAMED, NO_BODY))
    exchange.on_content([event("x")] * pieces, number + 0.5)
    exchange.end(number + 0.6, "the server broke off" if pieces else None)
    trace.on_ended(exchange)


def test_lines_say_how_their_requests_went(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    served(trace, 0, Asked(prompt=b"abcdefgh"), 3)
    failed(trace, 1, Asked(prompt=b"abcdefgh"))
    failed(trace, 2, Asked(prompt=b"abcdefgh"), pieces=2)
    failed(trace, 3, Asked())
    trace.close()
    found = [read_line(line) for line in (tmp_path / "t.jsonl").read_bytes().splitlines()]
    assert [row.output_tokens for row in found] == [2, 0, 2, 0]
    assert found[0].measured == Measured(ttft_ms=500.0, tpot_ms=0.0, e2e_ms=500.0, ok=True)
    for row in found[1:]:
        assert row.measured == Measured(e2e_ms=600.0, ok=False)
    # Those that failed without a token are lines, and nothing that could be played.
    played = read_trace(tmp_path / "t.jsonl")
    assert (len(played), played.without_output) == (2, 2)


def test_failures_alone_do_not_wait_for_ever_to_be_written(tmp_path: Path) -> None:
    trace = ProxyTrace(tmp_path / "t.jsonl", 0.0)
    for number in range(MOST_FAILED):
        failed(trace, number, Asked(prompt=b"abcdefgh"))
    assert trace.flush(1e6, float("inf")) is None
    assert len(lines(tmp_path)) == MOST_FAILED
    trace.close()
