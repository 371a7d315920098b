"""Guards of answers: the same text however it was cut, whole or streamed, and no way around."""

import asyncio
from pathlib import Path

import pytest
from api_harness import (
    CHAT,
    COMPLETIONS,
    finish_reasons,
    saying,
    scripted,
    streamed_text,
    whole_text,
)
from asgi_client import Client, Json
from engine_in_process import InProcessLink, bundled_engine
from guarded_api import BLOCKED, BOTH_ROUTES, MAIL, asking, guard_metrics, guard_options, guarded
from prodtop.engine.server.app import create_app
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.settings import read_settings
from prodtop.engine.server.guards.text_guard import TextGuard
from scripted_link import Told, outputs
from served_folders import chat_folder, ids_of

TEXTS = (
    "plain",
    f"write to {MAIL} or {MAIL}, please",
    f"a {BLOCKED} and more of it",
    f"mail {MAIL}: a {BLOCKED.upper()}, mail {MAIL}",
    f"ends in {MAIL}",
    f"ends in a {BLOCKED}",
    "a forbidden",
)
CUTS = (1, 2, 3, 7, 100)


def expected(text: str) -> tuple[str, bool]:
    """What the pipeline makes of a whole text, and whether it is blocked."""
    options = guard_options().guards
    assert options is not None
    pipeline = GuardPipeline.of(read_settings(options.table), Path(options.folder))
    verdict = pipeline.check_output(text)
    return verdict.text, verdict.blocked_by is not None


@pytest.mark.parametrize("route", BOTH_ROUTES)
@pytest.mark.parametrize("text", TEXTS)
async def test_streamed_and_whole_are_what_the_guards_let_pass(route: str, text: str) -> None:
    passed, blocked = expected(text)
    usages: list[Json] = []
    for at_once in CUTS:
        api, link = guarded(saying(text, at_once=at_once))
        body = asking(route, "hello", max_tokens=60)
        answer = (await api.post(route, body)).json()
        (choice,) = answer["choices"]
        wanted = {"stream": True, "stream_options": {"include_usage": True}}
        events = (await api.post(route, body | wanted)).events()
        assert whole_text(choice) == streamed_text(events) == passed
        reason = "content_filter" if blocked else "length"
        assert [choice["finish_reason"]] == finish_reasons(events) == [reason]
        generated = answer["usage"]["completion_tokens"]
        assert events[-1]["usage"]["completion_tokens"] == generated
        usages.append(generated)
        # Where the engine was not done yet, it is stopped at that token.
        stops = {stream.stopped_after for stream in link.streams}
        assert stops <= ({generated, None} if blocked else {None})
        if at_once == 1 and text == TEXTS[2]:
            assert stops == {generated}
        judged = (await guard_metrics(api))['texts_total{guard="content",outcome="block"}']
        assert judged == (2 if blocked else 0)
    assert len(set(usages)) == 1


async def test_each_choice_has_a_guard_of_its_own() -> None:
    texts = iter([f"a {BLOCKED}, and {MAIL}", f"only {MAIL}"] * 2)
    api, _ = guarded(lambda _: saying(next(texts)))
    body = {"prompt": "hello", "n": 2, "max_tokens": 60}
    choices = (await api.post(COMPLETIONS, body)).json()["choices"]
    events = (await api.post(COMPLETIONS, body | {"stream": True})).events()
    assert [each["text"] for each in choices] == ["a ", "only [EMAIL]"]
    assert [each["finish_reason"] for each in choices] == ["content_filter", "length"]
    assert [streamed_text(events, index) for index in (0, 1)] == ["a ", "only [EMAIL]"]


@pytest.mark.parametrize(("included", "text"), [(False, "say "), (True, "say [EMAIL]")])
async def test_what_a_stop_string_leaves_is_judged(text: str, *, included: bool) -> None:
    api, _ = guarded(saying(f"say {MAIL} and a {BLOCKED}"))
    body = {
        "prompt": "hello",
        "stop": [MAIL, BLOCKED],
        "include_stop_str_in_output": included,
        "max_tokens": 60,
    }
    (choice,) = (await api.post(COMPLETIONS, body)).json()["choices"]
    assert (choice["text"], choice["finish_reason"]) == (text, "stop")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", BOTH_ROUTES)
async def test_no_logprobs_and_no_token_ids_tell_what_was_taken_away(
    route: str, *, stream: bool
) -> None:
    api, link = guarded(saying(f"write to {MAIL}"))
    asked: Json = {"logprobs": 2} if route == COMPLETIONS else {"logprobs": True, "top_logprobs": 2}
    answer = await api.post(route, asking(route, "hello", max_tokens=60, stream=stream, **asked))
    assert link.streams[0].submit.logprobs is None
    parts = answer.events() if stream else [answer.json()]
    assert all(c["logprobs"] is None for part in parts for c in part["choices"])
    assert b"alice" not in answer.body
    refused = await api.post(route, asking(route, "hello", return_token_ids=True, stream=stream))
    assert (refused.status, refused.json()["error"]["param"]) == (400, "return_token_ids")


async def test_answers_that_nobody_guards_are_told_in_full() -> None:
    off = {"prompts": True, "outputs": False}
    api, _ = guarded(saying(f"write to {MAIL}"), content=off, pii=off)
    body = {"prompt": "hello", "return_token_ids": True, "max_tokens": 60}
    (choice,) = (await api.post(COMPLETIONS, body)).json()["choices"]
    assert choice["text"] == f"write to {MAIL}"
    assert choice["token_ids"] == ids_of(choice["text"])


async def test_a_tools_call_is_judged_before_it_is_told() -> None:
    call = f'<tool_call>{{"name": "send", "arguments": {{"to": "{MAIL}"}}}}</tool_call>'
    tools = [{"type": "function", "function": {"name": "send"}}]
    api, _ = guarded(saying(call, finish_reason="stop"))
    body = asking(CHAT, "hello", tools=tools, max_tokens=80)
    (choice,) = (await api.post(CHAT, body)).json()["choices"]
    (told,) = choice["message"]["tool_calls"]
    assert "[EMAIL]" in told["function"]["arguments"]
    assert choice["finish_reason"] == "tool_calls"


async def test_what_is_held_is_dropped_with_the_client() -> None:
    silence = asyncio.Event()
    told: list[Told] = [*outputs(ids_of("write to alice@exam"))[:-1], silence]
    api, link = guarded(told)
    body = {"prompt": "hello", "stream": True, "max_tokens": 60}
    call = await api.begin("POST", COMPLETIONS, body).first_piece()
    call.leave()
    answer = await call.done()
    assert b"alice" not in answer.body
    assert link.streams[0].abort_reason == "disconnected"
    counted = await guard_metrics(api)
    # The prompt and the answer, once each.
    assert counted['texts_total{guard="pii",outcome="pass"}'] == 2


@pytest.mark.parametrize(("on_failure", "told"), [("closed", ""), ("open", "hello you")])
async def test_a_guard_that_fails_at_an_answer(
    on_failure: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: Json = {
        "content": {"on_failure": on_failure, "prompts": False},
        "pii": {"prompts": False, "outputs": False},
        "injection": {"enabled": False},
    }
    api, _ = guarded(saying("hello you"), **tables)
    monkeypatch.setattr(TextGuard, "find", lambda *_: 1 / 0)
    (choice,) = (await api.post(COMPLETIONS, {"prompt": "hello"})).json()["choices"]
    reason = "content_filter" if on_failure == "closed" else "length"
    assert (choice["text"], choice["finish_reason"]) == (told, reason)
    assert (await guard_metrics(api))['failures_total{guard="content"}'] == 1


async def test_without_guards_tokens_are_told() -> None:
    api, _ = scripted(saying(f"write to {MAIL}"))
    body = {"prompt": "hello", "return_token_ids": True, "max_tokens": 60}
    (choice,) = (await api.post(COMPLETIONS, body)).json()["choices"]
    assert choice["text"] == f"write to {MAIL}"


async def test_a_real_engine_is_stopped_where_its_text_is_blocked() -> None:
    engine = bundled_engine()
    engine.reset_caches()
    link = InProcessLink(engine, chat_folder())
    plain = {"prompt": "Once upon a time there was a", "temperature": 0, "max_tokens": 40}
    options = guard_options(content={"lists": []})
    text = (await Client(create_app(link, options)).post(COMPLETIONS, plain)).json()
    words = text["choices"][0]["text"].split(" ")
    assert options.guards is not None
    word = words[6].strip(".,!\"'\n")
    (Path(options.guards.folder) / "own.txt").write_text(f"{word}\n")
    own = {"lists": [{"name": "own.txt", "severity": "high"}]}
    options.guards.table["content"] = own
    engine.reset_caches()
    api = Client(create_app(link, options))
    answer = (await api.post(COMPLETIONS, plain)).json()
    events = (await api.post(COMPLETIONS, plain | {"stream": True})).events()
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert word not in choice["text"].split()
    assert text["choices"][0]["text"].startswith(choice["text"])
    assert streamed_text(events) == choice["text"]
    assert list(link.stopped.values()) == [answer["usage"]["completion_tokens"]] * 2
    assert answer["usage"]["completion_tokens"] < text["usage"]["completion_tokens"]
    assert link.in_flight == 0
