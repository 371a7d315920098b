"""Logprobs in both shapes, echo, and what lm-eval reads of them."""

from collections.abc import Sequence
from operator import itemgetter

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO, scripted
from asgi_client import Json
from prodtop.engine.protocol.served import Output, Submit, TokenLogprob
from scripted_link import TIMES, Script, Told
from served_folders import bundled_tokenizer, ids_of

STREAM = {"stream": True}


def logprob_of(token_id: int, place: int, top: int | None) -> TokenLogprob:
    """Made up, but told apart: the token itself is likeliest at even places."""
    others = [(token_id + n, -2.0 - n) for n in range(1, 21)]
    own = (token_id, -1.0 if place % 2 == 0 else -5.5)
    ranked = sorted([own, *others], key=itemgetter(1), reverse=True)
    rank = ranked.index(own) + 1
    return TokenLogprob(token_id=token_id, logprob=own[1], rank=rank, top=ranked[: top or 0])


def generating(token_ids: Sequence[int], at_once: int = 1) -> Script:
    """A script that generates `token_ids`, with the logprobs that were asked for."""

    def script(submit: Submit) -> list[Told]:
        ids = list(token_ids[: submit.max_tokens])
        told: list[Told] = []
        if submit.prompt_logprobs is not None:
            prompt = submit.prompt_tokens[1:]
            logprobs = [
                logprob_of(t, n, submit.prompt_logprobs) for n, t in enumerate(prompt, start=1)
            ]
            told.append(Output(key=0, prompt_logprobs=logprobs))
        for cut in range(0, len(ids), at_once):
            taken = ids[cut : cut + at_once]
            logprobs = [logprob_of(t, cut + n, submit.logprobs) for n, t in enumerate(taken)]
            wanted = submit.logprobs is not None
            told.append(Output(key=0, token_ids=taken, logprobs=logprobs if wanted else None))
        return [*told, Output(key=0, finish_reason="length", times=TIMES)]

    return script


async def test_lm_eval_reads_the_logprobs_of_a_context_and_its_continuation() -> None:
    """As `local-completions` asks and parses: batched ids, echo, one token more."""
    api, link = scripted(generating(ids_of("zzz")))
    prompts = [ids_of("The river ran past the mill"), ids_of("She laughed")]
    context_lengths = [3, 1]
    for max_tokens in (1, 0):
        body = {
            "prompt": prompts,
            "temperature": 0,
            "max_tokens": max_tokens,
            "logprobs": 1,
            "seed": 1234,
            "echo": True,
        }
        answer = (await api.post(COMPLETIONS, body)).json()
        choices = sorted(answer["choices"], key=itemgetter("index"))
        for choice, prompt, length in zip(choices, prompts, context_lengths, strict=True):
            logprobs = choice["logprobs"]
            end = len(prompt) if max_tokens == 0 else -1
            token_logprobs = logprobs["token_logprobs"][length:end]
            top = logprobs["top_logprobs"][length:end]
            assert len(logprobs["tokens"]) == len(prompt) + max_tokens
            expected = [logprob_of(t, n, 1) for n, t in enumerate(prompt)][length:]
            assert token_logprobs == [each.logprob for each in expected]
            greedy = [
                value == max(likely.values())
                for value, likely in zip(token_logprobs, top, strict=True)
            ]
            assert greedy == [each.rank == 1 for each in expected]
            assert logprobs["token_logprobs"][0] is None
            assert logprobs["top_logprobs"][0] is None
    assert {s.submit.max_tokens for s in link.streams} == {0, 1}
    assert {s.submit.prompt_logprobs for s in link.streams} == {1}


@pytest.mark.parametrize("prompt", ["The old mill 🙂 ran", ids_of("The old mill 🙂 ran")])
@pytest.mark.parametrize("echo", [True, False])
async def test_offsets_point_into_the_text(prompt: Json, echo: bool) -> None:
    ids = ids_of(" past 日本 it")
    api, _ = scripted(generating(ids))
    body = {"prompt": prompt, "max_tokens": 50, "logprobs": 0, "echo": echo}
    choice = (await api.post(COMPLETIONS, body)).json()["choices"][0]
    assert choice["text"] == ("The old mill 🙂 ran" if echo else "") + " past 日本 it"
    logprobs = choice["logprobs"]
    all_ids = [*(ids_of("The old mill 🙂 ran") if echo else []), *ids]
    assert len(logprobs["tokens"]) == len(logprobs["text_offset"]) == len(all_ids)
    offsets = [*logprobs["text_offset"], len(choice["text"])]
    assert offsets == sorted(offsets)
    for token, start, end in zip(logprobs["tokens"], offsets, offsets[1:], strict=False):
        if not token.startswith("bytes:"):
            assert choice["text"][start:end].startswith(token)
    # Each token's own logprob is among its likeliest, even where none were asked for.
    for token, likely in zip(logprobs["tokens"], logprobs["top_logprobs"], strict=True):
        assert likely is None or list(likely) == [token]


@pytest.mark.parametrize("stop", [None, " it"])
@pytest.mark.parametrize("at_once", [1, 3, 50])
@pytest.mark.parametrize("echo", [True, False])
async def test_streamed_logprobs_are_those_of_the_whole(
    echo: bool, at_once: int, stop: str | None
) -> None:
    api, _ = scripted(generating(ids_of(" past 🙂 it and on"), at_once))
    body = {"prompt": "ran", "max_tokens": 50, "logprobs": 2, "echo": echo, "stop": stop}
    whole = (await api.post(COMPLETIONS, body)).json()["choices"][0]
    events = (await api.post(COMPLETIONS, body | STREAM)).events()
    parts = [event["choices"][0] for event in events]
    assert "".join(part["text"] for part in parts) == whole["text"]
    for name, values in whole["logprobs"].items():
        pieces = [part["logprobs"][name] for part in parts if part["logprobs"] is not None]
        assert [value for piece in pieces for value in piece] == values
    # The tokens whose text was cut off have no logprobs either.
    if stop:
        assert " and" not in whole["logprobs"]["tokens"]


@pytest.mark.parametrize("top", [None, 0, 3])
async def test_a_chat_has_them_token_by_token(top: int | None) -> None:
    ids = ids_of("past 🙂")
    api, link = scripted(generating(ids))
    body = HELLO | {"logprobs": True} | ({} if top is None else {"top_logprobs": top})
    content = (await api.post(CHAT, body)).json()["choices"][0]["logprobs"]["content"]
    assert link.streams[0].submit.logprobs == (top or 0)
    assert b"".join(bytes(each["bytes"]) for each in content) == "past 🙂".encode()
    for place, (each, token_id) in enumerate(zip(content, ids, strict=True)):
        expected = logprob_of(token_id, place, top)
        assert each["logprob"] == expected.logprob
        assert [likely["logprob"] for likely in each["top_logprobs"]] == [
            v for _, v in expected.top
        ]
    events = (await api.post(CHAT, body | STREAM)).events()
    parts = [event["choices"][0]["logprobs"] for event in events]
    assert [each for part in parts if part is not None for each in part["content"]] == content


async def test_tokens_that_are_no_whole_characters_differ() -> None:
    ids = ids_of("🙂")
    assert len(ids) > 1
    api, _ = scripted(generating(ids))
    body = {"prompt": "a", "logprobs": 1, "max_tokens": 9}
    tokens = (await api.post(COMPLETIONS, body)).json()["choices"][0]["logprobs"]["tokens"]
    assert len(set(tokens)) == len(ids)
    assert all(token.startswith("bytes:\\x") for token in tokens)
    body |= {"return_tokens_as_token_ids": True}
    tokens = (await api.post(COMPLETIONS, body)).json()["choices"][0]["logprobs"]["tokens"]
    assert tokens == [f"token_id:{token_id}" for token_id in ids]


async def test_a_logprob_without_a_bound_is_still_a_number() -> None:
    endless = TokenLogprob(token_id=5, logprob=float("-inf"), rank=9, top=[(6, float("-inf"))])
    end = Output(key=0, token_ids=[5], logprobs=[endless], finish_reason="length", times=TIMES)
    api, _ = scripted([end])
    chat = (await api.post(CHAT, HELLO | {"logprobs": True, "top_logprobs": 1})).json()
    (content,) = chat["choices"][0]["logprobs"]["content"]
    assert (content["logprob"], content["top_logprobs"][0]["logprob"]) == (-9999.0, -9999.0)
    text = (await api.post(COMPLETIONS, {"prompt": "a", "logprobs": 1})).json()
    assert text["choices"][0]["logprobs"]["token_logprobs"] == [-9999.0]


@pytest.mark.parametrize(
    ("path", "body"), [(COMPLETIONS, {"prompt": "one two three"}), (CHAT, HELLO)]
)
async def test_prompt_logprobs_and_ids_come_on_request(path: str, body: Json) -> None:
    ids = ids_of("past it")
    api, link = scripted(generating(ids))
    wanted = {"prompt_logprobs": 2, "return_token_ids": True, "max_tokens": 9}
    answer = (await api.post(path, body | wanted)).json()
    holder = answer if path == CHAT else answer["choices"][0]
    prompt = link.streams[0].submit.prompt_tokens
    assert holder["prompt_token_ids"] == prompt
    assert answer["choices"][0]["token_ids"] == ids
    first, *rest = holder["prompt_logprobs"]
    assert first is None
    for place, (each, token_id) in enumerate(zip(rest, prompt[1:], strict=True), start=1):
        expected = logprob_of(token_id, place, 2)
        own = each[str(token_id)]
        assert (own["logprob"], own["rank"]) == (expected.logprob, expected.rank)
        assert own["decoded_token"] == bundled_tokenizer().decode([token_id])
        assert 2 <= len(each) <= 3
    events = (
        await api.post(path, body | {"return_token_ids": True, "max_tokens": 9} | STREAM)
    ).events()
    head = events[0] if path == CHAT else events[0]["choices"][0]
    assert head["prompt_token_ids"] == prompt
    streamed = [
        t for event in events for part in event["choices"] for t in part.get("token_ids", [])
    ]
    assert streamed == ids
