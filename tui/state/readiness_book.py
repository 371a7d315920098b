"""The checklist as the screen keeps it: proofs that keys give are written, those of others read."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from ...engine.files.changed import ReadWhenChanged
from ...engine.protocol import Frame
from ...engine.protocol.errors import ProdtopError
from ...engine.readiness.identity import versions
from ...engine.readiness.items import Item, Proof
from ...engine.readiness.judging import Standing
from ...engine.readiness.store import Kept, add_proofs, proofs_file, read_proofs
from ..settings.config import Config
from .quality import Quality
from .readiness import Readiness, configured, quality_proof, snapshot_proof, subject_of
from .stage import Stage

ON_SCREEN = frozenset({Item.QUALITY, Item.SNAPSHOT})
"""What keys of the screen prove."""


@cache
def _versions() -> dict[str, str]:
    """Read when first asked for: the first frame need not wait."""
    return versions()


class ReadinessBook:
    """Reads the file of proofs when it has changed, and adds to it what the screen measured.

    `say` is told where a proof cannot be kept. `writes` is off for a recording, which is served
    nowhere.
    """

    def __init__(self, say: Callable[[str], None], *, writes: bool = True) -> None:
        self._say = say
        self._writes = writes
        self._file = ReadWhenChanged[Kept]()

    def look(self, frame: Frame | None, config: Config) -> Readiness:
        """The checklist of what is served now, by the configuration."""
        if frame is None:
            return Readiness()
        kept = self._file.look(proofs_file(), read_proofs)
        readiness = Readiness(
            subject=subject_of(frame, _versions()), kept=kept.proofs, problem=kept.problem
        )
        return configured(readiness, config, on_gpu=frame.device.startswith("cuda"))

    def on_quality(self, before: Quality, after: Quality, frame: Frame | None) -> None:
        """Keep a proof for each precision of a run that has just ended."""
        ended = before.run is not after.run and after.run is Stage.DONE
        if frame is None or not ended:
            return
        subject = subject_of(frame, _versions())
        found = (quality_proof(subject, after.levels, each) for each in sorted(after.came))
        self._add([proof for proof in found if proof is not None])

    def on_snapshot(self, path: Path, frame: Frame) -> None:
        """Keep the proof of a snapshot that was just written."""
        if self._writes:
            self._add([snapshot_proof(subject_of(frame, _versions()), path)])

    def _add(self, proofs: list[Proof]) -> None:
        if not proofs or not self._writes:
            return
        try:
            add_proofs(proofs)
        except ProdtopError as error:
            self._say(str(error))


def next_to_prove(standings: tuple[Standing, ...]) -> Standing | None:
    """The first open item that a key of the screen proves, else the first open one."""
    open_items = [each for each in standings if not each.holds]
    on_screen = [each for each in open_items if each.item in ON_SCREEN]
    return next(iter([*on_screen, *open_items]), None)
