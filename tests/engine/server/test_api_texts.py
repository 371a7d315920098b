"""Texts out of tokens: streamed and whole the same, cut where stop strings say, in every shape."""

import pytest
from api_harness import (
    CHAT,
    COMPLETIONS,
    HELLO,
    finish_reasons,
    saying,
    scripted,
    streamed_text,
    whole_text,
)
from asgi_client import Json
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol.served import Output, Submit
from prodtop.engine.server.choice_text import ChoiceText, join_pieces
from prodtop.engine.server.tokenizers import build_tokenizer
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from scripted_link import Told, outputs, serving_of
from served_folders import bundled_tokenizer, chat_folder, ids_of

BODIES: dict[str, Json] = {COMPLETIONS: {"prompt": "hello", "max_tokens": 30}, CHAT: HELLO}
BOTH = pytest.mark.parametrize("path", BODIES)

TOKENIZER = build_tokenizer(serving_of().tokenizer)


def text_before_stop(text: str, stops: list[str]) -> str:
    """The oracle: what is left of a whole text by the stop string that is complete first."""
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    return text[: min(ends)[1]] if ends else text


@settings(max_examples=100, deadline=None)
@given(
    token_ids=st.lists(st.integers(1, 4095), min_size=1, max_size=30),
    stops=st.lists(st.text("e t\nah", min_size=1, max_size=3), max_size=3),
    cuts=st.lists(st.integers(1, 5), min_size=30, max_size=30),
)
def test_a_text_does_not_depend_on_how_its_tokens_came(
    token_ids: list[int], stops: list[str], cuts: list[int]
) -> None:
    text = ChoiceText(TOKENIZER.stream(), stops)
    pieces, left = [], list(token_ids)
    while left and not text.stopped:
        taken, left = left[: cuts[0]], left[cuts[0] :]
        cuts = cuts[1:]
        pieces.append(
            text.push(Output(key=0, token_ids=taken, finish_reason=None if left else "length"))
        )
    whole = join_pieces(pieces)
    decoded = bundled_tokenizer().decode(token_ids)
    assert whole.text == text_before_stop(decoded, stops)
    assert whole.finish_reason == ("stop" if text.stopped else "length")
    assert whole.token_ids == token_ids[: text.generated]
    assert len(whole.text_offsets) == text.generated
    # The token that completed the stop string is the last that counts.
    if text.stopped:
        before = bundled_tokenizer().decode(token_ids[: text.generated - 1])
        assert not any(stop in before for stop in stops) or "\ufffd" in decoded


@BOTH
@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stop": "miller"},
        {"stop": ["zzz", "e m", "mill"]},
        {"stop": ["mill"], "include_stop_str_in_output": True},
        {"stop": ["river"], "min_tokens": 4},
    ],
)
async def test_a_stream_says_what_the_whole_answer_says(
    path: str, at_once: int, more: Json
) -> None:
    text = "The river ran past the old mill, and the miller slept by the river."
    api, link = scripted(saying(text, finish_reason="stop", at_once=at_once))
    body = BODIES[path] | more
    whole = (await api.post(path, body)).json()["choices"][0]
    events = (await api.post(path, body | {"stream": True})).events()
    assert streamed_text(events) == whole_text(whole)
    assert finish_reasons(events) == [whole["finish_reason"]] == ["stop"]
    ends = [part for event in events for part in event["choices"] if part["finish_reason"]]
    assert [end["stop_reason"] for end in ends] == [whole["stop_reason"]]
    assert {stream.stopped_after for stream in link.streams} == {link.streams[0].stopped_after}


async def test_a_stop_string_ends_the_engines_request_too() -> None:
    ids = ids_of("one two three four")
    api, link = scripted(outputs(ids))
    answer = (await api.post(COMPLETIONS, {"prompt": "a", "stop": " three"})).json()
    assert whole_text(answer["choices"][0]) == "one two"
    assert answer["choices"][0]["stop_reason"] == " three"
    kept = link.streams[0].stopped_after
    assert kept is not None
    assert kept == answer["usage"]["completion_tokens"]
    assert "three" in bundled_tokenizer().decode(ids[:kept])
    assert "three" not in bundled_tokenizer().decode(ids[: kept - 1])
    assert link.streams[0].submit.may_stop
    # The engine says no more of it: how much came from its cache is not known.
    assert answer["usage"]["prompt_tokens_details"] is None


@BOTH
async def test_a_character_in_several_tokens_comes_whole(path: str) -> None:
    text = "日本 🙂 café"
    api, _ = scripted(saying(text))
    events = (await api.post(path, BODIES[path] | {"stream": True})).events()
    assert streamed_text(events) == text
    assert not any("\ufffd" in str(event) for event in events)


@BOTH
async def test_bytes_that_are_no_character_are_replaced_once_the_text_ends(path: str) -> None:
    ids = ids_of("🙂")[:-1]
    api, _ = scripted(outputs(ids))
    events = (await api.post(path, BODIES[path] | {"stream": True})).events()
    whole = (await api.post(path, BODIES[path])).json()["choices"][0]
    assert streamed_text(events) == whole_text(whole) == bundled_tokenizer().decode(ids)
    assert "\ufffd" in streamed_text(events)


@BOTH
async def test_control_characters_reach_a_program_as_they_are(path: str) -> None:
    text = "if x:\n\tdo\r\n\x1b[2J"
    api, _ = scripted(saying(text))
    answer = await api.post(path, BODIES[path])
    assert whole_text(answer.json()["choices"][0]) == text
    assert b"\x1b" not in answer.body


@BOTH
@pytest.mark.parametrize("include", [False, True])
async def test_the_text_of_a_stop_token_is_not_shown(path: str, include: bool) -> None:
    ids = ids_of("all is well")
    told = outputs(ids, finish_reason="stop")
    api, _ = scripted(told)
    body = BODIES[path] | {"stop_token_ids": [ids[-1]], "include_stop_str_in_output": include}
    choice = (await api.post(path, body)).json()["choices"][0]
    expected = bundled_tokenizer().decode(ids if include else ids[:-1])
    assert whole_text(choice) == expected
    assert choice["stop_reason"] == ids[-1]


@BOTH
async def test_a_strategy_that_does_not_stream_brings_the_text_at_the_end(path: str) -> None:
    from msgspec.structs import replace

    held = replace(serving_of(chat_folder()), streams=False)
    api, _ = scripted(saying("one two three four"), serving=held)
    events = (await api.post(path, BODIES[path] | {"stream": True, "n": 2})).events()
    for index in (0, 1):
        texts = [streamed_text([event], index) for event in events]
        assert [text for text in texts if text] == ["one two three four"]
    assert finish_reasons(events) == ["length", "length"]


async def test_choices_of_several_prompts_have_their_places() -> None:
    def echo(submit: Submit) -> list[Told]:
        return outputs(submit.prompt_tokens)

    api, link = scripted(echo)
    prompts = ["one", "two three", "four"]
    body = {"prompt": prompts, "n": 2, "seed": 5}
    answer = (await api.post(COMPLETIONS, body)).json()
    assert [choice["index"] for choice in answer["choices"]] == list(range(6))
    assert [choice["text"] for choice in answer["choices"]] == [p for p in prompts for _ in (0, 1)]
    events = (await api.post(COMPLETIONS, body | {"stream": True})).events()
    assert [streamed_text(events, index) for index in range(6)] == [
        p for p in prompts for _ in (0, 1)
    ]
    assert [stream.submit.sampling.seed for stream in link.streams[:6]] == [5, 6] * 3
    lengths = [len(ids_of(prompt)) for prompt in prompts]
    assert answer["usage"]["prompt_tokens"] == sum(lengths)
    assert answer["usage"]["completion_tokens"] == 2 * sum(lengths)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("one two", [ids_of("one two")]),
        (["one", "two"], [ids_of("one"), ids_of("two")]),
        ([5, 6, 7], [[5, 6, 7]]),
        ([[5, 6], [7]], [[5, 6], [7]]),
    ],
)
async def test_a_prompt_may_come_in_four_ways(prompt: Json, expected: list[list[int]]) -> None:
    api, link = scripted(saying("x"))
    assert (await api.post(COMPLETIONS, {"prompt": prompt})).status == 200
    assert [stream.submit.prompt_tokens for stream in link.streams] == expected


def test_what_is_shown_in_a_terminal_is_still_cleaned() -> None:
    ids = ids_of("a\tb\x1b[2J")
    path = chat_folder() / "tokenizer.json"
    stream = CheckpointTokenizer(path, 4096).stream()
    assert "".join(map(stream.push, ids)) + stream.flush() == "a b[2J"
