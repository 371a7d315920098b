"""A link over a real engine in the same process, which steps it between other work of the loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from msgspec.structs import replace
from prodtop.engine.model.loading import BUNDLED_FOLDER, load_model
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.served import (
    EngineMetrics,
    Output,
    RequestTimes,
    Serving,
    Submit,
    TokenizerSource,
)
from prodtop.engine.server.engine_link import RefusedError
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.strategy import STRATEGIES

SETTINGS = EngineSettings(max_seqs=8, token_budget=256, kv_blocks=256, context_tokens=512)
CPU = torch.device("cpu")


@cache
def bundled_engine(strategy: StrategyName = StrategyName.HYBRID) -> Engine:
    """The bundled model under a strategy, made once for all tests of a run."""
    model = load_model("bundled")
    precision = PrecisionName.FP32
    return Engine(
        model, SETTINGS, strategy=strategy, precision=precision, device=CPU, clock=time.monotonic
    )


@dataclass
class InProcessStream:
    """One request of the engine's. It counts as aborted in `link.aborted`, and so on."""

    link: "InProcessLink"
    submit: Submit
    request: Request | None = None
    refusal: RefusedError | None = None
    outputs: "asyncio.Queue[Output]" = field(default_factory=asyncio.Queue)
    sent: int = 0

    async def __aiter__(self) -> AsyncIterator[Output]:
        if self.refusal is not None:
            raise self.refusal
        while True:
            output = await self.outputs.get()
            yield output
            if output.finish_reason is not None:
                return

    def stop(self, output_tokens: int) -> None:
        self.link.stopped[self.submit.key] = output_tokens
        self._end("stop string")

    def abort(self, reason: str) -> None:
        if self.submit.key in self.link.streams:
            self.link.aborted[self.submit.key] = reason
            self._end(reason)

    def _end(self, reason: str) -> None:
        self.link.streams.pop(self.submit.key, None)
        if self.request is not None:
            self.link.engine.abort(self.request.request_id, reason)


class InProcessLink:
    """An `EngineLink`. What the engine does not know yet of a request is left out."""

    def __init__(self, engine: Engine, tokenizer_folder: Path = BUNDLED_FOLDER) -> None:
        self.engine = engine
        config = engine.model.config
        strategy = next(n for n, each in STRATEGIES.items() if each is engine.strategy)
        self.serving: Serving | None = Serving(
            model="bundled",
            context_tokens=engine.settings.context_tokens,
            vocabulary=config.vocabulary,
            eos_token_ids=sorted(config.eos_token_ids),
            tokenizer=TokenizerSource(
                kind="folder", path=str(tokenizer_folder), vocabulary=config.vocabulary
            ),
            strategy=strategy,
            precision=engine.precision,
            streams=engine.strategy.stream,
            max_seqs=engine.settings.max_seqs,
            kv_tokens=engine.settings.kv_blocks * BLOCK_TOKENS,
            loaded_at_wall_s=1.0,
        )
        self.streams: dict[int, InProcessStream] = {}
        self.aborted: dict[int, str] = {}
        self.stopped: dict[int, int] = {}
        self._next_key = 1
        self._stepping: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        return len(self.streams)

    @property
    def in_flight_tokens(self) -> int:
        submits = [stream.submit for stream in self.streams.values()]
        return sum(len(each.prompt_tokens) + each.max_tokens for each in submits)

    async def metrics(self) -> EngineMetrics | None:
        return None

    def submit(self, request: Submit) -> InProcessStream:
        key, self._next_key = self._next_key, self._next_key + 1
        stream = InProcessStream(self, replace(request, key=key))
        spec = request.sampling
        try:
            stream.request = self.engine.submit(
                request.prompt_tokens,
                Sampling(spec.temperature, spec.top_p, spec.top_k, spec.seed),
                request.max_tokens,
                arrival_at_s=request.arrival_at_s,
                ignore_eos=request.ignore_eos,
            )
        except BadInputError as error:
            stream.refusal = RefusedError(str(error))
            return stream
        self.streams[key] = stream
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.get_running_loop().create_task(self._step())
        return stream

    async def _step(self) -> None:
        while self.streams:
            self.engine.step()
            for stream in list(self.streams.values()):
                self._report(stream)
            await asyncio.sleep(0)

    def _report(self, stream: InProcessStream) -> None:
        request = stream.request
        assert request is not None
        tokens = request.output_tokens[stream.sent :]
        if not tokens and not request.done:
            return
        stream.sent += len(tokens)
        if not request.done:
            stream.outputs.put_nowait(Output(key=stream.submit.key, token_ids=tokens))
            return
        del self.streams[stream.submit.key]
        stops = request.finish_reason == "stop"
        stream.outputs.put_nowait(
            Output(
                key=stream.submit.key,
                token_ids=tokens,
                finish_reason="stop" if stops else "length",
                stop_token_id=request.output_tokens[-1] if stops else None,
                times=_times(request),
                cached_prompt_tokens=request.cached_prompt_tokens,
            )
        )


def _times(request: Request) -> RequestTimes:
    return RequestTimes(
        arrival_at_s=request.arrival_at_s,
        queued_at_s=request.queued_at_s,
        scheduled_at_s=request.scheduled_at_s,
        first_token_at_s=request.first_token_at_s,
        last_token_at_s=request.last_token_at_s,
    )
