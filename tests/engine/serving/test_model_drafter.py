"""A draft model: what it guesses changes no answer, and a good one is mostly right."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoints import TinyShape, write_checkpoint, write_tokenizer
from engine_harness import CHUNKED, CPU, ROOMY, SCARCE, CheckedEngine, model_of
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName, SpeculationSpec, StrategyName
from prodtop.engine.protocol.errors import BadInputError, DraftModelError
from prodtop.engine.serving.model_drafter import check_draft, model_drafter
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.runner import StepResult
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.text.tokenizer import NumberTokenizer

WITH_DRAFT_MODEL = SpeculationSpec(drafts=4, adaptive=False, draft_model="draft")
SAMPLINGS = (Sampling(), Sampling(temperature=0.7, top_p=0.9, seed=11))
PROMPTS = ((5,), tuple(range(40, 57)), tuple(range(60)), tuple(range(9, 50)))
MAX_TOKENS = 24


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller random model of the same vocabulary, which agrees with the other by chance."""
    folder = tmp_path_factory.mktemp("draft")
    write_checkpoint(folder, TinyShape(layers=1, heads=2), seed=3)
    write_tokenizer(folder)
    return folder


def engine_with(
    draft: LoadedModel | None, model: LoadedModel, name: StrategyName, settings: EngineSettings
) -> CheckedEngine:
    served = CheckedEngine(model, name, settings=settings)
    if draft is not None:
        served.engine.drafter = model_drafter(draft, model, settings, CPU)
        served.engine.set_speculation(WITH_DRAFT_MODEL)
    return served


def ask(served: CheckedEngine) -> list[Request]:
    return [
        served.ask(prompt, MAX_TOKENS, sampling=sampling, ignore_eos=True)
        for prompt in PROMPTS
        for sampling in SAMPLINGS
    ]


def acceptance(served: CheckedEngine) -> float:
    found = served.engine.metrics.draft_acceptance(served.clock.now_s, float("inf"))
    assert found is not None
    return found


@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
@pytest.mark.parametrize("name", StrategyName)
def test_a_draft_model_changes_no_answer(
    name: StrategyName, settings: EngineSettings, tiny_folder: Path, other_folder: Path
) -> None:
    model = model_of(tiny_folder)
    outputs = []
    for draft in (None, model_of(other_folder)):
        served = engine_with(draft, model, name, settings)
        requests = ask(served)
        served.drain()
        outputs.append([request.output_tokens for request in requests])
    assert outputs[0] == outputs[1]
    assert acceptance(served) < 0.5


@pytest.mark.parametrize("settings", [ROOMY, CHUNKED, SCARCE], ids=["roomy", "chunked", "scarce"])
def test_a_model_guesses_itself_rightly(settings: EngineSettings, tiny_folder: Path) -> None:
    """Sampled tokens too, for the noise is the same; after preemptions and in shared blocks too."""
    model = model_of(tiny_folder)
    settings = replace(settings, speculation=None)
    served = engine_with(model, model, StrategyName.CACHED, settings)
    ask(served)
    served.drain()
    # The draft is at the device's own precision, and may differ by what that rounds.
    assert acceptance(served) > 0.8


def test_a_draft_model_that_pauses_goes_on_from_what_was_said(
    tiny_folder: Path, other_folder: Path
) -> None:
    model = model_of(tiny_folder)
    plain = engine_with(None, model, StrategyName.STREAMING, ROOMY)
    wanted = ask(plain)
    plain.drain()
    served = engine_with(model_of(other_folder), model, StrategyName.STREAMING, ROOMY)
    requests = ask(served)
    while served.engine.has_work:
        served.engine.set_speculation(None if served.engine.speculation.spec else WITH_DRAFT_MODEL)
        for _ in range(4):
            served.step()
    assert [r.output_tokens for r in requests] == [r.output_tokens for r in wanted]


def test_precision_switches_leave_the_draft_model_as_it_is(tiny_folder: Path) -> None:
    model = model_of(tiny_folder)
    served = engine_with(model, model, StrategyName.HYBRID, ROOMY)
    requests = ask(served)
    for name in (PrecisionName.INT8, PrecisionName.FP32):
        for _ in range(3):
            served.step()
        served.engine.set_precision(name)
    served.drain()
    assert all(request.num_output_tokens == MAX_TOKENS for request in requests)


def test_a_device_too_full_for_the_draft_model_goes_on_without(
    tiny_folder: Path, other_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tiny_folder)
    plain = engine_with(None, model, StrategyName.CONTINUOUS, ROOMY)
    expected = ask(plain)
    plain.drain()
    served = engine_with(model_of(other_folder), model, StrategyName.CONTINUOUS, ROOMY)
    requests = ask(served)
    for _ in range(5):
        served.step()
    assert served.engine.drafter is not None

    def full(chunks: Sequence[Chunk]) -> StepResult:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(served.engine.drafter.runner, "launch", full)
    served.drain()
    assert [r.output_tokens for r in requests] == [r.output_tokens for r in expected]
    assert served.engine.speculation.spec is None
    assert served.engine.notes == [
        "the device ran out of memory for the draft model: drafts are off"
    ]
    monkeypatch.undo()
    served.engine.set_speculation(WITH_DRAFT_MODEL)
    again = ask(served)
    served.drain()
    assert [r.output_tokens for r in again] == [r.output_tokens for r in expected]


def resized(model: LoadedModel, size: int) -> LoadedModel:
    """`model` with a vocabulary padded to `size`, or cut; what pads it is never the likeliest."""
    master = model.master
    more = max(0, size - master.config.vocabulary)
    pad = torch.zeros(more, master.config.hidden)
    rows = torch.cat((master.embedding[:size], pad)), torch.cat((master.head[:size], pad - 1e-3))
    config = replace(master.config, vocabulary=size)
    return replace(model, master=replace(master, config=config, embedding=rows[0], head=rows[1]))


@pytest.mark.parametrize("settings", [ROOMY, SCARCE], ids=["roomy", "scarce"])
@pytest.mark.parametrize("size", [300, 319, 321, 384])
def test_a_vocabulary_padded_to_another_size_guesses_within_the_common_ids(
    size: int, settings: EngineSettings, tiny_folder: Path
) -> None:
    model = model_of(tiny_folder)
    plain = engine_with(None, model, StrategyName.CACHED, settings)
    expected = ask(plain)
    plain.drain()
    served = engine_with(resized(model, size), model, StrategyName.CACHED, settings)
    requests = ask(served)
    served.drain()
    assert [r.output_tokens for r in requests] == [r.output_tokens for r in expected]
    assert acceptance(served) > 0.5


def test_tokens_that_the_draft_model_does_not_have_break_nothing(tiny_folder: Path) -> None:
    """Prompts and answers full of ids that only the served model has."""
    model = model_of(tiny_folder)
    prompts = [(310, 5, 319), tuple(300 + n % 20 for n in range(40))]
    outputs = []
    for draft in (None, resized(model, 40)):
        served = engine_with(draft, model, StrategyName.CACHED, ROOMY)
        requests = [served.ask(p, MAX_TOKENS, ignore_eos=True) for p in prompts]
        served.drain()
        outputs.append([r.output_tokens for r in requests])
    assert outputs[0] == outputs[1]
    assert any(token >= 40 for output in outputs[0] for token in output)


def test_another_tokenizer_or_a_shorter_context_is_a_named_error(
    tiny_folder: Path, tmp_path: Path
) -> None:
    model = model_of(tiny_folder)
    write_checkpoint(tmp_path, TinyShape(layers=1))
    text = (tiny_folder / "tokenizer.json").read_text()
    tokens = json.loads(text)
    vocab = tokens["model"]["vocab"]
    first, second = list(vocab)[5:7]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(DraftModelError, match=r"has another tokenizer than .*: token 5 is"):
        check_draft(load_model(str(tmp_path)), model, 64)
    with pytest.raises(DraftModelError, match="a context of 256 tokens, less than 257"):
        check_draft(model, model, 257)


@pytest.mark.parametrize(
    ("own", "wanted", "fits"),
    [
        (400, 384, True),
        (384, 400, True),
        (151_936, 152_064, True),
        (32_000, 32_064, True),
        (32_000, 128_256, False),
        (151_936, 128_256, False),
    ],
)
def test_without_tokenizers_sizes_may_differ_by_padding_alone(
    own: int, wanted: int, fits: bool, tiny_folder: Path
) -> None:
    def dummy(size: int) -> LoadedModel:
        model = model_of(tiny_folder)
        config = replace(model.config, vocabulary=size)
        master = replace(model.master, config=config)
        return replace(model, master=master, tokenizer=NumberTokenizer(model.tokenizer, size))

    if fits:
        check_draft(dummy(own), dummy(wanted), 64)
    else:
        with pytest.raises(DraftModelError, match=rf"has {own} tokens, .* has {wanted}"):
            check_draft(dummy(own), dummy(wanted), 64)


def test_a_draft_model_that_is_not_loaded_is_refused(tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.SINGLE)
    with pytest.raises(BadInputError, match="start with --draft-model"):
        served.engine.set_speculation(WITH_DRAFT_MODEL)
    assert served.engine.speculation.spec is None
