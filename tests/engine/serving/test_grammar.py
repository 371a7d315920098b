"""Texts that follow a grammar: always, whatever the seed, the batch and the runner."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_harness import CHUNKED, ROOMY, SCARCE, CheckedEngine, model_of, with_eos
from hypothesis import given, settings
from hypothesis import strategies as st
from known_outputs import ALWAYS
from llguidance import LLMatcher
from numpy.typing import NDArray
from prodtop.engine.model.gguf.metadata import Metadata
from prodtop.engine.model.gguf.tokenizer import build_tokenizer
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol import Accounting, StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.serving.edit_rows import apply_masks
from prodtop.engine.serving.grammar import GrammarMatch, Grammars, Mask
from prodtop.engine.serving.logit_edits import LogitEdits
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.runner import runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.text.tokenizer import NumberTokenizer
from test_paged_runner import launched_one_by_one
from test_token_delivery import Reader

PROMPT = tuple(range(5, 25))
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
JSON = LLMatcher.grammar_from_json_schema({**SCHEMA, "x-guidance": {"whitespace_flexible": False}})
REGEX_TEXT = r"[A-Z][a-z]{2,6}(, [a-z]{1,4}){0,3}\."
REGEX = LLMatcher.grammar_from_regex(REGEX_TEXT)
CHOICES = ("yes", "no", "no idea", "où ça ?")
CHOICE = LLMatcher.grammar_from_lark("start: " + " | ".join(map(json.dumps, CHOICES)))
LONG = 200
TIGHT = replace(SCARCE, kv_blocks=15)
"""Blocks for the longest of the texts, and for few at once."""


@cache
def bundled() -> LoadedModel:
    return load_model("bundled")


def text_of(model: LoadedModel, request: Request) -> str:
    """As a server decodes it: without the stop token."""
    tokens = request.output_tokens
    if tokens and tokens[-1] in model.config.eos_token_ids:
        tokens = tokens[:-1]
    return model.tokenizer.decode(tokens)


def assert_follows(grammar: str | None, text: str) -> None:
    if grammar == JSON:
        value = json.loads(text)
        assert set(value) == {"name", "age", "tags"}
        assert len(value["name"]) <= 8
        assert 0 <= value["age"] <= 120
        assert set(value["tags"]) <= {"a", "b"}
    elif grammar == REGEX:
        assert re.fullmatch(REGEX_TEXT, text)
    elif grammar == CHOICE:
        assert text in CHOICES


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        (StrategyName.HYBRID, ROOMY),
        (StrategyName.BATCHED, ROOMY),
        (StrategyName.CONTINUOUS, replace(CHUNKED, speculation=ALWAYS)),
        (StrategyName.CONTINUOUS, TIGHT),
    ],
    ids=["roomy", "gang", "chunked-drafts", "scarce"],
)
def test_every_text_follows_its_grammar(name: StrategyName, limits: EngineSettings) -> None:
    """Many seeds at temperature 1, beside requests without a grammar, which stay as they are."""
    model = bundled()
    reader = Reader(CheckedEngine(model, name, settings=limits))
    asked: list[tuple[str | None, Request]] = []
    for seed in range(6):
        for grammar in (JSON, REGEX, CHOICE, None):
            request = reader.served.ask(
                (*PROMPT, 30 + seed),
                LONG if grammar else 8,
                sampling=Sampling(temperature=1.0, seed=seed),
                grammar=grammar,
                edits=LogitEdits.of(min_tokens=1, presence_penalty=0.1 * (seed % 2)),
                logprobs=2 if seed == 3 else None,
                ignore_eos=grammar is None,
                outbox=reader.outbox,
            )
            asked.append((grammar, request))
    reader.drain()
    for grammar, request in asked:
        assert request.status is Status.FINISHED
        assert reader.tokens(request) == request.output_tokens
        if grammar is not None:
            assert request.finish_reason == "stop"
            assert_follows(grammar, text_of(model, request))
    assert len({tuple(r.output_tokens) for grammar, r in asked if grammar == JSON}) > 1
    if limits is TIGHT:
        assert any(request.preemptions for _, request in asked)


def test_neither_batch_nor_preemption_changes_a_text() -> None:
    model = bundled()
    outputs = []
    for limits in (ROOMY, replace(SCARCE, kv_blocks=9)):
        served = CheckedEngine(model, StrategyName.CONTINUOUS, settings=limits)
        requests = [
            served.ask(PROMPT, 60, sampling=Sampling(temperature=1.0, seed=n), grammar=JSON)
            for n in range(4)
        ]
        served.drain()
        outputs.append([request.output_tokens for request in requests])
    assert outputs[0] == outputs[1]
    assert any(request.preemptions for request in requests)


def test_greedy_texts_follow_a_grammar_too() -> None:
    served = CheckedEngine(bundled(), StrategyName.SINGLE)
    requests = [(g, served.ask(PROMPT, LONG, grammar=g)) for g in (JSON, REGEX, CHOICE)]
    served.drain()
    for grammar, request in requests:
        assert_follows(grammar, text_of(bundled(), request))


def test_both_runners_follow_a_grammar_alike(tiny_folder: Path) -> None:
    """Beside a request without one, a step ahead where nothing hangs on the tokens."""
    model = model_of(tiny_folder)
    outputs = []
    for make in (runner_for, launched_one_by_one):
        served = CheckedEngine(model, StrategyName.CONTINUOUS, runner_for=make)
        requests = [
            served.ask(
                PROMPT[:4], 6, sampling=Sampling(temperature=1.0, seed=n), grammar=g, logprobs=n
            )
            for n, g in enumerate((CHOICE, None))
        ]
        served.drain()
        assert_follows(CHOICE, text_of(model, requests[0]))
        outputs.append([request.output_tokens for request in requests])
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("ignore_eos", [False, True])
def test_a_grammar_that_may_end_ends_by_the_model_and_one_that_must_by_itself(
    ignore_eos: bool,
) -> None:
    model = bundled()
    (eos,) = model.config.eos_token_ids
    reader = Reader(CheckedEngine(model, StrategyName.CONTINUOUS))
    ask, outbox = reader.served.ask, reader.outbox
    regex = LLMatcher.grammar_from_regex("a+")
    bias = LogitEdits.of(logit_bias={eos: 100.0})
    may = ask(PROMPT, 9, ignore_eos=ignore_eos, edits=bias, grammar=regex, outbox=outbox)
    regex = LLMatcher.grammar_from_regex("aaa")
    must = ask(PROMPT, 9, ignore_eos=ignore_eos, grammar=regex, outbox=outbox)
    cut = reader.served.ask(PROMPT, 2, grammar=JSON, outbox=reader.outbox)
    reader.drain()
    assert may.output_tokens[-1] == eos
    assert (may.finish_reason, must.finish_reason, cut.finish_reason) == ("stop", "stop", "length")
    assert reader.end(may).stop_token_id == (None if ignore_eos else eos)
    assert eos not in must.output_tokens
    assert text_of(model, must) == "aaa"


def test_a_stop_token_that_a_grammar_needs_is_not_banned(tiny_folder: Path) -> None:
    """Of min-tokens and a grammar that leaves nothing else, the grammar wins."""
    model = model_of(tiny_folder)
    (letter,) = model.tokenizer.encode("a")
    served = CheckedEngine(with_eos(model, 0), StrategyName.CONTINUOUS)
    request = served.ask(
        PROMPT,
        9,
        grammar=LLMatcher.grammar_from_regex("aaaa"),
        stop_token_ids=(letter,),
        edits=LogitEdits.of(min_tokens=3),
    )
    served.drain()
    assert request.status is Status.FINISHED
    assert text_of(model, request).startswith("a")


# What is refused, and what fails


@pytest.mark.parametrize(
    "grammar",
    [
        "",
        "nonsense",
        "{}",
        "start: /a",
        "start: missing",
        LLMatcher.grammar_from_regex("(["),
        LLMatcher.grammar_from_json_schema({"type": "gadget"}),
        "start: \u001b[31m\n",
    ],
)
def test_a_broken_grammar_is_refused_in_one_line(grammar: str, tiny_folder: Path) -> None:
    served = CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match="the grammar cannot be used: ") as refused:
        served.ask(PROMPT, 4, grammar=grammar)
    assert str(refused.value).isprintable()
    assert served.engine.metrics.accounting() == Accounting()
    assert not served.engine.has_work


def test_a_grammar_follows_the_pieces_of_a_gguf_file() -> None:
    """Pieces with scores, and their spaces, as Llama's; the end of a text is the file's."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁no", "no", "▁idea", *"abcdefghijklmnopqrstuvwxyz"]
    metadata = {
        "model": "llama",
        "tokens": pieces,
        "scores": [-float(n) for n in range(len(pieces))],
        "token_type": [2, 3, 3, *[6] * 256, *[1] * (len(pieces) - 259)],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    keys = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
    tokenizer = build_tokenizer(Metadata(keys, "m.gguf"), len(pieces))
    match = Grammars(tokenizer, len(pieces) + 7, [2]).match(CHOICE)
    for piece, after in (("no", {"▁", "▁idea", "</s>", "<0x20>"}), ("▁idea", None)):
        assert match.mask()[pieces.index(piece) // 32] >> pieces.index(piece) % 32 & 1
        match.take(pieces.index(piece))
        if after is not None:
            allowed = {pieces[token] for token in np.flatnonzero(_bits(match.mask()))}
            assert allowed == after
    assert match.complete


def test_random_weights_follow_no_grammar(tiny_folder: Path) -> None:
    model = model_of(tiny_folder)
    numbers = NumberTokenizer(model.tokenizer, model.config.vocabulary)
    served = CheckedEngine(replace(model, tokenizer=numbers), StrategyName.CONTINUOUS)
    with pytest.raises(BadInputError, match="random weights follow no grammar"):
        served.ask(PROMPT, 4, grammar=CHOICE)
    served.ask(PROMPT, 4)
    served.drain()


def test_a_grammar_that_cannot_go_on_fails_its_request_alone(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if llguidance had run into one of its limits."""
    reader = Reader(CheckedEngine(model_of(tiny_folder), StrategyName.CONTINUOUS))
    broken = reader.served.ask(PROMPT, 40, grammar=JSON, outbox=reader.outbox)
    others = [
        reader.served.ask(PROMPT, 40, grammar=CHOICE, outbox=reader.outbox),
        reader.served.ask(PROMPT, 6, ignore_eos=True, outbox=reader.outbox),
    ]
    reader.step()
    whole = GrammarMatch.mask

    def mask(self: GrammarMatch, banned: frozenset[int] = frozenset()) -> Mask:
        """Allows what the grammar does not."""
        bits = whole(self, banned)
        return ~bits if self is broken.match else bits

    monkeypatch.setattr(GrammarMatch, "mask", mask)
    reader.drain()
    assert (broken.status, broken.finish_reason) == (Status.ABORTED, "grammar")
    assert (reader.end(broken).finish_reason, reader.end(broken).error) == ("error", "grammar")
    assert [request.status for request in others] == [Status.FINISHED] * 2


@settings(deadline=None, max_examples=60)
@given(
    vocabulary=st.integers(1, 100),
    rows=st.lists(st.lists(st.booleans(), min_size=100, max_size=100), min_size=1, max_size=3),
)
def test_masks_leave_the_tokens_of_their_bits(vocabulary: int, rows: list[list[bool]]) -> None:
    """Every other row has no mask."""
    logits = torch.arange(float(2 * len(rows) * vocabulary)).reshape(-1, vocabulary)
    masks = []
    for row in rows:
        bits = np.zeros(-(-vocabulary // 32) * 32, dtype=np.uint8)
        bits[:vocabulary] = row[:vocabulary]
        masks.append(np.packbits(bits, bitorder="little").view(np.int32))
    found = logits.clone()
    apply_masks(found, list(range(0, len(logits), 2)), masks)
    assert torch.equal(found[1::2], logits[1::2])
    for before, after, row in zip(logits[::2], found[::2], rows, strict=True):
        allowed = torch.tensor(row[:vocabulary])
        assert torch.equal(after.isfinite(), allowed)
        assert torch.equal(after[allowed], before[allowed])


@settings(deadline=None, max_examples=40)
@given(banned=st.frozensets(st.integers(0, 4095), max_size=20), everything=st.booleans())
def test_banned_tokens_are_taken_out_unless_nothing_is_left(
    banned: frozenset[int], everything: bool
) -> None:
    model = bundled()
    grammars = Grammars(model.tokenizer, model.config.vocabulary, model.config.eos_token_ids)
    match = grammars.match(CHOICE)
    allowed = set(np.flatnonzero(_bits(match.mask())).tolist())
    out = banned | allowed if everything else banned
    left = set(np.flatnonzero(_bits(match.mask(out))).tolist())
    assert left == (allowed - out or allowed)


def _bits(mask: Mask) -> NDArray[np.uint8]:
    return np.unpackbits(mask.view(np.uint8), bitorder="little")
