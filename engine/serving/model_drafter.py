"""Guessing with a smaller model of the same vocabulary: a few of its steps for one of the large.

Its keys and values lie in a cache of its own, in the blocks of the same numbers. It draws with the
noise of the large model's request at the same positions: where the two models' probabilities are
close, so are their choices, sampled ones too.

One tokenizer's models often pad its vocabulary to different sizes: guesses are then of the ids that
both have, and a token that the small model does not have is another one to it.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..device.devices import out_of_memory
from ..model.decoder import Decoder
from ..model.loading import LoadedModel
from ..model.weights import MasterWeights
from ..precision.levels import base_dtype, default_precision
from ..protocol.errors import DraftModelError
from ..text.cleaning import clean
from ..text.tokenizer import VocabularyTokenizer
from .kv_cache import KVCache
from .request import Request, Status
from .runner import Runner, RunnerFactory, runner_for
from .sampler import BROKEN_LOGITS
from .settings import EngineSettings
from .step_plan import Chunk

_UNKNOWN = 0
"""Stands for a token that the draft model does not have."""
_PADDING_SHARE = 1 / 16
"""By how much sizes may differ that nothing but padding explains, where no tokenizer tells more."""


class ModelDrafter:
    """Drafts by the steps of `runner`, of up to `token_budget` tokens each: `Drafter`.

    `vocabulary`: how many ids the draft model has, where the served model has more of them.
    """

    def __init__(self, runner: Runner, token_budget: int, vocabulary: int | None = None) -> None:
        self.runner = runner
        self._vocabulary = vocabulary
        self.exhausted = False
        """Whether the device had no memory for a step, so that nothing was proposed."""
        self.broken_guesses = 0
        """How often its logits were no numbers (NaN), so that nothing was guessed from them."""
        self._broken_told = False
        self._token_budget = token_budget
        self._shadows: dict[int, Request] = {}
        self._verified: dict[int, int] = {}
        """How many tokens a request had, guesses left out, at the last proposal."""

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        shadows = [self._shadow(request) for request in requests]
        try:
            self._catch_up(shadows)
            guessing = list(zip(shadows, most, strict=True))
            for count in range(max(most)):
                guessing = [(shadow, room) for shadow, room in guessing if room > count]
                guessed = self._step([shadow for shadow, _ in guessing])
                guessing = [each for each, done in zip(guessing, guessed, strict=True) if done]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self.exhausted = True
            for request in requests:
                self.forget(request.request_id)
            return [() for _ in requests]
        return [
            shadow.tokens[request.num_tokens :]
            for shadow, request in zip(shadows, requests, strict=True)
        ]

    def take_notes(self) -> list[str]:
        """Messages for the user that were not taken yet: of broken guesses, once."""
        if self._broken_told or not self.broken_guesses:
            return []
        self._broken_told = True
        return [
            "the draft model gives no numbers (NaN): nothing is guessed where it does not; serve "
            "another draft model"
        ]

    def forget(self, request_id: int) -> None:
        shadow = self._shadows.pop(request_id, None)
        if shadow is not None:
            # What the runner keeps of it may go.
            shadow.status = Status.FINISHED
            del self._verified[request_id]

    def _shadow(self, request: Request) -> Request:
        """The request as the small model has it, with the tokens that the large one chose.

        What it computed is valid as far as its guesses were accepted, and while the blocks stay.
        """
        shadow = self._shadows.get(request.request_id)
        if shadow is None:
            shadow = self._shadows[request.request_id] = Request(
                request_id=request.request_id,
                prompt_tokens=self._own(request.prompt_tokens),
                max_tokens=request.max_tokens,
                sampling=request.sampling,
                arrival_at_s=request.arrival_at_s,
                noise_seed=request.noise_seed,
                status=Status.RUNNING,
                block_ids=request.block_ids,
                preemptions=request.preemptions,
            )
        if shadow.preemptions != request.preemptions:
            shadow.preemptions = request.preemptions
            shadow.num_computed = 0
        computed = min(shadow.num_computed, request.num_tokens - 1)
        same = min(self._verified.get(request.request_id, 0), computed)
        # Those that follow are few: what was verified is as it was.
        newest = self._own(request.tokens[same:])
        start = same
        while same < computed and shadow.tokens[same] == newest[same - start]:
            same += 1
        shadow.num_computed = same
        shadow.tokens[start:] = newest
        self._verified[request.request_id] = request.num_tokens
        return shadow

    def _own(self, tokens: list[int]) -> list[int]:
        """`tokens` as the draft model has them."""
        size = self._vocabulary
        if size is None or max(tokens, default=0) < size:
            return tokens
        return [token if token < size else _UNKNOWN for token in tokens]

    def _catch_up(self, shadows: Sequence[Request]) -> None:
        """Compute what comes before each newest token, as many tokens at once as a step takes."""
        chunks: list[Chunk] = []
        left = self._token_budget
        for shadow in shadows:
            while (lacking := shadow.num_tokens - 1 - shadow.num_computed) > 0:
                if not left:
                    self._run(chunks)
                    chunks, left = [], self._token_budget
                count = min(lacking, left)
                chunks.append(Chunk(shadow, count, shadow.num_computed, samples=False))
                shadow.num_computed += count
                left -= count
        if chunks:
            self._run(chunks)

    def _step(self, shadows: Sequence[Request]) -> list[bool]:
        """One more token of each, where its logits are numbers; whether they were."""
        if not shadows:
            return []
        chunks = [Chunk(shadow, 1, shadow.num_computed) for shadow in shadows]
        tokens = self._run(chunks)
        for shadow, token in zip(shadows, tokens, strict=True):
            assert token is not None
            if token == BROKEN_LOGITS:
                # What it left in the cache is computed anew the next time.
                self.broken_guesses += 1
            else:
                shadow.num_computed += 1
                shadow.tokens.append(token)
        return [token != BROKEN_LOGITS for token in tokens]

    def _run(self, chunks: Sequence[Chunk]) -> list[int | None]:
        return self.runner.launch(chunks).tokens()


def model_drafter(
    draft: LoadedModel,
    served: LoadedModel,
    settings: EngineSettings,
    device: torch.device,
    runner_for: RunnerFactory = runner_for,
) -> ModelDrafter:
    """A drafter for the engine of `served` under `settings`, at the device's own precision.

    Raises:
        DraftModelError: the draft model has another vocabulary or a shorter context.
    """
    check_draft(draft, served, settings.context_tokens)
    precision = default_precision(device)
    wanted = served.config.vocabulary
    master = _with_vocabulary(draft.master, min(draft.config.vocabulary, wanted))
    cache = KVCache(master.config, settings.kv_blocks, device, base_dtype(precision))
    decoder = Decoder(master, precision, device, settings.context_tokens)
    fewer = master.config.vocabulary if master.config.vocabulary < wanted else None
    return ModelDrafter(runner_for(decoder, cache, settings), settings.token_budget, fewer)


def _with_vocabulary(master: MasterWeights, size: int) -> MasterWeights:
    """`master` with the first `size` tokens of its vocabulary."""
    if size == master.config.vocabulary:
        return master
    embedding = master.embedding[:size]
    head = embedding if master.head is master.embedding else master.head[:size]
    config = replace(master.config, vocabulary=size)
    return replace(master, config=config, embedding=embedding, head=head)


def check_draft(draft: LoadedModel, served: LoadedModel, context_tokens: int) -> None:
    """Whether `draft` can guess for `served` within a context.

    Its vocabulary may be padded to another size, as long as the ids are those of the same tokens.

    Raises:
        DraftModelError: it is of another vocabulary, or has a shorter context.
    """
    difference = _vocabulary_difference(draft, served)
    if difference is not None:
        raise DraftModelError(
            f"the draft model {draft.name} {difference}: choose one with the same tokenizer"
        )
    if draft.config.context_tokens < context_tokens:
        raise DraftModelError(
            f"the draft model {draft.name} has a context of {draft.config.context_tokens} tokens, "
            f"less than {context_tokens}: choose another, or set --context-tokens"
        )


def _vocabulary_difference(draft: LoadedModel, served: LoadedModel) -> str | None:
    """How the ids of the two stand for other tokens; `None` where they do not, as far as is known.

    By the tokenizers, where both have one; else by sizes alone.
    """
    own, wanted = draft.config.vocabulary, served.config.vocabulary
    mine, theirs = draft.tokenizer, served.tokenizer
    if isinstance(mine, VocabularyTokenizer) and isinstance(theirs, VocabularyTokenizer):
        tokens, others = mine.tokens(), theirs.tokens()
        for token_id in sorted(tokens.keys() & others.keys()):
            if tokens[token_id] != others[token_id]:
                return (
                    f"has another tokenizer than {served.name}: token {token_id} is "
                    f"{clean(tokens[token_id])!r} and not {clean(others[token_id])!r}"
                )
        return None
    if abs(own - wanted) > _PADDING_SHARE * max(own, wanted):
        return f"has {own} tokens, {served.name} has {wanted}, which is more than padding"
    return None
