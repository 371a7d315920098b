"""The load on a real engine: what arrives is submitted, what ends is told, and nothing else."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from prodtop.engine.load.prompts import Prompt, bundled_prompts
from prodtop.engine.metrics.collector import MOST_REASONS, OTHER_REASONS, Metrics
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import LoadSpec, PrecisionName, StrategyName
from prodtop.engine.protocol.errors import BadInputError, PromptTooLongError
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Completion, Sampling
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.traffic import Traffic

CHAT_TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
CONTEXT_TOKENS = 128
NO_TOKENS = "the model's tokenizer makes no tokens of a prompt"
LOAD = LoadSpec(users=3, output_tokens_min=4, output_tokens_max=9, temperature=0.0, ignore_eos=True)


class Clock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tiny_folder: Path, clock: Clock) -> Engine:
    return engine_of(tiny_folder, clock)


def engine_of(folder: Path, clock: Clock) -> Engine:
    return Engine(
        load_model(str(folder)),
        EngineSettings(max_seqs=8, token_budget=64, kv_blocks=64, context_tokens=CONTEXT_TOKENS),
        strategy=StrategyName.CONTINUOUS,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=clock,
    )


def serve(engine: Engine, traffic: Traffic, clock: Clock) -> dict[int, tuple[int, int]]:
    """To the end of a limited load: prompt and output tokens by the request's number in it."""
    served: dict[int, tuple[int, int]] = {}
    for _ in range(10_000):
        if traffic.exhausted:
            return dict(enumerate(served[request_id] for request_id in sorted(served)))
        traffic.submit_arrivals()
        for completion in traffic.on_completions(engine.step()):
            request = completion.request
            served[request.request_id] = len(request.prompt_tokens), request.num_output_tokens
        clock.now_s += 0.01
    raise AssertionError("the load never ended")


def test_a_limited_load_is_served_to_its_end(engine: Engine, clock: Clock) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD, limit=10)
    served = serve(engine, traffic, clock)
    assert sorted(served) == list(range(10))
    assert all(4 <= output <= 9 for _, output in served.values())
    assert not traffic.prompts
    assert engine.metrics.accounting().finished == 10


def test_users_have_one_request_each_and_their_prompts_are_known(
    engine: Engine, clock: Clock
) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    texts = {prompt.text for prompt in bundled_prompts()}
    for _ in range(40):
        traffic.submit_arrivals()
        assert engine.metrics.accounting().in_system == 3
        assert set(traffic.prompts) == set(engine.deliveries)
        assert set(traffic.prompts.values()) <= texts
        traffic.on_completions(engine.step())
        clock.now_s += 0.01


def test_prompts_as_they_are_keep_their_end_and_leave_room_for_the_output(
    engine: Engine, clock: Clock
) -> None:
    prompt = Prompt(group="g", system="word " * 100, opening="the very end")
    load = msgspec.structs.replace(LOAD, users=1)
    traffic = Traffic(engine, [prompt], load, limit=1)
    traffic.submit_arrivals()
    (request,) = engine.scheduler.waiting
    whole = engine.model.tokenizer.encode(prompt.text)
    assert len(whole) > CONTEXT_TOKENS
    assert len(request.prompt_tokens) == CONTEXT_TOKENS - request.max_tokens
    assert request.prompt_tokens == whole[-len(request.prompt_tokens) :]
    served = serve(engine, traffic, clock)
    assert served[0][1] == request.max_tokens


def test_prompt_lengths_asked_for_are_kept_exactly(engine: Engine, clock: Clock) -> None:
    load = msgspec.structs.replace(LOAD, prompt_tokens_min=33, prompt_tokens_max=33)
    served = serve(engine, Traffic(engine, bundled_prompts(), load, limit=6), clock)
    assert {prompt for prompt, _ in served.values()} == {33}


def test_latency_counts_from_the_arrival_and_not_from_when_it_was_noticed(
    engine: Engine, clock: Clock
) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD, limit=1)
    arrived_s = clock.now_s
    clock.now_s += 2.0
    traffic.submit_arrivals()
    (request,) = engine.scheduler.waiting
    assert (request.arrival_at_s, request.queued_at_s) == (arrived_s, clock.now_s)
    while not (completions := engine.step()):
        pass
    latency = completions[0].latency
    assert latency is not None
    assert latency.ttft_s == pytest.approx(2.0)
    assert latency.queue_s == 0.0


def test_an_impossible_change_keeps_the_old_load(engine: Engine) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    too_long = msgspec.structs.replace(LOAD, prompt_tokens_min=1, prompt_tokens_max=CONTEXT_TOKENS)
    with pytest.raises(PromptTooLongError):
        traffic.set_spec(too_long)
    with pytest.raises(BadInputError, match="temperature"):
        traffic.set_spec(msgspec.structs.replace(LOAD, temperature=-1.0))
    assert traffic.spec == LOAD
    with pytest.raises(PromptTooLongError):
        Traffic(engine, bundled_prompts(), too_long)


def test_requests_of_others_are_none_of_its_own(engine: Engine, clock: Clock) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD, limit=2)
    stranger = engine.submit([7] * 20, Sampling(), 5, ignore_eos=True)
    assert sorted(serve(engine, traffic, clock)) == [0, 1]
    while engine.has_work:
        assert traffic.on_completions(engine.step()) == []
    assert stranger.done


def test_an_aborted_request_makes_room_for_the_users_next(engine: Engine, clock: Clock) -> None:
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    traffic.submit_arrivals()
    first = min(traffic.prompts)
    engine.abort(first)
    (completion,) = traffic.on_completions(engine.step())
    assert (completion.request.request_id, completion.latency) == (first, None)
    traffic.submit_arrivals()
    assert engine.metrics.accounting().in_system == 3
    assert first not in traffic.prompts


def test_chat_prompts_go_through_the_models_template(
    tmp_path: Path, tiny_folder: Path, clock: Clock
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "chatty")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    engine = engine_of(folder, clock)
    prompts = [Prompt("mills", "Be brief.", "Who slept?")]
    traffic = Traffic(engine, prompts, LOAD)
    for chat, text in (
        (False, "Be brief.\n\nWho slept?"),
        (True, "[system] Be brief.\n[user] Who slept?\n[assistant] "),
        (False, "Be brief.\n\nWho slept?"),
    ):
        clock.now_s += 1
        traffic.set_spec(msgspec.structs.replace(LOAD, chat=chat))
        traffic.submit_arrivals()
        (completion, *_) = drained(engine, traffic)
        assert engine.model.tokenizer.decode(completion.request.prompt_tokens) == text


def test_a_chat_with_a_model_that_knows_none_is_refused_at_once(
    engine: Engine, clock: Clock
) -> None:
    chat = msgspec.structs.replace(LOAD, chat=True)
    with pytest.raises(BadInputError, match="no chat template"):
        Traffic(engine, bundled_prompts(), chat)
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    with pytest.raises(BadInputError, match="no chat template"):
        traffic.set_spec(chat)
    assert traffic.spec is LOAD


def drained(engine: Engine, traffic: Traffic) -> list[Completion]:
    """What ends until nothing is left to do."""
    ended: list[Completion] = []
    for _ in range(10_000):
        if not engine.has_work:
            return ended
        ended += traffic.on_completions(engine.step())
    raise AssertionError("requests are stuck")


def test_a_prompt_that_the_template_refuses_fails_alone(
    tiny_folder: Path, tmp_path: Path, clock: Clock
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "choosy")
    refusal = "{% for m in messages if 'bad' in m.content %}{{ raise_exception('no') }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(refusal + CHAT_TEMPLATE)
    engine = engine_of(folder, clock)
    prompts = [Prompt("", "good", "good"), Prompt("", "bad", "bad")]
    load = msgspec.structs.replace(LOAD, chat=True)
    traffic = Traffic(engine, prompts, load, limit=12)
    served = serve(engine, traffic, clock)
    accounting = engine.metrics.accounting()
    assert accounting.failed > 0
    assert accounting.finished == len(served)
    assert accounting.finished + accounting.failed == accounting.submitted == 12
    (note,) = engine.notes
    assert note.startswith("the model's chat template refuses the messages: no")


@pytest.fixture
def blank(tiny_folder: Path, tmp_path: Path, clock: Clock) -> Engine:
    """An engine whose tokenizer makes no tokens of blanks."""
    folder = shutil.copytree(tiny_folder, tmp_path / "blank")
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    path.write_text(json.dumps(file | {"normalizer": strip, "post_processor": None}))
    return engine_of(folder, clock)


@pytest.mark.parametrize("length", [None, 20], ids=["as it is", "of a length"])
def test_a_prompt_without_tokens_fails_alone(
    blank: Engine, clock: Clock, length: int | None
) -> None:
    prompts = [Prompt("", "Who", "slept?"), Prompt("", " ", " ")]
    load = msgspec.structs.replace(LOAD, prompt_tokens_min=length, prompt_tokens_max=length)
    served = serve(blank, Traffic(blank, prompts, load, limit=12), clock)
    accounting = blank.metrics.accounting()
    assert accounting.finished == len(served) > 0
    assert accounting.refused == {NO_TOKENS: accounting.failed}
    assert accounting.finished + accounting.failed == accounting.submitted == 12
    assert blank.notes == [f"{NO_TOKENS}: requests that meet this fail"]


def test_what_the_engine_refuses_fails_alone(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises for the request's sake: here, a token that the model does not have."""
    traffic = Traffic(engine, bundled_prompts(), LOAD)
    monkeypatch.setattr(engine.model.tokenizer, "encode", lambda text: [10**6])
    traffic.submit_arrivals()
    (reason,) = engine.metrics.accounting().refused
    assert "outside 0" in reason
    assert engine.metrics.accounting().in_system == 0


def test_users_who_are_all_refused_do_not_spin(blank: Engine, clock: Clock) -> None:
    traffic = Traffic(blank, [Prompt("", " ", " ")], LOAD)
    looks = 0
    while clock.now_s < 110.0:
        traffic.submit_arrivals()
        due_s = traffic.next_due_s()
        assert due_s is not None
        clock.now_s = due_s
        looks += 1
    assert looks < 25
    assert blank.metrics.accounting().refused == {NO_TOKENS: 3 * looks}


def test_reasons_beyond_a_few_are_counted_together() -> None:
    metrics = Metrics(0.0)
    for n in range(MOST_REASONS + 5):
        metrics.on_refused(1.0, 0.5, f"reason {n}")
    refused = metrics.accounting().refused
    assert len(refused) == MOST_REASONS + 1
    assert refused[OTHER_REASONS] == 5
    assert sum(refused.values()) == metrics.accounting().failed
