"""The review queue filled by the server's routes: answers that wait, and what ends their wait."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_harness import COMPLETIONS, finish_reasons, saying, streamed_text, whole_text
from asgi_client import Client, Json
from guarded_api import BLOCKED, BOTH_ROUTES, FLAGGED, MAIL, asking, guarded
from prodtop.engine.server.guards.review_items import NewItem, ReviewItem
from prodtop.engine.server.guards.review_queue import ReviewQueue, ReviewQueueError
from prodtop.engine.server.guards.settings import ReviewSettings
from prodtop.engine.server.reviewing import Reviewing
from scripted_link import ScriptedLink

SAID = f"what a {FLAGGED}, write to {MAIL}"
LEFT = f"what a {FLAGGED}, write to [EMAIL]"
HELD_ENDS = ("released", "corrected", "refused", "timed_out", "abandoned")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ReviewQueue]:
    """A reviewer's end of the queue."""
    found = ReviewQueue(tmp_path / "review.db", ReviewSettings())
    yield found
    found.close()


def reviewed(tmp_path: Path, text: str, **review: Json) -> tuple[Client, ScriptedLink]:
    """An API whose engine says `text`, and which holds what is flagged."""
    table: dict[str, Json] = {"mode": "hold", "file": str(tmp_path / "review.db"), **review}
    return guarded(saying(text), review=table)


async def item_of(queue: ReviewQueue, count: int = 1) -> ReviewItem:
    """The last of `count` items, once they are there."""
    for _ in range(1000):
        items = sorted(queue.items(undecided=False), key=lambda each: each.id)
        if len(items) == count:
            return items[-1]
        await asyncio.sleep(0.01)
    raise AssertionError(f"never were there {count} items")


async def review_metrics(api: Client) -> dict[str, float]:
    """How waits have ended, by `/metrics`; those that did."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith("prodtop_review_held_ans")]
    ends = {name.split('"')[1]: float(value) for name, _, value in pairs}
    assert set(ends) == set(HELD_ENDS)
    return {name: count for name, count in ends.items() if count}


Decide = Callable[[ReviewQueue, int], object]
ENDS: dict[str, tuple[Decide, str, str, dict[str, float]]] = {
    "released": (lambda q, n: q.decide(n, "ann", "accept"), LEFT, "length", {"released": 1}),
    "refused": (lambda q, n: q.decide(n, "ann", "reject"), "", "content_filter", {"refused": 1}),
    "corrected": (
        lambda q, n: q.decide(n, "ann", "accept", corrected="fine"),
        "fine",
        "stop",
        {"released": 1, "corrected": 1},
    ),
    "timed out": (lambda q, n: q.end_held([n]), "", "content_filter", {"timed_out": 1}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", BOTH_ROUTES)
@pytest.mark.parametrize("end", ENDS)
async def test_a_held_answer_leaves_as_its_wait_ends(
    end: str, route: str, queue: ReviewQueue, tmp_path: Path, *, stream: bool
) -> None:
    decide, text, reason, counted = ENDS[end]
    api, _ = reviewed(tmp_path, SAID)
    body = asking(route, "hello", max_tokens=60, stream=stream)
    asked = asyncio.create_task(api.post(route, body))
    item = await item_of(queue)
    assert (item.fate, item.kind, item.text, item.guard) == ("held", "output", LEFT, "content")
    assert not asked.done()
    decide(queue, item.id)
    answer = await asked
    if stream:
        assert (streamed_text(answer.events()), finish_reasons(answer.events())) == (text, [reason])
    else:
        (choice,) = answer.json()["choices"]
        assert (whole_text(choice), choice["finish_reason"]) == (text, reason)
    assert await review_metrics(api) == counted


@pytest.mark.parametrize(("on_timeout", "text"), [("refuse", ""), ("release", LEFT)])
async def test_nobody_decides_within_the_time(
    on_timeout: str, text: str, queue: ReviewQueue, tmp_path: Path
) -> None:
    api, _ = reviewed(tmp_path, SAID, hold_s=0.05, on_timeout=on_timeout)
    (choice,) = (await api.post(COMPLETIONS, {"prompt": "hello", "max_tokens": 60})).json()[
        "choices"
    ]
    assert choice["text"] == text
    assert (await item_of(queue)).fate == "timed_out"


@pytest.mark.parametrize(("on_timeout", "text"), [("refuse", ""), ("release", LEFT)])
async def test_a_full_queue_is_as_a_timeout(
    on_timeout: str, text: str, queue: ReviewQueue, tmp_path: Path
) -> None:
    api, _ = reviewed(tmp_path, SAID, most_items=1, on_timeout=on_timeout)
    body = {"prompt": f"a {FLAGGED}", "max_tokens": 60}
    # The flagged prompt takes the only place.
    (choice,) = (await api.post(COMPLETIONS, body)).json()["choices"]
    assert choice["text"] == text
    assert (await item_of(queue)).kind == "prompt"
    assert await review_metrics(api) == {"timed_out": 1}


@pytest.mark.parametrize("broken", ["add", "settled"])
async def test_a_queue_that_cannot_be_used_releases_nothing(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ReviewQueueError("the disk is full")

    api, _ = reviewed(tmp_path, SAID, on_timeout="release")
    monkeypatch.setattr(ReviewQueue, broken, fails)
    body = {"prompt": "hello", "max_tokens": 60}
    (choice,) = (await api.post(COMPLETIONS, body)).json()["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("", "content_filter")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_answer(
    queue: ReviewQueue, tmp_path: Path, *, stream: bool
) -> None:
    api, link = reviewed(tmp_path, SAID)
    body = {"prompt": "hello", "max_tokens": 60, "stream": stream}
    call = api.begin("POST", COMPLETIONS, body)
    item = await item_of(queue)
    call.leave()
    await call.done()
    for _ in range(1000):
        if (await item_of(queue)).fate == "abandoned":
            break
        await asyncio.sleep(0.01)
    assert (await item_of(queue)).fate == "abandoned"
    assert queue.claim("ann") is not None
    assert await review_metrics(api) == {"abandoned": 1}
    assert link.streams[0].abort_reason is None
    assert item.fate == "held"


async def test_each_choice_waits_for_its_own_verdict(queue: ReviewQueue, tmp_path: Path) -> None:
    texts = iter([f"one {FLAGGED}", "nothing", f"two {FLAGGED}"])
    table = {"mode": "hold", "file": str(tmp_path / "review.db")}
    api, _ = guarded(lambda _: saying(next(texts)), review=table)
    asked = asyncio.create_task(api.post(COMPLETIONS, {"prompt": "x", "n": 3, "max_tokens": 60}))
    await item_of(queue, 2)
    for item in queue.items():
        queue.decide(item.id, "ann", "accept" if item.text.startswith("two") else "reject")
    choices = (await asked).json()["choices"]
    assert [each["text"] for each in choices] == ["", "nothing", f"two {FLAGGED}"]


@pytest.mark.parametrize("route", BOTH_ROUTES)
async def test_the_answer_to_a_flagged_prompt_is_held(
    route: str, queue: ReviewQueue, tmp_path: Path
) -> None:
    api, _ = reviewed(tmp_path, "all is well")
    body = asking(route, f"a {FLAGGED} of {MAIL}", max_tokens=60)
    asked = asyncio.create_task(api.post(route, body))
    held = await item_of(queue, 2)
    prompt = queue.get(held.id - 1)
    assert prompt is not None
    # What was redacted is not kept either.
    assert (prompt.kind, prompt.fate, prompt.text) == ("prompt", "sent", f"a {FLAGGED} of [EMAIL]")
    assert held.request_id == prompt.request_id
    queue.decide(held.id, "ann", "accept")
    assert whole_text((await asked).json()["choices"][0]) == "all is well"


@pytest.mark.parametrize("stream", [False, True])
async def test_afterwards_nothing_waits(
    queue: ReviewQueue, tmp_path: Path, *, stream: bool
) -> None:
    api, _ = reviewed(tmp_path, SAID, mode="after")
    answer = await api.post(COMPLETIONS, {"prompt": "hello", "max_tokens": 60, "stream": stream})
    text = streamed_text(answer.events()) if stream else answer.json()["choices"][0]["text"]
    assert text == LEFT
    item = await item_of(queue)
    assert (item.fate, item.kind, item.text) == ("sent", "output", LEFT)
    assert await review_metrics(api) == {}


@pytest.mark.parametrize("mode", ["after", "hold"])
async def test_what_no_guard_flags_is_in_no_queue(
    mode: str, queue: ReviewQueue, tmp_path: Path
) -> None:
    api, _ = reviewed(tmp_path, f"write to {MAIL}, a {BLOCKED}", mode=mode)
    await api.post(COMPLETIONS, {"prompt": "hello", "max_tokens": 60})
    await api.post(COMPLETIONS, {"prompt": f"a {BLOCKED}"})
    await asyncio.sleep(0)
    assert queue.counts()["all"] == 0


async def test_a_server_that_ends_times_its_held_answers_out(
    queue: ReviewQueue, tmp_path: Path
) -> None:
    settings = ReviewSettings(mode="hold", hold_s=600, on_timeout="release")
    reviewing = Reviewing(settings, tmp_path / "review.db")
    held = NewItem(request_id="r", kind="output", text="t", guard="g", rule="r", hold=True)
    waiting = asyncio.create_task(reviewing.hold(held))
    item = await item_of(queue)
    while not reviewing._waiting:
        await asyncio.sleep(0)
    assert await reviewing.end_held() == 1
    assert (await waiting).fate == "timed_out"
    # What comes later does not wait.
    assert (await reviewing.hold(held)).text == "t"
    assert (reviewing.sample.timed_out, reviewing.sample.held_s > 0) == (2, True)
    found = queue.get(item.id)
    assert found is not None
    assert found.fate == "timed_out"
    reviewing.close()
