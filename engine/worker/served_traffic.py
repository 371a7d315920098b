"""Between the server and the engine: its requests are submitted, and their tokens sent back."""

from collections import deque

from ..probes.own_gpu import OwnGpu
from ..protocol.errors import BadInputError, PromptTooLongError, RequestTooLargeError
from ..protocol.message import Message
from ..protocol.served import (
    Abort,
    AskMetrics,
    Output,
    Refused,
    SamplingSpec,
    ServerCommand,
    Stop,
    Submit,
    Tokens,
)
from ..protocol.wording import counted
from ..serving.engine import Engine
from ..serving.logit_edits import LogitEdits
from ..serving.request import Sampling
from ..serving.token_delivery import RequestOutput, TokenOutbox
from ..text.cleaning import clean
from .exported_metrics import engine_metrics
from .server_end import ServerEnd
from .serving_report import serving
from .traffic import MOST_SUBMITTED, MOST_SUBMITTED_TOKENS

MEASURING = "the engine is measuring: try again when that has ended"
SERVER_GONE = "server gone"
"""Why requests end whose link has ended."""
LONGEST_REASON = 40


class ServedTraffic:
    """Serves the requests of one server at a time, over the link that it has handed over.

    Requests live as long as their link: where it ends they are aborted. A server that does not
    read its tokens loses its link, for tokens are never dropped.
    """

    def __init__(self, engine: Engine, server: ServerEnd, own_gpu: OwnGpu | None) -> None:
        self._engine = engine
        self._own_gpu = own_gpu
        self._server = server
        self._outbox = TokenOutbox()
        self._commands: deque[ServerCommand] = deque()
        """What was received and has to wait for the next steps."""
        self._keys: dict[int, int] = {}
        """The server's key of each of its requests in the system, by request id."""
        self._ids: dict[int, int] = {}
        """The other way round."""
        self._rejected = 0
        """Requests that came while cells were measured, whose metrics are not to count them."""
        self._asked: list[AskMetrics] = []
        """What was asked meanwhile."""

    @property
    def server(self) -> ServerEnd:
        """For `select`."""
        return self._server

    @property
    def busy(self) -> bool:
        """There are commands that wait for nothing but the next step."""
        return bool(self._commands)

    def submit_arrivals(self) -> None:
        """Do what the server asked for, as much as one step's time allows."""
        self._receive()
        self._catch_up()
        requests = tokens = 0
        while self._commands and requests < MOST_SUBMITTED and tokens < MOST_SUBMITTED_TOKENS:
            command = self._commands.popleft()
            if isinstance(command, Submit):
                requests += 1
                tokens += len(command.prompt_tokens)
            self._handle(command)

    def refuse_arrivals(self) -> None:
        """While cells are measured: refuse what comes, and end what has nobody who waits for it.

        The counters are asked for again when it is over: meanwhile they are those of the cells.
        """
        self._receive()
        while self._commands:
            command = self._commands.popleft()
            match command:
                case Submit(key=key):
                    self._rejected += 1
                    self._send(Refused(key=key, message=MEASURING, later=True))
                case AskMetrics():
                    self._asked.append(command)
                case _:
                    self._handle(command)

    def deliver(self) -> None:
        """Send what the last step brought to the server's requests, all in one message."""
        if not len(self._outbox):
            return
        outputs = [
            _output(self._keys[each.request.request_id], each)
            for each in self._outbox.drain()
            if each.request.request_id in self._keys
        ]
        for output in outputs:
            if output.finish_reason is not None:
                self._forget(output.key)
        if outputs:
            self._send_tokens(outputs)

    def on_switched(self) -> None:
        """Tell the server what is served now."""
        self._send(serving(self._engine))

    def _receive(self) -> None:
        """Take in what came, where all before it was done; see to links that begin or end."""
        if self._server.take_new():
            self._abort_all()
            self.on_switched()
        if self._server.open and not self._commands:
            self._commands.extend(self._server.receive())
        if not self._server.open and (self._ids or self._commands):
            self._abort_all()

    def _handle(self, command: ServerCommand) -> None:
        match command:
            case Submit():
                self._submit(command)
            case Stop(key=key, output_tokens=output_tokens):
                request_id = self._forget(key)
                if request_id is not None:
                    self._engine.finish_early(request_id, output_tokens)
            case Abort(key=key, reason=reason):
                request_id = self._forget(key)
                if request_id is not None:
                    self._engine.abort(request_id, clean(reason)[:LONGEST_REASON])
            case AskMetrics(ask_id=ask_id):
                self._send(engine_metrics(self._engine, ask_id, self._own_gpu))

    def _submit(self, wanted: Submit) -> None:
        engine, spec = self._engine, wanted.sampling
        try:
            request = engine.submit(
                wanted.prompt_tokens,
                Sampling(spec.temperature, spec.top_p, spec.top_k, spec.seed),
                wanted.max_tokens,
                arrival_at_s=wanted.arrival_at_s,
                stop_token_ids=wanted.stop_token_ids,
                ignore_eos=wanted.ignore_eos,
                edits=_edits(spec),
                logprobs=wanted.logprobs,
                prompt_logprobs=wanted.prompt_logprobs,
                grammar=spec.grammar,
                outbox=self._outbox,
            )
        except BadInputError as error:
            reason = clean(str(error))
            engine.metrics.on_refused(engine.clock(), wanted.arrival_at_s, reason)
            self._send(Refused(key=wanted.key, message=reason, param=_param(error)))
        else:
            self._keys[request.request_id] = wanted.key
            self._ids[wanted.key] = request.request_id

    def _forget(self, key: int) -> int | None:
        """Nothing more is told of a request; its id, where it was in the system."""
        request_id = self._ids.pop(key, None)
        if request_id is not None:
            del self._keys[request_id]
        return request_id

    def _abort_all(self) -> None:
        """Nobody waits for the requests of a link that has ended."""
        self._commands.clear()
        self._asked.clear()
        ids = list(self._ids.values())
        self._ids.clear()
        self._keys.clear()
        for request_id in ids:
            self._engine.abort(request_id, SERVER_GONE)
        self._outbox.drain()

    def _catch_up(self) -> None:
        """Nothing is measured any more: count and answer what came meanwhile."""
        if self._rejected:
            self._engine.metrics.on_rejected(self._rejected, self._engine.clock())
            self._rejected = 0
        if self._asked:
            self._commands.extendleft(self._asked)
            self._asked = []

    # Messages

    def _send(self, message: Message) -> None:
        """Send what is small; where the server does not take it, nobody waits any more."""
        if not self._server.send(message):
            self._lose_server()

    def _send_tokens(self, outputs: list[Output]) -> None:
        try:
            sent = self._server.send(Tokens(at_s=self._engine.clock(), outputs=outputs))
        except ValueError:
            # Logprobs of long prompts, of many requests: each in a message of its own.
            self._send_apart(outputs)
        else:
            if not sent:
                self._lose_server()

    def _send_apart(self, outputs: list[Output]) -> None:
        for output in outputs:
            try:
                self._send(Tokens(at_s=self._engine.clock(), outputs=[output]))
            except ValueError:
                self._end_oversized(output.key)

    def _end_oversized(self, key: int) -> None:
        """End a request that asks for more logprobs of its prompt than a message holds."""
        request_id = self._forget(key)
        if request_id is not None:
            self._engine.abort(request_id, "too large")
        error = "the logprobs of this prompt are too many for one answer: ask for fewer"
        self._send_tokens([Output(key=key, finish_reason="error", error=error)])

    def _lose_server(self) -> None:
        """The link has ended under a message: the server has gone, or does not read."""
        lost = len(self._ids)
        if lost:
            self._engine.notes.append(
                "the server takes no tokens: its link was closed,"
                f" {counted(lost, 'request')} aborted"
            )
        self._abort_all()


def _output(key: int, output: RequestOutput) -> Output:
    ended = output.finish_reason is not None
    return Output(
        key=key,
        token_ids=output.token_ids,
        logprobs=output.logprobs,
        prompt_logprobs=output.prompt_logprobs,
        finish_reason=output.finish_reason,
        stop_token_id=output.stop_token_id,
        times=output.times if ended else None,
        cached_prompt_tokens=output.request.cached_prompt_tokens if ended else 0,
        from_response_cache=output.from_response_cache,
        error=output.error,
    )


def _edits(spec: SamplingSpec) -> LogitEdits:
    return LogitEdits.of(
        presence_penalty=spec.presence_penalty,
        frequency_penalty=spec.frequency_penalty,
        repetition_penalty=spec.repetition_penalty,
        logit_bias=spec.logit_bias,
        min_p=spec.min_p,
        min_tokens=spec.min_tokens,
    )


def _param(error: BadInputError) -> str | None:
    """The field of `Submit` at fault: by the error's kind, or the name that it begins with."""
    match error:
        case PromptTooLongError():
            return "prompt_tokens"
        case RequestTooLargeError():
            return "max_tokens"
        case _:
            word = str(error).partition(" ")[0]
            fields = {*Submit.__struct_fields__, *SamplingSpec.__struct_fields__}
            return word if word in fields else None
