"""Checking readiness: the drills that were asked for, and then the list."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from ...engine.protocol import own_setting
from ...engine.protocol.errors import ProdtopError
from ...engine.readiness.drills import (
    Figures,
    drain_test,
    guard_figures,
    load_test,
    recovery_drill,
)
from ...engine.readiness.items import Item, Proof, Subject
from ...engine.readiness.judging import is_ready
from ...engine.readiness.served_process import ServedProcess, Serves
from ...engine.readiness.store import add_proofs, read_proofs
from ...engine.text.cleaning import clean
from ..settings.config import Config, load_config
from ..state.readiness import Readiness, configured
from .ready_measure import Measuring
from .ready_options import Wanted, parse_items
from .ready_output import print_checklist
from .signals import RaisingSignals
from .status_line import StatusLine

COMMAND = "prodtop ready"
ON_ENGINE = (Item.SNAPSHOT, Item.QUALITY)
"""Measured with an engine alone, before a server is started."""


def check(wanted: Wanted, run: str | None, *, as_json: bool) -> bool:
    """Prove what `run` names (`None`: nothing), print the list, and say whether all holds.

    Raises `ProdtopError` where a drill cannot begin, `InterruptedByError` where a signal ends it.
    """
    config = load_config()
    if run is not None:
        items = parse_items(run, has_guards=wanted.has_guards)
        status = StatusLine(sys.stderr)
        with RaisingSignals():
            try:
                _Drills(wanted, config, status).run(items)
            finally:
                status.clear()
    kept = read_proofs()
    readiness = Readiness(subject=wanted.subject, kept=kept.proofs, problem=kept.problem)
    readiness = configured(readiness, config, on_gpu=wanted.on_gpu)
    standings = readiness.standings(time.time())
    print_checklist(readiness, standings, as_json=as_json)
    return is_ready(standings)


class _Drills:
    """Runs drills, and keeps the proof of each as soon as it has ended."""

    def __init__(self, wanted: Wanted, config: Config, status: StatusLine) -> None:
        self._wanted = wanted
        self._settings = config.readiness
        self._status = status
        self._subject = wanted.subject

    def run(self, items: Sequence[Item]) -> None:
        """All of them: on an engine first, then on one server."""
        on_engine = [item for item in ON_ENGINE if item in items]
        if on_engine:
            self._on_engine(on_engine)
        served = [item for item in items if item not in ON_ENGINE]
        if served:
            with ServedProcess(self._wanted.serve_command) as process:
                self._serves(process.until_serving(self._status.show))
                self._on_server(process, served)

    def _on_engine(self, items: Sequence[Item]) -> None:
        with Measuring(self._wanted.options, self._settings, self._status.show) as engine:
            frame = engine.begin()
            served = own_setting(frame)
            self._is_of(frame.model.name, served.precision, served.strategy, frame.device_name)
            for item in items:
                measure = engine.snapshot if item is Item.SNAPSHOT else engine.quality
                with self._drill(item):
                    self._keep({item: measure()})

    def _on_server(self, process: ServedProcess, items: Sequence[Item]) -> None:
        address, settings, show = process.address, self._settings, self._status.show
        if Item.GUARDS in items:
            with self._drill(Item.GUARDS):
                self._keep({Item.GUARDS: guard_figures(address, show)})
        loaded = [item for item in (Item.LOAD, Item.BATCHING) if item in items]
        if loaded:
            with self._drill(*loaded):
                figures = load_test(address, settings, show)
                self._keep({item: figures[item] for item in loaded})
        if Item.RECOVERY in items:
            with self._drill(Item.RECOVERY):
                self._keep({Item.RECOVERY: recovery_drill(process, settings, show)})
        if Item.DRAIN in items:
            with self._drill(Item.DRAIN):
                figure = drain_test(process, settings, self._wanted.drain_s, show)
                self._keep({Item.DRAIN: figure})

    def _serves(self, serves: Serves) -> None:
        self._is_of(serves.model, serves.precision, serves.strategy)

    def _is_of(self, model: str, precision: str, strategy: str, device: str | None = None) -> None:
        """What the engine says that it serves. Raises `ProdtopError` for another device than was
        expected: nothing that is measured of it would count."""
        expected = self._wanted.subject.device
        if device is not None and clean(device)[:200] != expected:
            raise ProdtopError(
                f"the engine runs on {clean(device)}, not on {expected}: name it with --device"
            )
        self._subject = msgspec.structs.replace(
            self._wanted.subject, model=model[:200], precision=precision, strategy=strategy
        )

    @contextmanager
    def _drill(self, *items: Item) -> Iterator[None]:
        """A drill that cannot be carried out proves that it cannot: an older proof counts no
        more."""
        try:
            yield
        except ProdtopError as error:
            if error.exit_code >= SIGNALLED:
                raise
            self._status.say(f"{', '.join(items)}: {error}")
            self._keep({item: {} for item in items})

    def _keep(self, figures: dict[Item, Figures]) -> None:
        add_proofs([_proof(item, self._subject, each) for item, each in figures.items()])


SIGNALLED = 128
"""Exit codes from here on are those of signals."""
Show = Callable[[str], None]


def _proof(item: Item, subject: Subject, figures: Figures) -> Proof:
    return Proof(item=item, subject=subject, at_wall_s=time.time(), figures=figures, source=COMMAND)
