"""The API over a real engine with the bundled model: real texts, and real aborts."""

import asyncio

import pytest
from api_harness import CHAT, COMPLETIONS, streamed_text
from asgi_client import Client, Json
from engine_in_process import InProcessLink, bundled_engine
from prodtop.engine.protocol import StrategyName
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.serving.request import Sampling
from prodtop.engine.serving.strategy import STRATEGIES
from served_folders import bundled_tokenizer, chat_folder

STORY = "Once upon a time there was a"


def served(strategy: StrategyName = StrategyName.HYBRID) -> tuple[Client, InProcessLink]:
    """A client of an API over the engine."""
    engine = bundled_engine()
    engine.set_strategy(strategy)
    engine.reset_caches()
    link = InProcessLink(engine, chat_folder())
    return Client(create_app(link, ServerOptions())), link


def greedy_text(prompt_ids: list[int], tokens: int) -> str:
    """What the engine says without a server."""
    engine = bundled_engine()
    request = engine.submit(list(prompt_ids), Sampling(), tokens, ignore_eos=True)
    while not request.done:
        engine.step()
    text: str = bundled_tokenizer().decode(request.output_tokens)
    return text


@pytest.mark.parametrize("strategy", StrategyName)
async def test_a_client_gets_the_engines_text(strategy: StrategyName) -> None:
    api, link = served(strategy)
    body = {"prompt": STORY, "temperature": 0, "max_tokens": 6, "ignore_eos": True}
    expected = greedy_text(bundled_tokenizer().encode(STORY).ids, 6)
    whole = (await api.post(COMPLETIONS, body)).json()
    assert whole["choices"][0]["text"] == expected
    assert whole["usage"]["completion_tokens"] == 6
    link.engine.reset_caches()
    events = (await api.post(COMPLETIONS, body | {"stream": True})).events()
    assert streamed_text(events) == expected
    texts = [event["choices"][0]["text"] for event in events]
    assert sum(map(bool, texts)) == (6 if STRATEGIES[strategy].stream else 1)
    assert link.in_flight == 0


async def test_many_at_once_are_each_their_own() -> None:
    api, link = served()
    openings = [f"{STORY} {word}" for word in ("king", "man", "girl", "dog", "river", "house")]
    ids = [bundled_tokenizer().encode(opening).ids for opening in openings]
    expected = [greedy_text(each, 4) for each in ids]
    bodies: list[Json] = [
        {
            "prompt": prompt,
            "temperature": 0,
            "max_tokens": 4,
            "ignore_eos": True,
            "stream": n % 2 == 1,
        }
        for n, prompt in enumerate([*openings, *ids])
    ]
    answers = await asyncio.gather(*(api.post(COMPLETIONS, body) for body in bodies))
    for n, answer in enumerate(answers):
        text = streamed_text(answer.events()) if n % 2 else answer.json()["choices"][0]["text"]
        assert text == expected[n % len(openings)]
    assert link.in_flight == 0


async def test_a_seed_repeats_an_answer_and_its_choices_differ() -> None:
    api, _ = served()
    body = {"messages": [{"role": "user", "content": STORY}], "seed": 7, "n": 3, "max_tokens": 12}
    first, second = [(await api.post(CHAT, body)).json() for _ in range(2)]
    assert first["choices"] == second["choices"]
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert len(set(texts)) == 3


async def test_a_prompt_that_was_served_before_is_cached() -> None:
    api, _ = served()
    body = {"prompt": " ".join([STORY] * 8), "temperature": 0, "max_tokens": 2}
    await api.post(COMPLETIONS, body)
    usage = (await api.post(COMPLETIONS, body | {"max_tokens": 3})).json()["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


async def test_times_are_the_engines() -> None:
    api, _ = served()
    body = {"prompt": STORY, "max_tokens": 6, "temperature": 0, "ignore_eos": True}
    metrics = (await api.post(COMPLETIONS, body, {"x-prodtop-metrics": "true"})).json()["metrics"]
    assert metrics["mean_itl_ms"] * 5 == pytest.approx(metrics["generation_time_ms"])
    total = metrics["time_to_first_token_ms"] + metrics["generation_time_ms"]
    assert total == pytest.approx(metrics["e2e_latency_ms"])
    assert 0 <= metrics["queue_time_ms"] < metrics["time_to_first_token_ms"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_frees_its_blocks(stream: bool) -> None:
    api, link = served()
    body = {"prompt": STORY, "max_tokens": 400, "ignore_eos": True, "n": 2, "stream": stream}
    call = api.begin("POST", COMPLETIONS, body)
    while link.in_flight < 2:
        await asyncio.sleep(0)
    call.leave()
    await call.done()
    assert list(link.aborted.values()) == ["disconnected"] * 2
    assert link.in_flight == 0
    engine = link.engine
    while engine.has_work:
        engine.step()
    assert engine.blocks.counts().running == 0


async def test_a_stop_string_ends_the_engines_work() -> None:
    api, link = served()
    body = {"prompt": STORY, "temperature": 0, "max_tokens": 400, "ignore_eos": True}
    text = greedy_text(bundled_tokenizer().encode(STORY).ids, 20)
    stop = text[10:14]
    answer = (await api.post(COMPLETIONS, body | {"stop": stop})).json()
    assert answer["choices"][0]["text"] == text[: text.find(stop)]
    assert list(link.stopped.values()) == [answer["usage"]["completion_tokens"]]
    assert link.in_flight == 0
