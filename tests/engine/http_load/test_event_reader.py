"""A streamed answer is read alike however its bytes are cut, and garbage is told, not raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.http_load.event_reader import EventReader

EVENTS = (
    b'data: {"choices":[{"text":"Once","index":0}]}\n\n'
    b": keep-alive\n\n"
    b'data: {"choices":[{"text":" upon","index":0}]}\n\n'
    b'data: {"choices":[{"text":"","index":0,"finish_reason":"length"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,'
    b'"prompt_tokens_details":{"cached_tokens":4}}}\n\n'
    b"data: [DONE]\n\n"
)
CHAT = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\r\n\r\n'
    b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\r\n\r\n'
    b'data: {"choices":[{"delta":{"content":"yes"}}],"usage":null}\r\n\r\n'
    b"data: [DONE]\r\n\r\n"
)


def answered(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def read(data: bytes, cuts: list[int]) -> EventReader:
    reader, begin = EventReader(), 0
    for second, end in enumerate([*sorted(set(cuts)), len(data)]):
        reader.take(data[begin:end], float(second))
        begin = end
    return reader


@given(st.lists(st.integers(1, len(answered(EVENTS)) - 1), max_size=20))
def test_it_is_read_alike_however_it_is_cut(cuts: list[int]) -> None:
    reader = read(answered(EVENTS), cuts)
    answer = reader.answer
    assert reader.ended
    assert answer.finished
    assert answer.error is None
    assert len(answer.texts_at_s) == 2
    assert (answer.prompt_tokens, answer.output_tokens, answer.cached_tokens) == (7, 2, 4)
    assert answer.texts_at_s == sorted(answer.texts_at_s)


def test_of_a_chat_what_is_thought_counts_as_text() -> None:
    answer = read(answered(CHAT), []).answer
    assert len(answer.texts_at_s) == 2
    assert answer.finished
    assert answer.output_tokens is None


def test_a_reason_and_the_bodys_end_are_an_end_too() -> None:
    body = EVENTS.removesuffix(b"data: [DONE]\n\n")
    whole = read(answered(body), [])
    assert whole.answer.finished
    # Not yet where more of the body is to come, and not where no reason was told.
    assert not read(answered(body)[:-1], []).answer.finished
    assert not read(answered(body.replace(b'"length"', b"null")), []).answer.finished


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"data: {\n\n", "cannot be read"),
        (b'data: {"error":{"message":"x"}}\n\ndata: [DONE]\n\n', "broke the answer off"),
        (b"data: \xff\xfe\n\n", "cannot be read"),
    ],
)
def test_what_is_wrong_is_told(body: bytes, words: str) -> None:
    answer = read(answered(body), []).answer
    assert answer.error is not None
    assert words in answer.error
    assert not answer.finished


def test_a_refusal_has_its_status_and_no_text() -> None:
    answer = read(answered(b'{"error":{}}', b"429 Too Many Requests"), []).answer
    assert (answer.status, answer.texts_at_s, answer.finished) == (429, [], False)


@given(st.binary(max_size=300))
def test_anything_else_is_no_http_or_no_text(data: bytes) -> None:
    reader = EventReader()
    try:
        reader.take(data, 0.0)
    except ValueError:
        return
    assert reader.answer.texts_at_s == []
