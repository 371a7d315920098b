"""How much is taken at once, what is said to the rest, and that every place is given back."""

import asyncio
from collections.abc import Sequence

import pytest
from api_harness import CHAT, COMPLETIONS, HELLO, saying
from asgi_client import Call, Client, Json
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol.server_operations import Operations, ServerLimits
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.admission import Admission, Slot, most_tokens
from prodtop.engine.server.app import create_app
from prodtop.engine.server.errors import ApiError
from scripted_link import LinkWithoutEngine, ScriptedLink, Told, serving_of
from served_folders import chat_folder

SERVING = serving_of(chat_folder())


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def limited(limits: ServerLimits, script: Sequence[Told]) -> tuple[Client, ScriptedLink]:
    link = ScriptedLink(lambda _: script, SERVING)
    return Client(create_app(link, ServerOptions(operations=Operations(limits=limits)))), link


async def test_what_is_above_the_limit_is_refused_and_all_is_given_back() -> None:
    goes_on = asyncio.Event()
    client, link = limited(ServerLimits(max_requests=3), [goes_on, *saying("hello")])
    running = [client.begin("POST", COMPLETIONS, {"prompt": "a"}) for _ in range(3)]
    while len(link.streams) < 3:
        await asyncio.sleep(0)
    for path in (COMPLETIONS, CHAT, "/tokenize", "/detokenize"):
        refused = await client.post(path, b"never read")
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "queue_full")
    assert (await client.get("/v1/models")).status == 200
    goes_on.set()
    assert [(await call.done()).status for call in running] == [200] * 3
    again = [client.begin("POST", COMPLETIONS, {"prompt": "a"}) for _ in range(3)]
    assert [(await call.done()).status for call in again] == [200] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        {"prompt": "a", "model": "another"},
        {"prompt": "a", "max_tokens": 100_000},
        {"prompt": ""},
        {"prompt": "a", "n": 2, "max_tokens": 4},
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_whatever_becomes_of_a_request_its_place_is_given_back(
    body: Json, stream: bool
) -> None:
    client, _ = limited(ServerLimits(max_requests=2), saying("hello"))
    sent = body if isinstance(body, bytes) else body | {"stream": stream}
    for _ in range(5):
        assert (await client.post(COMPLETIONS, sent)).status in (200, 400, 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (COMPLETIONS, {"prompt": "a", "stream": True}),
        (COMPLETIONS, {"prompt": "a", "stream": False}),
        (CHAT, {**HELLO, "stream": True}),
        (CHAT, HELLO),
        (COMPLETIONS, {"prompt": ""}),
        ("/tokenize", {"prompt": "a"}),
    ],
)
async def test_who_asks_again_once_all_has_come_finds_the_place_free(path: str, body: Json) -> None:
    client, _ = limited(ServerLimits(max_requests=1), saying("hello"))
    again: list[Call] = []

    async def on_piece(piece: bytes) -> None:
        if not body.get("stream") or piece.endswith(b"data: [DONE]\n\n"):
            # It begins in the next turn of the loop, as a client's next request at the earliest.
            again.append(client.begin("POST", path, body))

    first = await client.begin("POST", path, body, on_piece=on_piece).done()
    (second,) = again
    assert (await second.done()).status == first.status != 429


async def test_a_client_that_leaves_gives_its_place_back() -> None:
    client, _ = limited(ServerLimits(max_requests=1), [asyncio.Event()])
    for stream in (True, False):
        call = client.begin("POST", COMPLETIONS, {"prompt": "a", "stream": stream})
        await asyncio.sleep(0.01)
        call.leave()
        await call.done()
    assert (await client.post("/tokenize", {"prompt": "a"})).status == 200


async def test_without_an_engine_nothing_is_held() -> None:
    operations = Operations(limits=ServerLimits(max_requests=1))
    client = Client(create_app(LinkWithoutEngine(), ServerOptions(operations=operations)))
    for _ in range(3):
        answer = await client.post(CHAT, HELLO)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("limits", "body", "status", "param"),
    [
        # Never: no matter what else is in flight.
        (ServerLimits(max_requests=2), {"prompt": ["a", "b", "c"]}, 400, "n"),
        (ServerLimits(max_requests=2), {"prompt": "a", "n": 3}, 400, "n"),
        (ServerLimits(max_tokens=20), {"prompt": "a", "max_tokens": 21}, 400, "max_tokens"),
        (ServerLimits(max_tokens=20), {"prompt": [5] * 10, "max_tokens": 11}, 400, "max_tokens"),
        (ServerLimits(max_tokens=20), {"prompt": "a", "max_tokens": 11, "n": 2}, 400, "max_tokens"),
        # Beside the one that is in flight: later.
        (ServerLimits(max_requests=2), {"prompt": "a", "n": 2}, 429, None),
        (ServerLimits(max_tokens=20), {"prompt": [5] * 10, "max_tokens": 6}, 429, None),
        (ServerLimits(max_tokens=20), {"prompt": "a", "max_tokens": 16}, 429, None),
        (ServerLimits(max_tokens=20), {"prompt": [5] * 4, "max_tokens": 10}, 200, None),
    ],
)
async def test_never_now_and_yes(
    limits: ServerLimits, body: Json, status: int, param: str | None
) -> None:
    goes_on = asyncio.Event()
    client, link = limited(limits, [goes_on, *saying("hello")])
    first = client.begin("POST", COMPLETIONS, {"prompt": [5, 6, 7], "max_tokens": 2})
    while not link.streams:
        await asyncio.sleep(0)
    second = client.begin("POST", COMPLETIONS, body)
    if status != 200:
        await second.done()
    goes_on.set()
    answer = await second.done()
    assert answer.status == status
    if status != 200:
        assert answer.json()["error"]["param"] == param
    assert ("retry-after" in answer.headers) == (status == 429)
    assert (await first.done()).status == 200


async def test_a_length_that_has_no_room_is_refused_before_the_prompt_is_cut() -> None:
    client, link = limited(ServerLimits(max_tokens=20), saying("hello"))
    # Longer than any prompt may be: cutting it would be a 400 of another kind.
    answer = await client.post(COMPLETIONS, {"prompt": "a " * 100_000, "max_tokens": 21})
    assert "tokens of prompt and answer" in answer.json()["error"]["message"]
    assert not link.streams


@pytest.mark.parametrize(
    ("ended_at_s", "now_s", "retry_after_s"),
    [
        ([], 100.0, 1),
        ([99.0, 99.5, 100.0], 100.0, 1),
        ([80.0, 90.0], 100.0, 10),
        ([80.0, 90.0], 109.0, 15),
        # Too long ago to tell anything.
        ([10.0, 20.0], 100.0, 1),
        ([71.0], 100.9, 30),
    ],
)
def test_when_to_come_again_follows_how_requests_ended(
    ended_at_s: list[float], now_s: float, retry_after_s: int
) -> None:
    clock = Clock()
    admission = Admission(ServerLimits(), clock)
    for at_s in ended_at_s:
        slot = admission.enter()
        clock.now_s = at_s
        slot.leave()
    clock.now_s = now_s
    assert admission.retry_after_s == retry_after_s


def test_the_most_tokens_follow_the_model() -> None:
    assert most_tokens(ServerLimits(), SERVING) == 256 * SERVING.context_tokens
    assert most_tokens(ServerLimits(max_tokens=7), SERVING) == 7


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "take", "leave"]), st.integers(1, 5), st.integers(0, 9))
    )
)
def test_counts_stay_within_their_limits_and_come_back_to_none(
    events: list[tuple[str, int, int]],
) -> None:
    limits = ServerLimits(max_requests=6, max_tokens=20)
    admission = Admission(limits)
    new: list[Slot] = []
    taken: list[Slot] = []
    for what, choices, tokens in events:
        try:
            if what == "enter":
                new.append(admission.enter())
            elif what == "take" and new:
                new[-1].take(choices, tokens, SERVING)
                taken.append(new.pop())
            elif what == "leave" and (new or taken):
                (taken or new).pop(0).leave()
        except ApiError as error:
            assert error.status in (400, 429)  # noqa: PT017
        assert 0 <= admission.requests <= limits.max_requests
        assert 0 <= admission.tokens <= 20
        assert admission.requests >= len(new) + len(taken)
    for slot in (*new, *taken):
        slot.leave()
    assert (admission.requests, admission.tokens) == (0, 0)
