"""What `prodtop ready --run` measures with an engine alone: a snapshot, and quality."""

import io
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import (
    Frame,
    LevelQuality,
    LevelSkipped,
    Progress,
    QualitySpec,
    Window,
    own_setting,
)
from ...engine.protocol.errors import ProdtopError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.wording import counted
from ...engine.readiness.identity import versions
from ...engine.readiness.settings import ReadinessSettings
from ...engine.records.snapshot import Settings, Snapshot, save_snapshot
from ..state.readiness import quality_figures, snapshot_proof, subject_of
from ..style.formatting import percent
from .compare_run import first_frame
from .quality import measure

LABEL = "prodtop ready"


class Measuring:
    """An engine without a load, while it is entered."""

    def __init__(
        self, options: WorkerOptions, settings: ReadinessSettings, show: Callable[[str], None]
    ) -> None:
        # No probe: nothing here shows what it reads.
        self._engine = LocalEngine(msgspec.structs.replace(options, idle=True), probe_command=None)
        self._settings = settings
        self._show = show
        self._frame: Frame | None = None

    def __enter__(self) -> Self:
        self._engine.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.close()

    def begin(self) -> Frame:
        """Its first frame. Raises `ProdtopError` where it does not serve."""
        self._show("starting the engine")
        self._frame = first_frame(self._engine, self._show)
        return self._frame

    def snapshot(self) -> dict[str, float]:
        """Save what the engine says now, and read it back: the figures of that."""
        frame = self._served()
        self._show("snapshot")
        moment = Snapshot(
            saved_wall_s=time.time(),
            frame=frame,
            host=None,
            settings=Settings(
                strategy=frame.strategy,
                precision=frame.precision,
                load=frame.load,
                window=Window.M1,
                theme="",
            ),
            versions=versions(),
            series={},
            events=[],
            label=LABEL,
        )
        path = save_snapshot(moment, picture_of(frame))
        return dict(snapshot_proof(subject_of(frame, versions()), path).figures)

    def quality(self) -> dict[str, float]:
        """Measure what the precision served costs. Raises `ProdtopError` where it cannot."""
        precision = own_setting(self._served()).precision
        spec = QualitySpec(precisions=[precision], most_chunks=self._settings.quality_chunks)
        levels: list[LevelQuality] = []
        for report in measure(self._engine, spec):
            match report:
                case Progress(what=what, fraction=fraction):
                    share = "" if fraction is None else f" {percent(fraction)}"
                    self._show(f"quality: {what}{share}")
                case LevelQuality():
                    levels.append(report)
                case LevelSkipped(reason=reason):
                    raise ProdtopError(reason)
                case _:
                    pass
        figures = quality_figures(levels, precision)
        if figures is None:
            raise ProdtopError(f"the engine did not measure {precision}")
        return figures

    def _served(self) -> Frame:
        if self._frame is None:
            raise ProdtopError("the engine does not serve yet")
        return self._frame


def picture_of(frame: Frame) -> str:
    """What was served, as an SVG: there is no screen to take a picture of."""
    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=80, markup=False, highlight=False)
    console.print(f"{frame.model.name} ({frame.precision}, {frame.strategy})")
    console.print(f"{frame.device_name}")
    if frame.accounting is not None:
        console.print(f"{counted(frame.accounting.finished, 'request')} finished")
    return console.export_svg(title=LABEL)
