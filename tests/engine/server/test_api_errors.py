"""Requests that cannot be served: their status, the field at fault, and OpenAI's nested shape."""

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO, saying, scripted
from asgi_client import Answer, Client, Json
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.limits import Limits
from scripted_link import LinkWithoutEngine, serving_of

TEXT: Json = {"prompt": "hello"}
LONG = " the" * 600


def check_error(
    answer: Answer, status: int, param: str | None = None, code: str | None = None
) -> None:
    """A whole error in OpenAI's shape."""
    assert answer.status == status
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\n" not in error["message"]
    assert (error["param"], error["code"]) == (param, code)


WRONG: list[tuple[str, Json, str | None, str | None]] = [
    (COMPLETIONS, {}, "prompt", None),
    (COMPLETIONS, [], None, None),
    (COMPLETIONS, {"prompt": 5}, "prompt", None),
    (COMPLETIONS, {"prompt": None}, "prompt", None),
    (COMPLETIONS, {"prompt": ""}, "prompt", None),
    (COMPLETIONS, {"prompt": []}, "prompt", None),
    (COMPLETIONS, {"prompt": [[]]}, "prompt", None),
    (COMPLETIONS, {"prompt": ["a", 1]}, "prompt", None),
    (COMPLETIONS, {"prompt": ["a", [1]]}, "prompt", None),
    (COMPLETIONS, {"prompt": [1, 2.5]}, "prompt[1]", None),
    (COMPLETIONS, {"prompt": [4096]}, "prompt", None),
    (COMPLETIONS, {"prompt": [-1]}, "prompt", None),
    (COMPLETIONS, {"prompt": LONG}, "prompt", "context_length_exceeded"),
    (COMPLETIONS, {"prompt": "a" * 10_000_000}, "prompt", "context_length_exceeded"),
    (COMPLETIONS, {"prompt": [5] * 513}, "prompt", "context_length_exceeded"),
    (COMPLETIONS, TEXT | {"max_tokens": 512}, "max_tokens", "context_length_exceeded"),
    (COMPLETIONS, TEXT | {"max_completion_tokens": 512}, "max_tokens", "context_length_exceeded"),
    (COMPLETIONS, TEXT | {"max_tokens": -1}, "max_tokens", None),
    (COMPLETIONS, TEXT | {"max_tokens": "5"}, "max_tokens", None),
    (COMPLETIONS, TEXT | {"min_tokens": 9, "max_tokens": 8}, "min_tokens", None),
    (COMPLETIONS, TEXT | {"n": 0}, "n", None),
    (COMPLETIONS, TEXT | {"n": 129}, "n", None),
    (COMPLETIONS, {"prompt": ["a"] * 100, "n": 20}, "n", None),
    (COMPLETIONS, TEXT | {"best_of": 2}, "best_of", None),
    (COMPLETIONS, TEXT | {"suffix": "x"}, "suffix", "unsupported_parameter"),
    (COMPLETIONS, TEXT | {"temperature": 2.1}, "temperature", None),
    (COMPLETIONS, TEXT | {"temperature": -0.1}, "temperature", None),
    (COMPLETIONS, TEXT | {"temperature": "hot"}, "temperature", None),
    (COMPLETIONS, TEXT | {"top_p": 1.1}, "top_p", None),
    (COMPLETIONS, TEXT | {"top_k": -2}, "top_k", None),
    (COMPLETIONS, TEXT | {"min_p": 2}, "min_p", None),
    (COMPLETIONS, TEXT | {"presence_penalty": 3}, "presence_penalty", None),
    (COMPLETIONS, TEXT | {"frequency_penalty": -3}, "frequency_penalty", None),
    (COMPLETIONS, TEXT | {"repetition_penalty": 0}, "repetition_penalty", None),
    (COMPLETIONS, TEXT | {"logprobs": 21}, "logprobs", None),
    (COMPLETIONS, TEXT | {"logit_bias": {"5": 101}}, "logit_bias[...]", None),
    (COMPLETIONS, TEXT | {"logit_bias": {"x": 1}}, "logit_bias", None),
    (COMPLETIONS, TEXT | {"logit_bias": {"4096": 1}}, "logit_bias", None),
    (COMPLETIONS, TEXT | {"stop": ""}, "stop", None),
    (COMPLETIONS, TEXT | {"stop": ["a", ""]}, "stop[1]", None),
    (COMPLETIONS, TEXT | {"stop_token_ids": [4096]}, "stop_token_ids", None),
    (COMPLETIONS, TEXT | {"seed": 2**64}, "seed", None),
    (COMPLETIONS, TEXT | {"stream_options": {"include_usage": True}}, "stream_options", None),
    (COMPLETIONS, TEXT | {"stream": True, "prompt_logprobs": 1}, "prompt_logprobs", None),
    (COMPLETIONS, TEXT | {"response_format": {"type": "xml"}}, "response_format.type", None),
    (COMPLETIONS, TEXT | {"guided_regex": "("}, "guided_regex", None),
    (COMPLETIONS, TEXT | {"guided_json": "{"}, "guided_json", None),
    (COMPLETIONS, TEXT | {"guided_json": "[]"}, "guided_json", None),
    (COMPLETIONS, TEXT | {"guided_grammar": "start: x"}, "guided_grammar", None),
    (COMPLETIONS, TEXT | {"guided_regex": "a", "guided_choice": ["b"]}, "guided_choice", None),
    (
        COMPLETIONS,
        TEXT | {"structured_outputs": {"json": {"type": "no"}}},
        "structured_outputs.json",
        None,
    ),
    (CHAT, {"messages": []}, "messages", None),
    (CHAT, {"messages": "hello"}, "messages", None),
    (CHAT, {"messages": [{"content": "x"}]}, "messages[0].role", None),
    (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", None),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0]",
        "unsupported_content",
    ),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        None,
    ),
    (CHAT, {"messages": [{"role": "u", "content": LONG}]}, "messages", "context_length_exceeded"),
    (CHAT, HELLO | {"max_tokens": 0}, "max_tokens", None),
    (CHAT, HELLO | {"top_logprobs": 3}, "top_logprobs", None),
    (CHAT, HELLO | {"logprobs": 3}, "logprobs", None),
    (CHAT, HELLO | {"functions": []}, "functions", "unsupported_parameter"),
    (CHAT, HELLO | {"audio": {}}, "audio", "unsupported_parameter"),
    (CHAT, HELLO | {"modalities": ["audio"]}, "modalities[0]", None),
    (
        CHAT,
        HELLO | {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        None,
    ),
    (
        CHAT,
        HELLO | {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        "response_format.json_schema.schema",
        None,
    ),
    (CHAT, HELLO | {"tool_choice": "required"}, "tool_choice", None),
    (CHAT, HELLO | {"tools": [{"type": "web"}]}, "tools[0].type", None),
    (
        CHAT,
        HELLO | {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools[0].function.name",
        None,
    ),
    (
        CHAT,
        HELLO
        | {
            "tools": [{"type": "function", "function": {"name": "a"}}],
            "tool_choice": {"type": "function", "function": {"name": "b"}},
        },
        "tool_choice",
        None,
    ),
    ("/tokenize", {}, "prompt", None),
    ("/tokenize", {"prompt": "a", "messages": [{"role": "user"}]}, "prompt", None),
    ("/tokenize", {"prompt": LONG}, "prompt", "context_length_exceeded"),
    ("/detokenize", {"tokens": "a"}, "tokens", None),
    ("/detokenize", {"tokens": [4096]}, "tokens", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "param", "code"), WRONG, ids=lambda v: str(v)[:60])
async def test_a_wrong_field_is_named(
    path: str, body: Json, param: str | None, code: str | None
) -> None:
    api, link = scripted(saying("x"))
    check_error(await api.post(path, body), 400, param, code)
    assert link.streams == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_is_refused_by_its_status_too(stream: bool) -> None:
    api, _ = scripted(saying("x"))
    check_error(await api.post(COMPLETIONS, {"prompt": "", "stream": stream}), 400, "prompt")


IGNORED: Json = {
    "user": "somebody",
    "metadata": {"a": 1},
    "store": True,
    "service_tier": "auto",
    "cache_salt": "x",
    "priority": 3,
    "unheard_of": [1, {"a": None}],
    "logit_bias": None,
    "stop": None,
    "seed": None,
    "n": None,
    "temperature": None,
    "response_format": None,
}


@pytest.mark.parametrize(("path", "body"), [(COMPLETIONS, TEXT), (CHAT, HELLO)])
async def test_unknown_fields_and_nulls_change_nothing(path: str, body: Json) -> None:
    api, link = scripted(saying("x"))
    assert (
        (await api.post(path, body)).status == (await api.post(path, body | IGNORED)).status == 200
    )
    first, second = (stream.submit for stream in link.streams)
    assert first.sampling == second.sampling
    assert (first.prompt_tokens, first.max_tokens) == (second.prompt_tokens, second.max_tokens)


BROKEN = {
    "nothing": b"",
    "half": b'{"prompt": "a',
    "two": b'{"prompt": "a"} {}',
    "no UTF-8": b'{"prompt": "\xff\xfe"}',
    "half a surrogate": b'{"prompt": "\\ud800"}',
    "NaN": b'{"prompt": "a", "temperature": NaN}',
    "infinite": b'{"prompt": "a", "temperature": 1e999}',
    "deep": b'{"prompt": "a", "guided_json": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    api, _ = scripted(saying("x"))
    answer = await api.post(COMPLETIONS, body)
    assert answer.status == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
async def test_a_body_above_the_limit_is_too_large(told: bool) -> None:
    api, _ = scripted(saying("x"), limits=Limits(body_bytes=100))
    headers = {"content-length": "101"} if told else {}
    check_error(await api.post(COMPLETIONS, b"x" * 101, headers), 413)
    assert (await api.post(COMPLETIONS, TEXT)).status == 200


async def test_an_unknown_model_is_not_found() -> None:
    api, _ = scripted(saying("x"))
    for path, body in ((COMPLETIONS, TEXT), (CHAT, HELLO), ("/tokenize", TEXT)):
        check_error(
            await api.post(path, body | {"model": "other"}), 404, "model", "model_not_found"
        )
        for name in ("org/scripted", "scripted"):
            assert (await api.post(path, body | {"model": name})).status == 200
    check_error(await api.get("/v1/models/other"), 404, "model", "model_not_found")
    for name in ("org/scripted", "scripted"):
        assert (await api.get(f"/v1/models/{name}")).json()["id"] == "org/scripted"


async def test_routes_and_methods_that_are_not_there() -> None:
    api, _ = scripted(saying("x"))
    check_error(await api.get("/v2/nothing"), 404)
    wrong = await api.get(COMPLETIONS)
    check_error(wrong, 405)
    assert wrong.headers["allow"] == "POST"
    check_error(await api.post("/health", b""), 405)


async def test_without_an_engine_clients_are_told_to_come_again() -> None:
    api = Client(create_app(LinkWithoutEngine(), ServerOptions()))
    answers = [await api.post(COMPLETIONS, TEXT), await api.post(CHAT, HELLO)]
    answers += [
        await api.get(path) for path in ("/health", "/ready", "/v1/models", "/tokenizer_info")
    ]
    for answer in answers:
        check_error(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    assert (await api.get("/version")).status == 200


async def test_an_engine_that_goes_in_between_is_told() -> None:
    api, link = scripted(saying("x"))
    link.down = True
    for stream in (True, False):
        check_error(await api.post(COMPLETIONS, TEXT | {"stream": stream}), 503)


async def test_a_defect_is_answered_without_a_word_of_the_request() -> None:
    def broken(_: object) -> list[Json]:
        raise KeyError("secret")

    api, _ = scripted(broken)
    call = api.begin("POST", COMPLETIONS, TEXT)
    with pytest.raises(KeyError):
        await call.done()
    check_error(call.answer, 500)
    assert "secret" not in call.answer.body.decode()
    assert call.answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("\xe9", False),
        ("", False),
    ],
)
async def test_a_clean_request_id_is_kept(given: str, kept: bool) -> None:
    api, _ = scripted(saying("x"))
    for path, body, prefix in ((COMPLETIONS, TEXT, "cmpl"), (CHAT, HELLO, "chatcmpl")):
        answer = await api.post(path, body, {"x-request-id": given})
        own = answer.headers["x-request-id"]
        assert (own == given) is kept
        assert own.isascii()
        assert answer.json()["id"] == f"{prefix}-{own}"
    refused = await api.post(COMPLETIONS, {}, {"x-request-id": given})
    assert (refused.headers["x-request-id"] == given) is kept


async def test_a_tokenizer_that_cannot_be_read_is_the_servers_fault() -> None:
    from msgspec.structs import replace

    serving = serving_of()
    gone = replace(serving, tokenizer=replace(serving.tokenizer, path="/nowhere"))
    api, _ = scripted(saying("x"), serving=gone)
    check_error(await api.post(COMPLETIONS, TEXT), 500)
