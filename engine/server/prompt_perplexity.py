"""The perplexity of prompts from the engine that serves them: three passes over each, together."""

import asyncio
import time
from collections.abc import Callable, Sequence

from ..protocol.served import Serving, Submit
from .engine_link import EngineLink, RefusedError
from .errors import GenerationFailedError
from .guards.findings import Outcome
from .guards.model_reference import PerplexityLimits
from .guards.perplexity import (
    PerplexitySettings,
    judge_perplexity,
    perplexity,
    texts_to_score,
)
from .guards.tally import GuardTally

NAME = "perplexity"

Encode = Callable[[str], list[int]]


class PerplexityFailedError(Exception):
    """The engine did not tell the perplexity of a prompt."""


class PerplexityGuard:
    """Judges prompts by what the model that is served makes of them."""

    def __init__(
        self,
        settings: PerplexitySettings,
        limits_of: Callable[[str], PerplexityLimits | None],
    ) -> None:
        self.settings, self._limits_of = settings, limits_of
        self.tally = GuardTally(NAME)

    def limits(self, model: str) -> tuple[float, float] | None:
        """Length ÷ perplexity and the perplexity of an affix that suspects of `model` are above:
        the settings', else those that were calibrated; `None` where one of them is not known."""
        ratio, affix = self.settings.length_per_perplexity, self.settings.affix_perplexity
        known = None if ratio is not None and affix is not None else self._limits_of(model)
        if known is not None:
            ratio = known.length_per_perplexity if ratio is None else ratio
            affix = known.affix_perplexity if affix is None else affix
        return None if ratio is None or affix is None else (ratio, affix)

    async def judge(
        self, text: str, encode: Encode, link: EngineLink, serving: Serving
    ) -> tuple[Outcome | None, tuple[str, ...]]:
        """What becomes of a prompt, and above which limits it is; `None`: there are none.

        `encode` makes tokens of a text, on another thread. Raises `PerplexityFailedError`, and
        `EngineDownError`.
        """
        limits = self.limits(serving.model)
        if limits is None:
            return None, ()
        began_s = time.perf_counter()
        parts = texts_to_score(text)
        scored = [await asyncio.to_thread(encode, part) for part in parts.texts()]
        whole, *affixes = await self._perplexities(scored, link, serving)
        self.tally.add_text(int((time.perf_counter() - began_s) * 1e9))
        known = [each for each in affixes if each is not None]
        reasons = judge_perplexity(text, whole, known, *limits).reasons
        return Outcome.of(self.settings.action) if reasons else Outcome.PASS, reasons

    async def _perplexities(
        self, scored: Sequence[list[int]], link: EngineLink, serving: Serving
    ) -> list[float | None]:
        most = min(serving.context_tokens, serving.kv_tokens)
        tasks = [asyncio.ensure_future(_perplexity(token_ids[:most], link)) for token_ids in scored]
        try:
            return list(await asyncio.gather(*tasks))
        except (RefusedError, GenerationFailedError) as error:
            raise PerplexityFailedError(str(error)) from error
        finally:
            for task in tasks:
                task.cancel()


async def _perplexity(token_ids: list[int], link: EngineLink) -> float | None:
    """Of tokens under the model; `None` where there are less than two."""
    if len(token_ids) < 2:
        return None
    stream = link.submit(
        Submit(
            key=0,
            prompt_tokens=token_ids,
            max_tokens=0,
            prompt_logprobs=0,
            arrival_at_s=time.monotonic(),
        )
    )
    logprobs: list[float] = []
    ended = False
    try:
        async for output in stream:
            logprobs += [each.logprob for each in output.prompt_logprobs or ()]
            ended = output.finish_reason is not None
            if output.finish_reason in ("abort", "error"):
                raise GenerationFailedError(output.error or "the request failed in the engine")
    finally:
        if not ended:
            stream.abort("aborted")
    return perplexity(logprobs)
