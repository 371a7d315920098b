"""Tools: what the model is told of them, and its calls found in its text, however it comes."""

import json
from itertools import pairwise

import pytest
from api_harness import CHAT, HELLO, finish_reasons, saying, scripted, streamed_text
from asgi_client import Json
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer
from prodtop.engine.server.tool_calls import CallParser, ForcedCalls, FreeCalls, Parsed
from served_folders import bundled_tokenizer

WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Look up the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/Days"}},
            "required": ["city"],
            "$defs": {"Days": {"type": "integer", "minimum": 1}},
        },
    },
}
CLOCK: Json = {"type": "function", "function": {"name": "clock"}}
TOOLS: Json = {"tools": [WEATHER, CLOCK]}

NOTHING: Json = {"type": "null"}
CALL = '{"name": "weather", "arguments": {"city": "Köln"}}'
HERMES = f"<tool_call>\n{CALL}\n</tool_call>"
LLAMA = '{"name": "weather", "parameters": {"city": "Köln"}}'
KOELN = ("weather", {"city": "Köln"})
TEXTS: dict[str, tuple[str, str, list[tuple[str, Json]]]] = {
    "nothing": ("", "", []),
    "text": ("It rains.", "It rains.", []),
    "text with a space at its end": ("It rains. \n", "It rains. \n", []),
    "Hermes": (HERMES, "", [KOELN]),
    "Hermes after text": (f"Let me see.\n\n{HERMES}\n", "Let me see.", [KOELN]),
    "two of Hermes": (f"{HERMES}\n{HERMES}", "", [KOELN, KOELN]),
    "text between": (f"{HERMES}\nand \n{HERMES} so", "andso", [KOELN, KOELN]),
    "Hermes without its end": (f"<tool_call>{CALL}", "", [KOELN]),
    "Hermes, cut off": (f"a <tool_call>{CALL[:20]}", f"a <tool_call>{CALL[:20]}", []),
    "Hermes, no JSON": ("a <tool_call>b</tool_call> c", "a <tool_call>b</tool_call> c", []),
    "Hermes, no name": ("<tool_call>{}</tool_call>", "<tool_call>{}</tool_call>", []),
    "Hermes, without arguments": (
        '<tool_call>{"name": "clock"}</tool_call>',
        "",
        [("clock", {})],
    ),
    "a part of a tag": ("a <tool_cal", "a <tool_cal", []),
    "less than": ("1 <t 2 < 3", "1 <t 2 < 3", []),
    "Llama": (LLAMA, "", [KOELN]),
    "Llama, after a line": (f"\n{LLAMA}", "", [KOELN]),
    "Llama with a tag": (f"<|python_tag|>{LLAMA}", "", [KOELN]),
    "two of Llama": (f"{LLAMA}; {LLAMA}", "", [KOELN, KOELN]),
    "Llama, unknown": ('{"name": "x", "parameters": {}}', '{"name": "x", "parameters": {}}', []),
    "JSON that is no call": ('{"a": 1}', '{"a": 1}', []),
    "Llama with text": (f"{LLAMA} ok", f"{LLAMA} ok", []),
    "Llama, cut off": (LLAMA[:30], LLAMA[:30], []),
    "JSON before Hermes": ('{"a": 1}\n' + HERMES, '{"a": 1}', [KOELN]),
}  # fmt: skip


def run(parser: CallParser, pieces: list[str]) -> Parsed:
    """Everything that a parser gives."""
    all_parsed = [*map(parser.push, pieces), parser.end()]
    content = "".join(each.content for each in all_parsed)
    return Parsed(content, [call for each in all_parsed for call in each.calls])


def calls_of(parsed: Parsed) -> list[tuple[str, Json]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in parsed.calls]


@pytest.mark.parametrize("case", TEXTS)
def test_calls_are_found_in_a_text(case: str) -> None:
    text, content, calls = TEXTS[case]
    parsed = run(FreeCalls(["weather", "clock"]), [text])
    assert (parsed.content, calls_of(parsed)) == (content, calls)
    assert len({call.id for call in parsed.calls}) == len(calls)


@given(
    parts=st.lists(
        st.sampled_from(
            [
                HERMES,
                LLAMA,
                "<tool_call>",
                "</tool_call>",
                "<",
                "{",
                "\n",
                " a ",
                ";",
                "<|python_tag|>",
            ]
        ),
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_how_a_text_was_cut_does_not_matter(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    for make in (lambda: FreeCalls(["weather"]), lambda: ForcedCalls(None)):
        whole, cut = run(make(), [text]), run(make(), pieces)
        assert (cut.content, calls_of(cut)) == (whole.content, calls_of(whole))


@pytest.mark.parametrize("case", TEXTS)
@pytest.mark.parametrize("at_once", [1, 50])
async def test_a_stream_has_the_calls_of_the_whole_answer(case: str, at_once: int) -> None:
    text, content, calls = TEXTS[case]
    api, _ = scripted(saying(text, finish_reason="stop", at_once=at_once))
    whole = (await api.post(CHAT, HELLO | TOOLS)).json()["choices"][0]
    message = whole["message"]
    assert message["content"] == (None if calls and not content else content)
    made = [each["function"] for each in message.get("tool_calls", [])]
    assert [(each["name"], json.loads(each["arguments"])) for each in made] == calls
    assert whole["finish_reason"] == ("tool_calls" if calls else "stop")
    events = (await api.post(CHAT, HELLO | TOOLS | {"stream": True})).events()
    assert streamed_text(events) == content
    deltas = [event["choices"][0]["delta"] for event in events]
    streamed = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [call["function"] for call in streamed] == made
    assert [call["index"] for call in streamed] == list(range(len(calls)))
    assert {call["type"] for call in streamed} <= {"function"}
    assert finish_reasons(events) == [whole["finish_reason"]]


async def test_without_tools_a_call_is_text() -> None:
    api, link = scripted(saying(HERMES, finish_reason="stop"))
    for body in (HELLO, HELLO | TOOLS | {"tool_choice": "none"}):
        choice = (await api.post(CHAT, body)).json()["choices"][0]
        assert choice["message"]["content"] == HERMES
        assert choice["finish_reason"] == "stop"
    first, second = (stream.submit for stream in link.streams)
    assert first.prompt_tokens == second.prompt_tokens


async def test_one_call_is_enough_where_they_may_not_be_parallel() -> None:
    api, _ = scripted(saying(f"{HERMES}\n{HERMES}", finish_reason="stop"))
    body = HELLO | TOOLS | {"parallel_tool_calls": False}
    whole = (await api.post(CHAT, body)).json()["choices"][0]
    assert len(whole["message"]["tool_calls"]) == 1
    events = (await api.post(CHAT, body | {"stream": True})).events()
    deltas = [event["choices"][0]["delta"] for event in events]
    assert sum("tool_calls" in delta for delta in deltas) == 1


def allows(grammar: str, text: str) -> bool:
    """Whether a grammar lets a whole text through."""
    matcher = LLMatcher(LLTokenizer("byte"), grammar)
    data = list(text.encode())
    return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_named_tool_must_be_called(stream: bool) -> None:
    api, link = scripted(saying('{"city": "Köln"}', finish_reason="stop"))
    body = HELLO | TOOLS | {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
    answer = await api.post(CHAT, body | {"stream": stream})
    choice = (
        answer.events()[1]["choices"][0]["delta"]
        if stream
        else answer.json()["choices"][0]["message"]
    )
    (call,) = choice["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Köln"}'}
    grammar = link.streams[0].submit.sampling.grammar
    assert grammar is not None
    assert allows(grammar, '{"city": "Bonn", "days": 2}')
    assert not allows(grammar, '{"days": 2}')
    assert not allows(grammar, '{"city": "Bonn", "days": "2"}')


async def test_any_tool_must_be_called_where_one_is_required() -> None:
    calls = f'[{LLAMA}, {{"name": "clock", "parameters": {{}}}}]'
    api, link = scripted(saying(calls, finish_reason="stop"))
    choice = (await api.post(CHAT, HELLO | TOOLS | {"tool_choice": "required"})).json()["choices"][
        0
    ]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == [
        "weather",
        "clock",
    ]
    assert choice["finish_reason"] == "tool_calls"
    grammar = link.streams[0].submit.sampling.grammar
    assert grammar is not None
    assert allows(grammar, calls)
    assert not allows(grammar, "[]")
    assert not allows(grammar, '[{"name": "other", "parameters": {}}]')
    assert not allows(grammar, '[{"name": "weather", "parameters": {"days": 1}}]')
    body = HELLO | TOOLS | {"tool_choice": "required", "parallel_tool_calls": False}
    await api.post(CHAT, body)
    single = link.streams[1].submit.sampling.grammar
    assert single is not None
    assert not allows(single, calls)
    assert allows(single, f"[{LLAMA}]")


async def test_a_forced_call_that_its_length_cut_off_is_not_done() -> None:
    api, _ = scripted(saying('{"city": "Kö'))
    body = HELLO | TOOLS | {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
    choice = (await api.post(CHAT, body)).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "Kö'


async def test_the_template_gets_tools_calls_and_results() -> None:
    api, link = scripted(saying("x"))
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "clock", "arguments": '{"a": "é"}'},
    }
    messages = [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "S"}, {"type": "text", "text": "T"}],
        },
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "R"},
    ]
    body = {"messages": messages, "tools": [CLOCK], "chat_template_kwargs": {"shout": True}}
    assert (await api.post(CHAT, body)).status == 200
    assert bundled_tokenizer().decode(link.streams[0].submit.prompt_tokens) == (
        '[{"type": "function", "function": {"name": "clock"}}]'
        '<system>S\nT\n<user>U\n<assistant>({"name": "clock", "arguments": {"a": "é"}})\n'
        "<tool>R#call_1\n<assistant>!"
    )


@pytest.mark.parametrize(
    ("more", "good", "bad"),
    [
        ({"response_format": {"type": "json_object"}}, '{"a": [1]}', "[1]"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": NOTHING}}},
            "null",
            "{}",
        ),
        ({"structured_outputs": {"json": {"type": "integer"}}}, "12", "a"),
        ({"structured_outputs": {"regex": "a+b"}}, "aab", "b"),
        ({"structured_outputs": {"choice": ["yes", 'n"\no']}}, 'n"\no', "maybe"),
        ({"structured_outputs": {"grammar": 'root ::= "x" | "y"'}}, "y", "z"),
        ({"structured_outputs": {"grammar": 'start: "x" | "y"'}}, "y", "z"),
        ({"guided_json": '{"type": "boolean"}'}, "true", "1"),
        ({"guided_regex": "[0-9]{2}"}, "12", "1"),
        ({"guided_choice": ["a"]}, "a", "b"),
        ({"guided_grammar": 'start: "x"'}, "x", "y"),
    ],
)  # fmt: skip
async def test_a_structure_becomes_a_grammar(more: Json, good: str, bad: str) -> None:
    api, link = scripted(saying("x"))
    assert (await api.post(CHAT, HELLO | more)).status == 200
    grammar = link.streams[0].submit.sampling.grammar
    assert grammar is not None
    assert allows(grammar, good)
    assert not allows(grammar, bad)


async def test_any_text_has_no_grammar() -> None:
    api, link = scripted(saying("x"))
    for more in ({}, {"response_format": {"type": "text"}}, TOOLS, TOOLS | {"tool_choice": "auto"}):
        assert (await api.post(CHAT, HELLO | more)).status == 200
    assert {stream.submit.sampling.grammar for stream in link.streams} == {None}
