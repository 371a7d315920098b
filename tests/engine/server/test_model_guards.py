"""The guards that ask the model: perplexity of prompts and uncertainty of answers, served."""

import asyncio
import http.client
import json
import math
from pathlib import Path

import pytest
from api_harness import CHAT, COMPLETIONS, saying
from asgi_client import Client, Json
from guarded_api import BOTH_ROUTES, asking, guard_metrics, guarded
from linked_engine import DEADLINE_S, HOST
from msgspec.structs import replace
from prodtop.engine.protocol import LoadSpec
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.served import Output, Submit, TokenLogprob
from prodtop.engine.protocol.server_options import GuardOptions, ServerOptions
from prodtop.engine.server.guarding import Guarding
from prodtop.engine.server.guards.answer_entropy import TOP_LOGPROBS
from prodtop.engine.server.guards.model_reference import (
    ModelReference,
    ModelReferenceError,
    PerplexityLimits,
    keep_reference,
    load_reference,
    reference_file,
)
from prodtop.engine.server.guards.review_queue import ReviewQueue
from prodtop.engine.server.guards.settings import ReviewSettings
from prodtop.engine.server.guards.uncertainty import UncertaintyReference, calibrate
from scripted_link import Told
from served_engine import served_engine
from served_folders import ids_of

SCRIPTED = "org/scripted"
PROSE = "It was a fine morning in the spring of the year, and the old man sat by the window of"
NOISE = "zx qv ;; !! kk == |/ }{ ~~ ## pq jj ww vv %% ^^ zz xx qq && $$ @@ :: ++ __"


def reference(model: str) -> ModelReference:
    uncertainty = calibrate(model, [[n / 100] for n in range(1, 101)])
    limits = PerplexityLimits(
        length_per_perplexity=50.0, affix_perplexity=1e4, prompts=1, affixes=1
    )
    return ModelReference(
        model=model,
        precision="fp32",
        measured="2026-12-01",
        uncertainty=uncertainty,
        perplexity=limits,
    )


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def guarding_of(api: Client) -> Guarding:
    found = api._app.state.context.guarding
    assert isinstance(found, Guarding)
    return found


async def written(api: Client) -> None:
    """All that was noted is in the queue."""
    guarding = guarding_of(api)
    while guarding.reviewing is not None and guarding.reviewing._unwritten:
        await asyncio.sleep(0.01)


def certain(share: float) -> list[Told]:
    """A script of tokens whose likeliest has this share, and one other the rest."""
    logprobs = [
        TokenLogprob(
            token_id=5,
            logprob=math.log(share),
            rank=1,
            top=[(5, math.log(share)), (6, math.log(1 - share))],
        )
    ]
    return [
        replace(each, logprobs=logprobs * len(each.token_ids)) if isinstance(each, Output) else each
        for each in saying("yes it is")
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", BOTH_ROUTES)
@pytest.mark.parametrize(("share", "flagged"), [(0.999, False), (0.5, True)])
async def test_an_uncertain_answer_is_flagged_and_reviewed(
    share: float, route: str, tmp_path: Path, *, flagged: bool, stream: bool
) -> None:
    """The entropy of even odds is 0.69 nats, above 69 in a hundred of the reference."""
    keep_reference(reference(SCRIPTED))
    file = tmp_path / "review.db"
    api, link = guarded(
        certain(share),
        uncertainty={"enabled": True, "above": 0.6},
        review={"mode": "after", "file": str(file)},
        content={"outputs": False, "prompts": False},
        pii={"outputs": False, "prompts": False},
    )
    told: Json = {"logprobs": 1} if route == COMPLETIONS else {"logprobs": True, "top_logprobs": 1}
    body = asking(route, "hello", max_tokens=20, stream=stream)
    plain, asked = await api.post(route, body), await api.post(route, body | told)
    assert link.streams[0].submit.logprobs == TOP_LOGPROBS
    # A client gets the logprobs that it asked for, and no others.
    assert b"-0.69" not in plain.body
    assert (b"-0.69" in asked.body) is flagged
    counted = await guard_metrics(api)
    outcome = "flag" if flagged else "pass"
    assert counted[f'texts_total{{guard="uncertainty",outcome="{outcome}"}}'] == 2
    await written(api)
    queue = ReviewQueue(file, ReviewSettings())
    found = [(each.guard, each.text, each.fate) for each in queue.items()]
    assert found == [("uncertainty", "yes it is", "sent")] * (2 if flagged else 0)


async def test_without_a_reference_nothing_is_judged_and_that_is_counted() -> None:
    api, _ = guarded(certain(0.5), uncertainty={"enabled": True}, perplexity={"enabled": True})
    assert (await api.post(COMPLETIONS, {"prompt": "hello"})).status == 200
    counted = await guard_metrics(api)
    for guard in ("uncertainty", "perplexity"):
        assert counted[f'unjudged_texts_total{{guard="{guard}"}}'] == 1
    guarding = guarding_of(api)
    assert guarding.lacking(SCRIPTED) == ["perplexity", "uncertainty"]
    keep_reference(reference("another"))
    assert guarding.lacking("another") == []


def scored(submit: Submit) -> list[Told]:
    """A script that scores prompts: those with tokens of the noise are unlikely."""
    if submit.prompt_logprobs is None:
        return list(saying("yes it is"))
    logprob = -20.0 if set(ids_of(NOISE)) & set(submit.prompt_tokens) - set(ids_of(PROSE)) else -2.0
    logprobs = [TokenLogprob(token_id=5, logprob=logprob, rank=9)] * (len(submit.prompt_tokens) - 1)
    return [Output(key=0, prompt_logprobs=logprobs, finish_reason="length")]


@pytest.mark.parametrize(("action", "status"), [("flag", 200), ("block", 400)])
@pytest.mark.parametrize("route", BOTH_ROUTES)
async def test_a_prompt_that_no_person_writes(
    route: str, action: str, status: int, tmp_path: Path
) -> None:
    keep_reference(reference(SCRIPTED))
    api, _ = guarded(
        scored,
        perplexity={"enabled": True, "action": action},
        review={"mode": "after", "file": str(tmp_path / "review.db")},
        rate={"requests_per_minute": 1, "burst_requests": 2},
    )
    answers = [
        await api.post(route, asking(route, prompt, max_tokens=2)) for prompt in (PROSE, NOISE)
    ]
    assert [each.status for each in answers] == [200, status]
    counted = await guard_metrics(api)
    assert counted[f'texts_total{{guard="perplexity",outcome="{action}"}}'] == 1
    # Of a chat what stands beside the messages is read as well.
    texts = 4 - (action == "block") if route == CHAT else 2
    assert counted['added_seconds_count{guard="perplexity"}'] == texts
    # Blocked or not, it counts as a request.
    assert (await api.post(route, asking(route, PROSE, max_tokens=2))).status == 429
    await written(api)
    queue = ReviewQueue(tmp_path / "review.db", ReviewSettings())
    found = [(each.guard, each.rule, each.kind) for each in queue.items()]
    expected = [("perplexity", "affix_perplexity", kind) for kind in ("prompt", "output")]
    assert [each for each in found if each[2] == "prompt"] == expected[: action == "flag"]


def test_a_real_engine_scores_its_prompts() -> None:
    """Its own prose passes, and noise does not."""
    table: dict[str, object] = {
        "perplexity": {
            "enabled": True,
            "action": "block",
            "affix_perplexity": 2e3,
            "length_per_perplexity": 1e6,
        },
        "uncertainty": {"enabled": True, "above": 0.0},
    }
    options = WorkerOptions(
        model="bundled", device="cpu", threads=1, max_seqs=4, load=LoadSpec(paused=True)
    )
    guards = GuardOptions(table=table, folder="/")
    with served_engine(options, ServerOptions(port=0, guards=guards)) as served:
        for prompt, status in ((PROSE, 200), (NOISE, 400)):
            body = {"prompt": prompt, "max_tokens": 4}
            connection = http.client.HTTPConnection(HOST, served.port, timeout=DEADLINE_S)
            connection.request("POST", COMPLETIONS, json.dumps(body))
            assert connection.getresponse().status == status
            connection.close()
        seen = served.metrics()
        assert seen['prodtop_guard_texts_total{guard="uncertainty",outcome="flag"}'] == 1
        served.wait("nothing in flight", served.idle)


@pytest.mark.parametrize(("on_failure", "status"), [("closed", 500), ("open", 200)])
async def test_an_engine_that_does_not_score_closes_or_opens(on_failure: str, status: int) -> None:
    def script(submit: Submit) -> list[Told]:
        if submit.prompt_logprobs is not None:
            return [Output(key=0, finish_reason="error", error="broken")]
        return list(saying("yes it is"))

    keep_reference(reference(SCRIPTED))
    api, _ = guarded(script, perplexity={"enabled": True, "on_failure": on_failure})
    assert (await api.post(CHAT, asking(CHAT, "hello you"))).status == status
    assert (await guard_metrics(api))['failures_total{guard="perplexity"}'] >= 1


def test_a_reference_is_read_as_it_was_kept_and_ships_for_the_bundled_model() -> None:
    mine = reference("a/b c")
    path = keep_reference(mine)
    assert load_reference("a/b c") == mine
    assert load_reference("none") is None
    path.write_text("{}")
    with pytest.raises(ModelReferenceError, match="measure it again"):
        load_reference("a/b c")
    shipped = load_reference("bundled")
    assert shipped is not None
    assert isinstance(shipped.uncertainty, UncertaintyReference)
    assert len(shipped.uncertainty.means) == len(shipped.uncertainty.maxima) > 100
    keep_reference(replace(shipped, measured="later"))
    found = load_reference("bundled")
    assert found is not None
    assert found.measured == "later"
    assert reference_file("bundled").exists()
