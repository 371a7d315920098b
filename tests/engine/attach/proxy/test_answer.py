"""What answers tell, of every engine's kind, however their bytes are cut."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.reading import answer as answer_module
from prodtop.engine.attach.reading.answer import Answer

SSE, NDJSON, JSON = "text/event-stream", "application/x-ndjson", "application/json; charset=utf-8"


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def choice(text: str, reason: str | None = None, index: int = 0) -> dict[str, object]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


CHAT = b"".join(
    [
        data({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        data({"choices": [choice("a")]}),
        b": keep-alive\n\n",
        data({"choices": [choice("b")], "usage": None}),
        data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        data(
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 12,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 8},
                },
            }
        ),
        b"data: [DONE]\n\n",
    ]
)
COMPLETION = b"".join(
    [
        data({"choices": [{"index": 0, "text": "a", "finish_reason": None}]}),
        data({"choices": [{"index": 0, "text": "b", "finish_reason": "length"}]}),
    ]
)
LLAMA_CPP = data({"choices": [choice("x")]}) + data(
    {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
        "timings": {"cache_n": 6, "prompt_n": 4, "prompt_ms": 20.5, "predicted_n": 2},
    }
)
LLAMA_CPP_OWN = data({"content": "x", "stop": False}) + data(
    {
        "content": "",
        "stop": True,
        "stop_type": "eos",
        "timings": {"prompt_n": 4, "prompt_ms": 9.0, "predicted_n": 2},
    }
)
OLLAMA = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in [
        {"message": {"role": "assistant", "content": "a"}, "done": False},
        {"message": {"role": "assistant", "content": "", "thinking": "b"}, "done": False},
        {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 9,
            "prompt_eval_duration": 30_000_000,
            "eval_count": 3,
        },
    ]
)
GENERATE = b'{"response":"a","done":false}\n{"response":"","done":true,"eval_count":1}'

STREAMS = [
    pytest.param(SSE, CHAT, (2, 12, 3, 8, None, "stop"), id="chat"),
    pytest.param(SSE, CHAT.replace(b"\n", b"\r\n"), (2, 12, 3, 8, None, "stop"), id="chat, CRLF"),
    pytest.param(SSE, COMPLETION, (2, None, 2, None, None, "length"), id="completion"),
    pytest.param(SSE, LLAMA_CPP, (1, 10, 2, 6, 20.5, "length"), id="llama.cpp"),
    pytest.param(SSE, LLAMA_CPP_OWN, (1, 4, 2, None, 9.0, "eos"), id="llama.cpp's own"),
    pytest.param(NDJSON, OLLAMA, (2, 9, 3, None, 30.0, "stop"), id="Ollama chat"),
    pytest.param(NDJSON, GENERATE, (1, None, 1, None, None, None), id="Ollama generate"),
]


@pytest.mark.parametrize(("content_type", "sent", "told"), STREAMS)
@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_a_stream_tells_the_same_however_it_is_cut(
    content_type: str, sent: bytes, told: tuple[object, ...], size: int
) -> None:
    answer = Answer(content_type)
    for at in range(0, len(sent), size):
        answer.take(sent[at : at + size], float(at))
    pieces = answer.pieces
    answer.end(float(len(sent)))
    assert (
        pieces,
        answer.prompt_tokens,
        answer.output_tokens,
        answer.cached_tokens,
        answer.prefill_ms,
        answer.finish_reason,
    ) == told
    assert answer.streamed
    assert not answer.failed


def test_pieces_have_times_and_gaps() -> None:
    answer = Answer(SSE)
    for at_s, text in ((1.0, ""), (2.0, "a"), (2.25, "b"), (3.0, "c")):
        answer.take(data({"choices": [choice(text)]}), at_s)
    answer.end(9.0)
    assert answer.piece_times_s == [2.0, 2.25, 3.0]
    assert answer.gaps_s == [0.25, 0.75]
    assert answer.output_tokens == 3


def test_tokens_that_came_together_have_no_time_between_them() -> None:
    answer = Answer(SSE)
    for at_s in (1.0, 2.0):
        answer.take(data({"choices": [choice("a few words")]}), at_s)
    answer.take(data({"choices": [choice("", "stop")]}), 2.5)
    answer.take(data({"choices": [], "usage": {"completion_tokens": 7}}), 2.5)
    answer.end(2.5)
    # Seven tokens have six gaps: two were seen, the last token without text; four passed no time.
    assert sorted(answer.gaps_s) == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
    assert np.mean(answer.gaps_s) == (2.5 - 1.0) / (7 - 1), "as TPOT has it"


def test_choices_side_by_side_have_gaps_of_their_own() -> None:
    answer = Answer(SSE)
    for at_s, index in ((1.0, 0), (1.1, 1), (2.0, 0), (2.3, 1)):
        answer.take(data({"choices": [choice("x", index=index)]}), at_s)
    answer.end(3.0)
    assert answer.choices == 2
    assert answer.gaps_s == pytest.approx([1.0, 1.2])


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"content": [{"type": "text", "text": "x"}]},
    ],
)
def test_whatever_is_generated_is_a_piece(delta: dict[str, object]) -> None:
    answer = Answer(SSE)
    answer.take(data({"choices": [{"index": 0, "delta": delta}]}), 1.0)
    assert answer.pieces == 1


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_whole_answer_tells_its_tokens_and_no_pieces(encoding: str) -> None:
    whole = {
        "choices": [{"index": 0, "message": {"content": "abc"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 40},
    }
    body = json.dumps(whole).encode()
    answer = Answer(JSON, encoding)
    for byte in gzip.compress(body) if encoding else body:
        answer.take(bytes([byte]), 1.0)
    answer.end(2.0)
    assert (answer.prompt_tokens, answer.output_tokens, answer.pieces) == (5, 40, 0)
    assert answer.gaps_s == []
    assert answer.finish_reason == "stop"
    untold = Answer(JSON)
    untold.take(b'{"choices":[{"index":0}]}', 1.0)
    untold.end(2.0)
    assert untold.output_tokens is None, "not 0, and not a guess"


@pytest.mark.parametrize("sent", [{"error": {"message": "no"}}, {"error": "out of memory"}])
def test_an_error_within_a_stream_is_one(sent: object) -> None:
    answer = Answer(SSE)
    answer.take(data({"choices": [choice("x")]}) + data(sent), 1.0)
    assert answer.failed


@given(st.sampled_from([SSE, NDJSON, JSON, "text/html", ""]), st.lists(st.binary(), max_size=9))
def test_garbage_tells_nothing_and_harms_nothing(content_type: str, parts: list[bytes]) -> None:
    answer = Answer(content_type, "gzip" if len(parts) % 2 else "")
    for part in parts:
        answer.take(b"data: " + part, 1.0)
        answer.take(part, 1.0)
    answer.end(1.0)
    assert answer.told_tokens is None
    assert not answer.pieces


@pytest.mark.parametrize("tokens", [-1, 1 << 40, "7", 2.5, True, None, [1]])
def test_a_number_of_tokens_that_is_none_is_not_believed(tokens: object) -> None:
    answer = Answer(SSE)
    answer.take(data({"choices": [], "usage": {"completion_tokens": tokens}}), 1.0)
    answer.end(1.0)
    assert answer.told_tokens is None


def test_what_is_kept_of_an_endless_answer_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_module, "LONGEST_EVENT_BYTES", 1000)
    monkeypatch.setattr(answer_module, "MOST_PIECES", 10)
    endless = Answer(SSE)
    for _ in range(50):
        endless.take(b"data: " + b"x" * 100, 1.0)
    assert len(endless._waiting) <= 1000
    lines = Answer(SSE)
    for _ in range(5_000):
        lines.take(b"data: x\n", 1.0)
    assert sum(map(len, lines._data)) <= 1000
    many = Answer(SSE)
    for at in range(50):
        many.take(data({"choices": [choice("x")]}), float(at))
    many.end(50.0)
    assert many.pieces == 50
    assert len(many.piece_times_s) == 10
    bomb = Answer(JSON, "gzip")
    bomb.take(gzip.compress(bytes(1 << 20)), 1.0)
    assert len(bomb._waiting) <= 1000
