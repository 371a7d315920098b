"""Where bodies end, however their bytes are cut."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.proxy.framing import LONGEST_LINE_BYTES, Body, FramingError
from prodtop.engine.attach.proxy.heads import UNTIL_CLOSE, Framing

CHUNKED = Framing(None, chunked=True)
NEXT = b"HTTP/1.1 200 OK\r\n"


def fed(body: Body, data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    """The content, and how many bytes belonged to the body."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    content, taken = b"", 0
    for begin, end in pairwise(places):
        piece = data[begin:end]
        at, parts = body.take(piece)
        content += b"".join(parts)
        taken += at
        if body.done:
            break
        assert at == len(piece)
    return content, taken


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]),
    st.sampled_from([b"", b";name=value", b"  "]),
    st.lists(st.integers(0, 500), max_size=30),
)
def test_chunks_end_where_they_end(
    chunks: list[bytes], trailers: bytes, extension: bytes, cuts: list[int]
) -> None:
    data = b"".join(b"%X%s\r\n%s\r\n" % (len(each), extension, each) for each in chunks)
    data += b"0" + extension + b"\r\n" + trailers + b"\r\n"
    body = Body(CHUNKED)
    content, taken = fed(body, data + NEXT, cuts)
    assert body.done
    assert (content, taken) == (b"".join(chunks), len(data))


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=9))
def test_a_length_is_counted_down(sent: bytes, cuts: list[int]) -> None:
    body = Body(Framing(len(sent)))
    content, taken = fed(body, sent + NEXT, cuts)
    assert body.done
    assert (content, taken) == (sent, len(sent)) or not sent


def test_without_either_only_the_connection_ends_it() -> None:
    body = Body(UNTIL_CLOSE)
    assert body.take(b"abc") == (3, [b"abc"])
    assert body.until_close
    assert not body.done


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"-1\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b"\r\n",
        b"5 5\r\nhello",
        b"5\nhello\r\n",
        b"2\r\nabc\r\n",
        b"2\r\nab\n",
        b"f" * 16 + b"\r\n",
        b"1;" + b"e" * LONGEST_LINE_BYTES,
        b"0\r\n" + b"X: 1\r\n" * LONGEST_LINE_BYTES,
    ],
)
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(FramingError):
        fed(Body(CHUNKED), data, [])
    cuts = [random.Random(1).randrange(len(data)) for _ in range(9)]
    with pytest.raises(FramingError):
        fed(Body(CHUNKED), data, cuts)
