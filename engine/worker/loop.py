"""The worker's loop: take commands, let requests arrive, step the engine, publish frames."""

import select
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ..load.prompts import bundled_prompts
from ..precision.levels import require
from ..probes.own_gpu import OwnGpu
from ..protocol import (
    FRAME_INTERVAL_S,
    BenchDone,
    BenchSpec,
    Command,
    Fault,
    Frame,
    InspectRequest,
    LoadSpec,
    Note,
    PrecisionName,
    Progress,
    QualityDone,
    QualitySpec,
    RunBench,
    RunQuality,
    SetLoad,
    SetMaxSeqs,
    SetPrecision,
    SetSlo,
    SetSpeculation,
    SetStrategy,
    Shutdown,
    SpeculationSpec,
    StopBench,
    StrategyName,
    Switched,
    describe_load,
    describe_speculation,
)
from ..protocol.bounds import check_speculation
from ..protocol.channel import Channel
from ..protocol.errors import BadInputError
from ..protocol.options import WorkerOptions
from ..quality.calibration_text import calibration_text
from ..quality.evaluation import Evaluation, Outcome
from ..quality.text_file import scored_text
from ..serving.engine import Engine
from ..serving.request import Completion
from ..text.cleaning import clean
from .bench import Bench, BenchStoppedError, versions
from .frames import FrameBuilder
from .preparation import Preparation
from .request_log import RequestLog
from .served_traffic import ServedTraffic
from .server_end import ServerEnd
from .trace_recorder import TraceRecorder
from .traffic import Traffic

_LONGEST_WAIT_S = 0.1
LONGEST_HOLD_S = 10.0
"""For how long the live load waits for another bench before it goes on by itself."""


class ServingLoop:
    """The loop around one engine."""

    def __init__(
        self,
        channel: Channel[Command],
        engine: Engine,
        options: WorkerOptions,
        own_gpu: OwnGpu | None,
        server: ServerEnd | None = None,
        later: Iterator[PrecisionName] | None = None,
    ) -> None:
        """`server` `None`: no server is ever linked. The pieces of `later` are done between steps,
        once the engine is ready."""
        self._channel = channel
        self._engine = engine
        self._own_gpu = own_gpu
        self._prompts = bundled_prompts()
        engine.metrics.attainment.set_slo(options.slo, engine.clock())
        # A load that the model cannot take is refused now, also where it is only measured later.
        self._traffic = Traffic(engine, self._prompts, options.load)
        if options.idle:
            self._traffic = Traffic(engine, self._prompts, LoadSpec(paused=True))
        self._served = ServedTraffic(engine, server or ServerEnd(None), own_gpu)
        self._recorder = self._record(options.record_trace)
        self._frames = FrameBuilder(engine, own_gpu)
        self._frame_due_s = float("-inf")
        self._requests = RequestLog(engine)
        self._stopping = False
        self._preparation = Preparation(engine, later)
        self._evaluation: Iterator[Outcome] | None = None
        """Quality that is being measured, a chunk of text between two steps."""
        self._commands: deque[Command] = deque()
        """What came and was not looked at yet, such as while cells were measured."""
        self._held_until_s: float | None = None
        """The live load waits for another bench until then."""

    def run(self) -> None:
        """Serve until `Shutdown` or until the other side has gone."""
        try:
            self._run()
        finally:
            if self._recorder is not None:
                self._recorder.close()

    def _run(self) -> None:
        while not self._stopping and not self._channel.closed:
            self._commands.extend(self._channel.receive())
            while self._commands:
                self._handle(self._commands.popleft())
            self._go_on_if_abandoned()
            self._served.submit_arrivals()
            self._traffic.submit_arrivals()
            self._step()
            self._evaluate()
            self._preparation.go_on()
            self._publish()
            busy = self._engine.computed or self._served.busy or self._evaluation is not None
            if not (busy or self._preparation.can_go_on or self._stopping or self._channel.closed):
                self._wait()

    def _record(self, path: str | None) -> TraceRecorder | None:
        """What writes down what is served, if it is to be. A worker that follows one that died has
        a file of its own. Raises `BadInputError`."""
        if path is None:
            return None
        recorder = TraceRecorder(Path(path), self._engine.clock())
        if recorder.path != Path(path):
            self._engine.notes.append(f"recording to {clean(str(recorder.path))}")
        return recorder

    def _wait(self) -> None:
        """Sleep until a command, an arrival, a gang's start or the next frame; a server's command
        and its reading go on at once as well."""
        times_s = (self._traffic.next_due_s(), self._engine.next_deadline_s(), self._frame_due_s)
        due_s = min(time_s for time_s in times_s if time_s is not None)
        wait_s = min(max(due_s - self._engine.clock(), 0.0), _LONGEST_WAIT_S)
        server = self._served.server
        select.select([self._channel, *server.readers()], server.writers(), [], wait_s)

    def _step(self) -> None:
        self._on_completions(self._engine.step())
        self._served.deliver()

    def _on_completions(self, completions: list[Completion]) -> None:
        if not completions:
            return
        self._frames.on_completions(completions, self._traffic)
        self._traffic.on_completions(completions)
        self._requests.on_completions(completions)
        if self._recorder is not None:
            self._recorder.on_completions(completions)

    def _publish(self) -> None:
        if self._engine.clock() < self._frame_due_s:
            return
        self._flush_recording()
        self._send_notes()
        for report in self._requests.reports():
            self._channel.send(report)
        frame = self._frame()
        # Counted from the frame's own moment: what came before it took time as well.
        self._frame_due_s = frame.at_s + FRAME_INTERVAL_S
        self._channel.send(frame)

    def _frame(self, switching: str | None = None) -> Frame:
        recording = None if self._recorder is None else self._recorder.state()
        return self._frames.build(self._traffic, switching, recording)

    def _flush_recording(self) -> None:
        if self._recorder is None:
            return
        scheduler = self._engine.scheduler
        in_system = (*scheduler.running, *scheduler.waiting)
        note = self._recorder.flush(self._engine.clock(), in_system)
        if note is not None:
            self._engine.notes.append(note)

    def _send_notes(self) -> None:
        notes, self._engine.notes = self._engine.notes, []
        for note in notes:
            self._channel.send(Note(message=note))

    def _handle(self, command: Command) -> None:
        try:
            match command:
                case SetStrategy(name=strategy):
                    self._set_strategy(strategy)
                case SetPrecision(name=precision):
                    self._set_precision(precision)
                case SetLoad(load=load):
                    self._set_load(load)
                case SetSpeculation(spec=speculation):
                    self._set_speculation(speculation)
                case SetMaxSeqs(max_seqs=max_seqs):
                    self._set_max_seqs(max_seqs)
                case SetSlo(slo=slo):
                    self._engine.metrics.attainment.set_slo(slo, self._engine.clock())
                case RunBench(spec=bench, hold=hold):
                    self._bench(bench, hold=hold)
                case StopBench():
                    self._go_on()
                case RunQuality(spec=quality):
                    self._begin_evaluation(quality)
                case InspectRequest(request_id=request_id):
                    self._requests.inspect(request_id)
                case Shutdown():
                    self._stopping = True
        except BadInputError as error:
            self._channel.send(Note(message=str(error)))

    def _set_strategy(self, name: StrategyName) -> None:
        old = self._engine.strategy.name
        if name is not old:
            began_s = self._engine.clock()
            self._engine.set_strategy(name)
            self._record_switch("strategy", old, name, began_s)

    def _set_precision(self, name: PrecisionName) -> None:
        old = self._engine.precision
        if name is old:
            return
        require(name, self._engine.device)
        began_s = self._engine.clock()
        switching = f"{old} → {name}: packing weights"
        self._channel.send(self._frame(switching))
        self._engine.set_precision(name)
        self._record_switch("precision", old, name, began_s)
        now_s = self._engine.clock()
        self._engine.metrics.limits.on_compiled(now_s - began_s, now_s)

    def _set_load(self, load: LoadSpec) -> None:
        old, began_s = self._traffic.spec, self._engine.clock()
        self._traffic.set_spec(load)
        before, after = describe_load(old), describe_load(load)
        if before != after:
            self._record_switch("load", before, after, began_s)

    def _set_speculation(self, spec: SpeculationSpec | None) -> None:
        old, began_s = self._engine.speculation.spec, self._engine.clock()
        if spec != old:
            check_speculation(spec)
            self._engine.set_speculation(spec)
            before, after = describe_speculation(old), describe_speculation(spec)
            self._record_switch("speculation", before, after, began_s)

    def _set_max_seqs(self, max_seqs: int) -> None:
        old, began_s = self._engine.scheduler.max_seqs, self._engine.clock()
        self._engine.set_max_seqs(max_seqs)
        if max_seqs != old:
            self._record_switch("max-seqs", str(old), str(max_seqs), began_s)

    def _record_switch(self, kind: str, old: str, new: str, began_s: float) -> None:
        """Compare what comes with what was before a switch, and tell of it; a frame follows."""
        now_s = self._engine.clock()
        self._engine.metrics.on_switch(kind, old, new, now_s, began_s)
        self._channel.send(
            Switched(kind=kind, old=old, new=new, at_s=now_s, took_s=now_s - began_s)
        )
        self._frame_due_s = now_s
        self._served.on_switched()

    def _begin_evaluation(self, spec: QualitySpec | None) -> None:
        """Measure quality from now on; without `spec`, stop."""
        was_running, self._evaluation = self._evaluation is not None, None
        if spec is None:
            if was_running:
                self._channel.send(QualityDone())
            return
        try:
            text, calibration = scored_text(spec.text_file), None
            if spec.int4_calibrated:
                calibration = calibration_text(spec.calibration_file, text)
            evaluation = Evaluation(
                self._engine.model,
                text,
                spec,
                lambda: self._engine.runner.decoder,
                calibration,
            )
        except BadInputError as error:
            self._channel.send(Fault(message=str(error), exit_code=error.exit_code))
            self._channel.send(QualityDone())
        else:
            self._evaluation = evaluation.run()

    def _evaluate(self) -> None:
        """The next piece of a running evaluation."""
        if self._evaluation is None:
            return
        outcome = next(self._evaluation, None)
        if outcome is None:
            self._evaluation = None
        self._channel.send(outcome or QualityDone())

    def _bench(self, spec: BenchSpec, *, hold: bool) -> None:
        """Measure cells; the live requests are seen to their end first, and go on afterwards, with
        `hold` not before they are told to."""
        self._held_until_s = None
        self._traffic.hold()
        try:
            self._serve_to_the_end()
            self._measure_beside_session(spec)
        except BenchStoppedError:
            if self._ending:
                return
        if hold:
            self._held_until_s = self._engine.clock() + LONGEST_HOLD_S
        else:
            self._go_on()
        self._channel.send(BenchDone())

    def _go_on(self) -> None:
        """The live load goes on, where it was set aside."""
        self._held_until_s = None
        self._traffic.release()

    def _go_on_if_abandoned(self) -> None:
        if self._held_until_s is not None and self._engine.clock() >= self._held_until_s:
            self._go_on()

    def _serve_to_the_end(self) -> None:
        """Until no request is in the system. Raises `BenchStoppedError`."""
        while self._traffic.next_due_s() is not None or self._engine.has_work:
            if not self._keep_going():
                raise BenchStoppedError("stopped before anything was measured")
            self._traffic.submit_arrivals()
            self._step()
            self._publish()

    def _measure_beside_session(self, spec: BenchSpec) -> None:
        """Measure cells, and leave the settings and the session's figures as they were. Raises
        `BenchStoppedError`."""
        engine = self._engine
        strategy, precision, metrics = engine.strategy.name, engine.precision, engine.metrics
        max_seqs, drafting = engine.scheduler.max_seqs, engine.speculation.spec
        try:
            self._measure(spec)
        except BenchStoppedError:
            if self._ending:
                raise
        except BadInputError as error:
            self._channel.send(Fault(message=str(error), exit_code=error.exit_code))
        if engine.precision is not precision:
            engine.set_precision(precision)
        engine.set_strategy(strategy)
        if engine.scheduler.max_seqs != max_seqs:
            engine.set_max_seqs(max_seqs)
        if engine.speculation.spec != drafting:
            engine.set_speculation(drafting)
        engine.metrics = metrics

    def _measure(self, spec: BenchSpec) -> None:
        bench = Bench(
            self._engine,
            self._prompts,
            own_gpu=self._own_gpu,
            versions=versions(),
            keep_going=self._keep_going,
            prepare=lambda: self._preparation.finish(self._channel, self._keep_going),
        )
        total = len(spec.strategies) * len(spec.precisions)
        for done, cell in enumerate(bench.cells(spec), start=1):
            self._send_notes()
            self._channel.send(cell)
            self._channel.send(Progress(what="measuring cells", fraction=done / total))

    def _keep_going(self) -> bool:
        """Whether somebody still waits for the cells. What else was asked for is done later."""
        self._commands.extend(self._channel.receive())
        self._served.refuse_arrivals()
        stopped = any(isinstance(command, StopBench) for command in self._commands)
        return not (stopped or self._ending)

    @property
    def _ending(self) -> bool:
        """Whether the worker ends as soon as it can."""
        shutdown = any(isinstance(command, Shutdown) for command in self._commands)
        return self._stopping or shutdown or self._channel.closed
