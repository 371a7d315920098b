"""The generator: puts its loads on a server, one after the other, and tells what came of each."""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec

from ..attach.asking.fetch import Fetcher, FetchError
from ..attach.asking.secrets import secret_headers
from ..load.generator import LoadGenerator
from ..load.load import Load
from ..load.trace_load import TraceLoad
from ..protocol import LoadSpec
from ..protocol.errors import BadInputError, ProdtopError
from ..traces.trace_file import read_trace
from .connections import Connections
from .lengths import learn, learn_lengths
from .messages import Api, HttpLoadOptions, LoadProgress, Word
from .result import result_of
from .run import LoadRun, Served, run_load
from .target import Asked, Target
from .texts import TextMaker

PROGRESS_EVERY_S = 0.5
NOT_THERE = (404, 405, 501)


async def measure(options: HttpLoadOptions, tell: Callable[[Word], object]) -> None:
    """Measure every load; tells progress, and a `ServerResult` for each.

    Raises `ProdtopError` where the server answers none of the first requests.
    """
    target = await reachable(options)
    connections = Connections(target, timeout_s=options.timeout_s)
    texts = TextMaker(salt=options.salt)
    try:
        await learn(connections, texts, target)
        for place, spec in enumerate(options.loads):
            await learn_lengths(connections, texts, spec, options.requests)
            if options.warmup:
                await _run(spec, options.warmup, connections, texts, options)
            run = await _run(
                spec, options.requests, connections, texts, options, _Progress(place, options, tell)
            )
            result = result_of(
                run,
                model=target.model,
                url=target.url,
                api=target.api,
                versions={"prodtop": version("prodtop")},
                samples=options.samples,
            )
            tell(result)
    finally:
        await connections.close()


class _Progress:
    """Tells now and then how far a load is."""

    def __init__(
        self, place: int, options: HttpLoadOptions, tell: Callable[[Word], object]
    ) -> None:
        self._told = LoadProgress(load=place, done=0, requests=options.requests)
        self._tell = tell
        self._told_at_s = time.monotonic()

    def __call__(self, served: Served) -> None:
        told = self._told
        self._told = msgspec.structs.replace(
            told, done=told.done + 1, failed=told.failed + served.failed
        )
        now_s = time.monotonic()
        if now_s - self._told_at_s >= PROGRESS_EVERY_S:
            self._told_at_s = now_s
            self._tell(self._told)


async def _run(
    spec: LoadSpec,
    requests: int,
    connections: Connections,
    texts: TextMaker,
    options: HttpLoadOptions,
    on_served: Callable[[Served], object] = lambda _: None,
) -> LoadRun:
    load = load_of(spec, texts, requests, options.context_tokens)
    return await run_load(load, connections, texts, on_served=on_served)


def load_of(spec: LoadSpec, texts: TextMaker, requests: int, context_tokens: int) -> Load:
    """What says when requests arrive, and which. Raises `BadInputError`."""
    now_s = time.monotonic()
    if spec.trace is None:
        return LoadGenerator(spec, texts.prompts, now_s, limit=requests)
    trace = read_trace(Path(spec.trace.path))
    part = trace.part(spec.trace.start_s, spec.trace.most_requests)
    return TraceLoad(spec, part, now_s, context_tokens, limit=requests)


async def reachable(options: HttpLoadOptions) -> Target:
    """The server's model and the API that it has. Raises `ProdtopError`."""
    server = options.server
    fetcher = Fetcher(server.url, server.ca_file, timeout_s=10.0)

    def headers() -> dict[str, str]:
        return secret_headers(server)

    try:
        model = options.model or await _first_model(fetcher, headers())
    finally:
        await fetcher.close()
    target = Target(server.url, model, options.api, headers, server.ca_file)
    for api in _apis(options):
        tried = Target(server.url, model, api, headers, server.ca_file)
        connections = Connections(tried, timeout_s=options.timeout_s)
        answer = await connections.ask(Asked("Hello", max_tokens=1))
        await connections.close()
        if answer.status not in NOT_THERE:
            return tried
    return target


def _apis(options: HttpLoadOptions) -> Iterator[Api]:
    yield options.api
    if options.api == "completions":
        # Many servers have chats alone.
        yield "chat"


async def _first_model(fetcher: Fetcher, headers: dict[str, str]) -> str:
    try:
        answer = await fetcher.get("/v1/models", headers)
        models = msgspec.json.decode(answer.body, type=_Models)
    except FetchError as error:
        raise ProdtopError(f"the server does not list its models: it {error}") from None
    except msgspec.MsgspecError:
        raise ProdtopError("the server's list of models cannot be read: give --model") from None
    if not models.data:
        raise BadInputError("the server lists no model: give --model")
    return models.data[0].id


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] = []
