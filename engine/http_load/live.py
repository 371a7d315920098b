"""The generator beside a screen: a load that goes on until it is changed or ended."""

import asyncio
import contextlib
import time
from collections import Counter

from ..load.generator import LoadGenerator
from ..protocol import Command, LoadSpec, Message, Note, SetLoad, Shutdown, Switched
from ..protocol.channel import Channel
from ..protocol.errors import BadInputError
from ..protocol.load import describe_load
from ..protocol.wording import counted
from .connections import Connections
from .main import reachable
from .messages import HttpLoadOptions
from .run import Served, run_load
from .texts import TextMaker

SAY_EVERY_S = 10.0
"""What fails is told at most so often, however much of it there is."""
TURN_S = 0.2


class LiveLoad:
    """Drives one load on a server. Its requests are counted by the server and the proxy; here only
    what fails is."""

    def __init__(self, channel: Channel[Command], spec: LoadSpec, texts: TextMaker) -> None:
        self._channel = channel
        self._load = LoadGenerator(spec, texts.prompts, time.monotonic())
        self._texts = texts
        self._ended = False
        self._failures: Counter[str] = Counter()
        self._said_at_s = float("-inf")

    async def run(self, connections: Connections) -> None:
        """Send requests until the screen says `Shutdown`, or is gone."""
        listening = asyncio.create_task(self._listen())
        try:
            await run_load(
                self._load,
                connections,
                self._texts,
                keep_going=lambda: not self._ended,
                on_served=self._on_served,
                keep=False,
            )
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self) -> None:
        while not self._channel.closed:
            for command in self._channel.receive():
                if isinstance(command, Shutdown):
                    self._ended = True
                    return
                if isinstance(command, SetLoad):
                    self._change(command.load)
            self._say_failures()
            await asyncio.sleep(TURN_S)
        self._ended = True

    def _change(self, spec: LoadSpec) -> None:
        old, now_s = self._load.spec, time.monotonic()
        try:
            if spec.trace is not None:
                raise BadInputError("a trace is played by prodtop bench --url, not live")
            self._load.set_spec(spec, now_s)
        except BadInputError as error:
            self._tell(Note(message=str(error)))
            return
        self._tell(
            Switched(
                kind="load",
                old=describe_load(old),
                new=describe_load(spec),
                at_s=now_s,
                took_s=0.0,
            )
        )

    def _on_served(self, served: Served) -> None:
        if served.answer.error is not None:
            self._failures[served.answer.error] += 1

    def _say_failures(self) -> None:
        now_s = time.monotonic()
        if not self._failures or now_s - self._said_at_s < SAY_EVERY_S:
            return
        reason, _ = self._failures.most_common(1)[0]
        number = counted(self._failures.total(), "request", grouped=True)
        self._tell(Note(message=f"{number} of the load failed: {reason}"))
        self._failures.clear()
        self._said_at_s = now_s

    def _tell(self, message: Message) -> None:
        self._channel.send(message)


async def drive(channel: Channel[Command], options: HttpLoadOptions) -> None:
    """Put the first of the loads on the server. Raises `ProdtopError` where it does not answer."""
    target = await reachable(options)
    connections = Connections(target, timeout_s=options.timeout_s)
    texts = TextMaker(salt=options.salt)
    try:
        await LiveLoad(channel, options.loads[0], texts).run(connections)
    finally:
        await connections.close()
