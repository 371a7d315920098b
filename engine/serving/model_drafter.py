"""Guessing with a smaller model of the same vocabulary: a few of its steps for one of the large.

Its keys and values lie in a cache of its own, in the blocks of the same numbers. It draws with the
noise of the large model's request at the same positions: where the two models' probabilities are
close, so are their choices, sampled ones too.
"""

from collections.abc import Sequence

import torch

from ..model.decoder import Decoder
from ..model.loading import LoadedModel
from ..precision.levels import base_dtype, default_precision
from ..protocol.errors import DraftModelError
from .kv_cache import KVCache
from .request import Request, Status
from .runner import Runner, RunnerFactory, runner_for
from .sampler import BROKEN_LOGITS
from .settings import EngineSettings
from .step_plan import Chunk


class ModelDrafter:
    """Drafts by the steps of `runner`, of up to `token_budget` tokens each: `Drafter`."""

    def __init__(self, runner: Runner, token_budget: int) -> None:
        self.runner = runner
        self.exhausted = False
        """Whether the device had no memory for a step, so that nothing was proposed."""
        self._token_budget = token_budget
        self._shadows: dict[int, Request] = {}
        self._verified: dict[int, int] = {}
        """How many tokens a request had, guesses left out, at the last proposal."""

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        shadows = [self._shadow(request) for request in requests]
        try:
            self._catch_up(shadows)
            for count in range(max(most)):
                self._step([s for s, room in zip(shadows, most, strict=True) if room > count])
        except torch.OutOfMemoryError:
            self.exhausted = True
            for request in requests:
                self.forget(request.request_id)
            return [() for _ in requests]
        return [
            shadow.tokens[request.num_tokens :]
            for shadow, request in zip(shadows, requests, strict=True)
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
                prompt_tokens=request.prompt_tokens,
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
        while same < computed and shadow.tokens[same] == request.tokens[same]:
            same += 1
        shadow.num_computed = same
        shadow.tokens[same:] = request.tokens[same:]
        self._verified[request.request_id] = request.num_tokens
        return shadow

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

    def _step(self, shadows: Sequence[Request]) -> None:
        """One more token of each."""
        chunks = [Chunk(shadow, 1, shadow.num_computed) for shadow in shadows]
        for shadow, token in zip(shadows, self._run(chunks), strict=True):
            assert token is not None
            shadow.num_computed += 1
            # From broken logits any guess is as good, as long as it is a token.
            shadow.tokens.append(0 if token == BROKEN_LOGITS else token)

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

    Raises `DraftModelError` where the draft model has another vocabulary or a shorter context.
    """
    check_draft(draft, served, settings.context_tokens)
    precision = default_precision(device)
    cache = KVCache(draft.config, settings.kv_blocks, device, base_dtype(precision))
    decoder = Decoder(draft.master, precision, device, settings.context_tokens)
    return ModelDrafter(runner_for(decoder, cache, settings), settings.token_budget)


def check_draft(draft: LoadedModel, served: LoadedModel, context_tokens: int) -> None:
    """Raise `DraftModelError` unless `draft` can guess for `served` within a context."""
    own, wanted = draft.config.vocabulary, served.config.vocabulary
    if own != wanted:
        raise DraftModelError(
            f"the draft model {draft.name} has {own} tokens, {served.name} has {wanted}: "
            "choose one of the same family"
        )
    if draft.config.context_tokens < context_tokens:
        raise DraftModelError(
            f"the draft model {draft.name} has a context of {draft.config.context_tokens} tokens, "
            f"less than {context_tokens}: choose another, or set --context-tokens"
        )
