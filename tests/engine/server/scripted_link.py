"""A link whose engine says what a test wants it to: tokens, ends, errors, silence."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.protocol.served import (
    EngineMetrics,
    Output,
    RequestTimes,
    Serving,
    Submit,
    TokenizerSource,
)
from prodtop.engine.server.engine_link import EngineDownError

Told = Output | Exception | asyncio.Event
"""What comes next: an output, an end by an error, or silence until an event."""

Script = Callable[[Submit], Sequence[Told]]

TIMES = RequestTimes(
    arrival_at_s=10.0,
    queued_at_s=10.01,
    scheduled_at_s=10.03,
    first_token_at_s=10.1,
    last_token_at_s=10.5,
)


def serving_of(folder: Path = BUNDLED_FOLDER, vocabulary: int = 4096) -> Serving:
    """A model of the tokenizer in `folder`, by a name with a path."""
    return Serving(
        model="org/scripted",
        context_tokens=512,
        vocabulary=vocabulary,
        eos_token_ids=[0],
        tokenizer=TokenizerSource(kind="folder", path=str(folder), vocabulary=vocabulary),
        strategy=StrategyName.HYBRID,
        precision=PrecisionName.FP32,
        streams=True,
        max_seqs=4,
        kv_tokens=1024,
        loaded_at_wall_s=1.0,
    )


def outputs(
    token_ids: Sequence[int], *, finish_reason: str = "length", at_once: int = 1
) -> list[Told]:
    """Tokens, `at_once` a message, and the end. By "stop" the last one is the stop token."""
    cuts = range(0, len(token_ids), at_once)
    told = [Output(key=0, token_ids=list(token_ids[cut : cut + at_once])) for cut in cuts]
    last = told[-1] if told else Output(key=0)
    stops = finish_reason == "stop"
    end = replace(
        last,
        finish_reason="stop" if stops else "length",
        stop_token_id=token_ids[-1] if stops else None,
        times=TIMES,
        cached_prompt_tokens=3,
    )
    return [*told[:-1], end]


@dataclass
class ScriptedStream:
    """Tells what its script says; notes how it was ended."""

    submit: Submit
    script: Sequence[Told]
    stopped_after: int | None = None
    abort_reason: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[Output]:
        for told in self.script:
            if isinstance(told, Exception):
                raise told
            if isinstance(told, asyncio.Event):
                await told.wait()
            else:
                await asyncio.sleep(0)
                yield told

    def stop(self, output_tokens: int) -> None:
        self.stopped_after = output_tokens
        self.ended.set()

    def abort(self, reason: str) -> None:
        self.abort_reason = reason
        self.ended.set()


class ScriptedLink:
    """An `EngineLink` that answers every request by `script`."""

    def __init__(self, script: Script, serving: Serving | None = None) -> None:
        self.script = script
        self.serving = serving if serving is not None else serving_of()
        self.down = False
        self.streams: list[ScriptedStream] = []

    @property
    def in_flight(self) -> int:
        return sum(not stream.ended.is_set() for stream in self.streams)

    @property
    def in_flight_tokens(self) -> int:
        return 0

    async def metrics(self) -> EngineMetrics | None:
        return None

    def submit(self, request: Submit) -> ScriptedStream:
        if self.down:
            raise EngineDownError("the worker has gone")
        stream = ScriptedStream(request, self.script(request))
        self.streams.append(stream)
        return stream


class LinkWithoutEngine(ScriptedLink):
    """No worker serves."""

    def __init__(self) -> None:
        super().__init__(lambda _: [])
        self.down = True
        self.serving = None  # type: ignore[assignment]  # what a link says while a worker loads
