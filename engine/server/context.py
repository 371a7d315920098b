"""What all routes share: the engine's link, the tokenizer, bounds, and threads for slow work."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from ..cost.rates import Rates
from ..protocol.errors import BadInputError
from ..protocol.served import Serving, TokenizerSource
from ..protocol.server_options import ServerOptions
from ..text.chat_template import ChatMessage
from .cost_rows import cost_settings, rates_of
from .engine_link import EngineLink
from .errors import ApiError, unavailable
from .guarding import Guarding
from .guards.answer_entropy import AnswerEntropy
from .guards.stream import StreamGuard
from .limits import Limits
from .tokenizers import ServedTokenizer, build_tokenizer

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

VERSION = version("prodtop")
_LOOK_INTERVAL_S = 0.05


@dataclass(slots=True)
class Context:
    """The state of the application. Raises `BadInputError` for guards that cannot be."""

    link: EngineLink
    options: ServerOptions
    limits: Limits
    guarding: Guarding | None = field(init=False)
    rates: Rates | None = field(init=False)
    _tokenizers: dict[TokenizerSource, asyncio.Task[ServedTokenizer]] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.rates = rates_of(cost_settings(self.options.cost))
        guards = self.options.guards
        self.guarding = None if guards is None else Guarding.of(guards)
        if self.guarding is not None:
            most = min(self.limits.body_bytes, self.guarding.limits.body_bytes)
            self.limits = replace(self.limits, body_bytes=most)
        self._threads = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="server")

    async def in_thread(
        self,
        work: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Do what may be slow beside the event loop: few at a time, the others wait."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    def guard_output(self) -> StreamGuard | None:
        """The guard of one choice's text, if answers are guarded."""
        return None if self.guarding is None else self.guarding.guard_output()

    def measure_entropy(self, told: int | None) -> AnswerEntropy | None:
        """What measures how uncertain the model is of a text, if that is asked for; `told` are the
        logprobs that its client wants."""
        if self.guarding is None or self.guarding.uncertainty is None:
            return None
        return self.guarding.uncertainty.measure(self.serving().model, told)

    def serving(self) -> Serving:
        """What is served. Raises `ApiError` (503) where nothing is."""
        serving = self.link.serving
        if serving is None:
            raise unavailable("no engine serves now: it loads, or starts again")
        return serving

    async def tokenizer(self, serving: Serving) -> ServedTokenizer:
        """The served model's tokenizer, read once. Raises `ApiError` where it cannot be."""
        source = serving.tokenizer
        if source not in self._tokenizers:
            self._tokenizers.clear()
            self._tokenizers[source] = asyncio.create_task(self._read_tokenizer(source))
        task = self._tokenizers[source]
        try:
            # Others may wait for it, where this client goes.
            return await asyncio.shield(task)
        except BadInputError as error:
            # Without the reason, which names files.
            raise ApiError(500, "the model's tokenizer cannot be read") from error
        finally:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self._tokenizers.pop(source, None)

    async def _read_tokenizer(self, source: TokenizerSource) -> ServedTokenizer:
        given = self.options.chat_template
        template = None if given is None else Path(given)
        return await self.in_thread(build_tokenizer, source, template)

    async def warm_up(self) -> None:
        """Make ready what the first request needs, as soon as there is a model: the tokenizer, and
        the process that renders chats. What fails here fails again, and is told, in a request."""
        while self.link.serving is None:
            await asyncio.sleep(_LOOK_INTERVAL_S)
        with contextlib.suppress(ApiError, BadInputError):
            tokenizer = await self.tokenizer(self.serving())
            await self.in_thread(
                tokenizer.render_chat,
                [ChatMessage("user", "Hello")],
                add_generation_prompt=True,
                tools=(),
                variables={},
            )

    async def measure_guards(self) -> None:
        """Have the guards' rate of false positives measured, beside the event loop."""
        if self.guarding is not None:
            await self.in_thread(self.guarding.measure_false_positives)

    def close(self) -> None:
        """End the threads, once what they do is done."""
        if self.guarding is not None:
            self.guarding.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def context_of(request: Request) -> Context:
    """The application's context."""
    context: Context = request.app.state.context
    return context


def check_model(name: str | None, serving: Serving) -> None:
    """Raise `ApiError` (404) for a model that is not served, by its whole name or its last part."""
    if name is not None and name not in (serving.model, serving.model.rpartition("/")[2]):
        raise ApiError(
            404,
            f"the model {name[:200]!r} is not served here: {serving.model!r} is",
            param="model",
            code="model_not_found",
        )


def fingerprint(serving: Serving) -> str:
    """The same for all answers that the same model, precision and version gave."""
    parts = f"{VERSION} {serving.model} {serving.precision} {serving.loaded_at_wall_s}"
    return f"fp_{hashlib.sha256(parts.encode()).hexdigest()[:10]}"


def created_s() -> int:
    """The wall clock, as answers carry it."""
    return int(time.time())
