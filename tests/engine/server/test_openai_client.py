"""OpenAI's own Python client against a real server."""

import asyncio

import pytest
from asgi_client import Json
from client_scripts import run_client
from engine_in_process import InProcessLink, bundled_engine
from http_server_thread import serving_app
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.served import Output, Submit
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.engine_link import EngineDownError
from prodtop.engine.server.limits import Limits
from scripted_link import ScriptedLink, Told, outputs, serving_of
from served_folders import bundled_tokenizer, chat_folder, ids_of

CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Bonn"}}</tool_call>'
SAID = "one two three"


def script(submit: Submit) -> list[Told]:
    """An answer by a word of the prompt."""
    prompt = bundled_tokenizer().decode(submit.prompt_tokens)
    if "rain" in prompt:
        return outputs([*ids_of("It rains."), 0], finish_reason="stop")
    if "weather" in prompt.rpartition("<user>")[2]:
        return outputs([*ids_of(CALL), 0], finish_reason="stop")
    if "json" in prompt:
        return outputs([*ids_of('{"name": "Bonn", "people": 330000}'), 0], finish_reason="stop")
    if "down" in prompt:
        return [EngineDownError("the worker has gone")]
    if "fail" in prompt:
        return [Output(key=0, token_ids=ids_of("one")), EngineDownError("the worker has gone")]
    if "slow" in prompt:
        return [_Pause(), *outputs(ids_of(SAID))]
    told = outputs(ids_of(SAID))
    return [Output(key=0, prompt_logprobs=[]), *told] if submit.prompt_logprobs else told


class _Pause(asyncio.Event):
    """A silence of some keep-alives."""

    async def wait(self) -> bool:  # type: ignore[override]  # typeshed has Literal[True]
        await asyncio.sleep(0.2)
        return True


@pytest.fixture(scope="module")
def got() -> Json:
    """What the client got, scene by scene."""
    link = ScriptedLink(script, serving_of(chat_folder()))
    limits = Limits(keep_alive_s=0.05, first_output_s=0.02)
    with serving_app(create_app(link, ServerOptions(), limits=limits)) as port:
        return run_client("openai", "openai_script.py", f"http://127.0.0.1:{port}")


def test_answers_whole_and_streamed(got: Json) -> None:
    text, reason, choices, usage = got["whole_chat"]
    assert (text, reason, choices) == (SAID, "length", 2)
    assert usage["completion_tokens"] == 2 * len(ids_of(SAID))
    assert usage["prompt_tokens_details"]["cached_tokens"] == 3
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
    assert got["streamed_chat"] == [SAID, "assistant", len(ids_of(SAID))]
    assert got["completion"] == [[0, f"one{SAID}", "length"], [1, f"two{SAID}", "length"]]
    assert got["streamed_completion"] == SAID


def test_tools_are_called(got: Json) -> None:
    assert got["tools"] == ["weather", {"city": "Bonn"}, "tool_calls", "stop"]
    assert got["stream_helper"] == [True, "weather", '{"city": "Bonn"}', "tool_calls"]


def test_structured_output_is_parsed(got: Json) -> None:
    assert got["parsed"] == ["City", "Bonn", 330_000]


def test_models_are_listed(got: Json) -> None:
    assert got["models"] == [["org/scripted"], 512]


def test_errors_are_of_the_right_classes(got: Json) -> None:
    assert got["errors"] == {
        "range": ["BadRequestError", "temperature", None],
        "model": ["NotFoundError", "model", "model_not_found"],
        "long": ["BadRequestError", "messages", "context_length_exceeded"],
        "schema": ["BadRequestError", "response_format", None],
        "down": ["InternalServerError", None, None],
        "stream": ["APIError", None, None],
    }


def test_ids_and_comments_are_understood(got: Json) -> None:
    assert got["header"] == ["mine-1", "chatcmpl-mine-1", "mine-1"]
    assert got["keep_alive"] == SAID


def test_the_real_engine_answers_it() -> None:
    engine = bundled_engine()
    engine.set_strategy(StrategyName.STREAMING)
    link = InProcessLink(engine, chat_folder())
    with serving_app(create_app(link, ServerOptions())) as port:
        answer = run_client("openai", "openai_real_script.py", f"http://127.0.0.1:{port}")
    assert answer["streamed"] == answer["whole"]
    assert answer["usage"] == answer["chunks"] == 12
