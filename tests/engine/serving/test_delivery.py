"""What a client receives: the same text, whether token by token or at the end."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkpoints import END_OF_TEXT_ID, VOCABULARY
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.serving.delivery import Delivery
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.text.tokenizer import CheckpointTokenizer, NumberTokenizer, Tokenizer

TEXTS = [
    "The river ran past the old mill.",
    "“Où est le café?” Ça va?",
    "日本語のテキスト, русский",
    "🙂🚀 — 🏳️ e\u0301",
    "line one\nline two\n\n  indented",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> Tokenizer:
    return CheckpointTokenizer(tiny_folder / "tokenizer.json", VOCABULARY)


@dataclass
class Client:
    """One request, its delivery, and what had arrived after each token; token n comes at n s."""

    tokenizer: Tokenizer
    stream: bool
    stop_strings: tuple[str, ...] = ()
    ignore_eos: bool = False
    received: list[str] = field(default_factory=list)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.request = Request(
            request_id=0,
            prompt_tokens=[5, 6],
            max_tokens=1000,
            sampling=Sampling(),
            arrival_at_s=0.0,
            stop_token_ids=frozenset({END_OF_TEXT_ID}),
            stop_strings=self.stop_strings,
            ignore_eos=self.ignore_eos,
        )
        self.delivery = Delivery(self.request, self.tokenizer, stream=self.stream)

    @property
    def now_s(self) -> float:
        return float(self.request.num_output_tokens)

    def generate(self, tokens: list[int]) -> "Client":
        for token in tokens:
            self.request.tokens.append(token)
            self.stopped = self.delivery.push(self.now_s)
            self.received.append(self.delivery.text)
            if self.stopped:
                break
        return self

    def end(self) -> str:
        self.request.status = Status.FINISHED
        self.delivery.close(self.now_s)
        return self.delivery.text


def whole(tokenizer: Tokenizer, tokens: list[int]) -> str:
    """The text of a request that delivers at its end."""
    return Client(tokenizer, stream=False, ignore_eos=True).generate(tokens).end()


def assert_only_ever_grew(client: Client, final: str) -> None:
    for earlier, later in zip(client.received, [*client.received[1:], final], strict=True):
        assert later.startswith(earlier), "text that was delivered cannot be taken back"


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_text_is_the_text(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    client = Client(tokenizer, stream=True).generate(tokens)
    assert client.end() == whole(tokenizer, tokens)
    assert client.received[-1] == client.delivery.text, "nothing was left for the end"


@settings(deadline=None, max_examples=150)
@given(tokens=st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=30))
def test_any_tokens_stream_to_what_they_decode_to(tokenizer: Tokenizer, tokens: list[int]) -> None:
    """Among them many that are no UTF-8, or end in the middle of a character."""
    client = Client(tokenizer, stream=True).generate(tokens)
    final = client.end()
    assert final == whole(tokenizer, tokens)
    assert_only_ever_grew(client, final)


def test_half_a_character_is_never_shown(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("😺")
    assert len(tokens) > 1, "the character is one token: this tests nothing"
    client = Client(tokenizer, stream=True).generate(tokens)
    assert client.received == [""] * (len(tokens) - 1) + ["😺"]


def test_a_text_cut_within_a_character_ends_alike_under_every_delivery(
    tokenizer: Tokenizer,
) -> None:
    tokens = [*tokenizer.encode("mill "), *tokenizer.encode("😺")[:-1]]
    expected = whole(tokenizer, tokens)
    assert expected.startswith("mill \ufffd")
    assert Client(tokenizer, stream=True).generate(tokens).end() == expected
    held = Client(tokenizer, stream=False, stop_strings=("zzz",)).generate(tokens)
    assert held.end() == expected


def test_the_first_byte_of_a_stream_comes_with_the_first_text(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("😺 and more")
    client = Client(tokenizer, stream=True)
    bytes_of_cat = len(tokenizer.encode("😺"))
    client.generate(tokens[: bytes_of_cat - 1])
    assert client.request.first_byte_at_s is None, "tokens without text are no bytes"
    client.generate(tokens[bytes_of_cat - 1 :])
    client.end()
    assert client.request.first_byte_at_s == bytes_of_cat


def test_at_the_end_the_first_byte_comes_with_the_last(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(TEXTS[0])
    client = Client(tokenizer, stream=False).generate(tokens)
    assert set(client.received) == {""}
    assert client.request.first_byte_at_s is None
    client.end()
    assert client.request.first_byte_at_s == len(tokens)


def test_an_empty_answer_has_its_first_byte_at_its_end(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer, stream=True).generate([END_OF_TEXT_ID])
    assert client.end() == ""
    assert client.request.first_byte_at_s == 1.0


def test_held_until_the_end_unless_it_streams(tokenizer: Tokenizer) -> None:
    held, streamed = Client(tokenizer, stream=False), Client(tokenizer, stream=True)
    for client in (held, streamed):
        client.generate(tokenizer.encode("mill"))
    assert held.delivery.withheld
    assert not streamed.delivery.withheld
    held.end()
    assert not held.delivery.withheld


SWITCHES = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=6)


@settings(deadline=None, max_examples=120)
@given(
    tokens=st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=24),
    stream=st.booleans(),
    switches=SWITCHES,
    stops=st.sampled_from([(), ("zzz",), ("th", "e")]),
)
def test_switching_delivery_neither_loses_nor_doubles_text(
    tokenizer: Tokenizer,
    tokens: list[int],
    stream: bool,
    switches: list[tuple[int, bool]],
    stops: tuple[str, ...],
) -> None:
    steady = Client(tokenizer, stream=False, stop_strings=stops).generate(tokens).end()
    client = Client(tokenizer, stream=stream, stop_strings=stops)
    left = list(tokens)
    for steps, to in switches:
        if client.stopped:
            break
        now, left = left[:steps], left[steps:]
        client.generate(now)
        if not client.stopped:
            client.delivery.set_streaming(to, client.now_s)
            client.received.append(client.delivery.text)
    if not client.stopped:
        client.generate(left)
    final = client.end()
    assert final == steady
    if client.received:
        assert_only_ever_grew(client, final)


def test_switching_streaming_on_delivers_what_was_held(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer, stream=False).generate(tokenizer.encode("The river"))
    assert client.delivery.text == ""
    client.delivery.set_streaming(True, 50.0)
    assert client.delivery.text == "The river"
    assert client.request.first_byte_at_s == 50.0
    assert not client.delivery.withheld


def test_switching_before_the_first_token_is_no_first_byte(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer, stream=False)
    client.delivery.set_streaming(True, 3.0)
    assert client.request.first_byte_at_s is None


@pytest.mark.parametrize("stream", [True, False])
def test_a_stop_string_cuts_the_text(tokenizer: Tokenizer, stream: bool) -> None:
    tokens = tokenizer.encode("The river ran past the old mill, and on.")
    client = Client(tokenizer, stream=stream, stop_strings=("ld mi", "never")).generate(tokens)
    assert client.stopped
    assert client.end() == "The river ran past the o"
    assert all("l" not in text for text in client.received), "no part of the stop string was shown"


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_held_back_for_a_stop_string_is_not_lost(
    tokenizer: Tokenizer, stream: bool
) -> None:
    tokens = tokenizer.encode("past the old mil")
    client = Client(tokenizer, stream=stream, stop_strings=("mill, and",)).generate(tokens)
    assert not client.stopped
    assert client.end() == "past the old mil"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("stops", [(), ("zzz",)])
def test_the_end_of_text_is_not_shown(
    tokenizer: Tokenizer, stream: bool, stops: tuple[str, ...]
) -> None:
    tokens = [*tokenizer.encode("mill"), END_OF_TEXT_ID]
    assert Client(tokenizer, stream=stream, stop_strings=stops).generate(tokens).end() == "mill"


@pytest.mark.parametrize("stream", [True, False])
def test_a_stop_token_of_random_weights_is_not_shown(tokenizer: Tokenizer, stream: bool) -> None:
    numbers = NumberTokenizer(tokenizer, VOCABULARY)
    client = Client(numbers, stream=stream).generate([7, 8, END_OF_TEXT_ID])
    assert client.end() == "#7 #8 "


@pytest.mark.parametrize("stream", [True, False])
def test_control_characters_are_stripped(tokenizer: Tokenizer, stream: bool) -> None:
    tokens = tokenizer.encode("a\x1b[2Jb\x07c\u202ed\x9be\nf\tg")
    text = Client(tokenizer, stream=stream).generate(tokens).end()
    assert text == "a[2Jbcde\nf g"


def test_a_cached_answer_arrives_whole_at_once(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer, stream=True)
    client.delivery.replay("all of it", 0.25)
    assert client.delivery.text == "all of it"
    assert client.request.first_byte_at_s == 0.25
