"""What the screen and `prodtop ready` know of readiness: proofs kept, and those of the config."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ...engine.protocol import Frame, LevelQuality, PrecisionName, TargetName
from ...engine.readiness.items import Item, Proof, Subject
from ...engine.readiness.judging import Standing, checklist
from ...engine.readiness.settings import Limits
from ..settings.config import Config
from .billing import Billing

SCREEN = "the screen"
CONFIG = "config.toml"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checklist of what is served now; without a subject nothing is known of it yet.

    `kept` are the proofs of the file, `problem` what of it cannot be used; `price_usd_per_hour` and
    `alerts` are what the configuration says.
    """

    subject: Subject | None = None
    limits: Limits = field(default_factory=Limits)
    kept: tuple[Proof, ...] = ()
    problem: str | None = None
    price_usd_per_hour: float | None = None
    alerts: int = 0

    def standings(self, now_wall_s: float) -> tuple[Standing, ...]:
        """Every item as it stands at a time (Unix, s); none before the subject is known."""
        if self.subject is None:
            return ()
        # What the configuration says now is what holds, whatever the file has.
        kept = [proof for proof in self.kept if proof.item is not Item.COST]
        proofs = (*kept, *self._of_config(self.subject, now_wall_s))
        return checklist(proofs, self.subject, self.limits, now_wall_s)

    def _of_config(self, subject: Subject, now_wall_s: float) -> list[Proof]:
        """A configuration proves itself: it is read now. None where it says nothing."""
        if self.price_usd_per_hour is None and not self.alerts:
            return []
        figures = {"alerts": float(self.alerts)}
        if self.price_usd_per_hour is not None:
            figures["usd_per_hour"] = self.price_usd_per_hour
        return [
            Proof(
                item=Item.COST,
                subject=subject,
                at_wall_s=now_wall_s,
                figures=figures,
                source=CONFIG,
            )
        ]


def configured(readiness: Readiness, config: Config, *, on_gpu: bool) -> Readiness:
    """The limits, the price and the alerts that a configuration sets."""
    device = "" if readiness.subject is None else readiness.subject.device
    price = Billing.of(config).rates(device, on_gpu=on_gpu).usd_per_hour
    return replace(
        readiness,
        limits=limits_of(config),
        price_usd_per_hour=price,
        alerts=alerts_set(config),
    )


def limits_of(config: Config) -> Limits:
    """What a load test is judged by: `[slo]`, and `[targets]` where it is set."""
    slo, targets = config.slo.spec(), config.targets
    if targets is None:
        return Limits(settings=config.readiness, slo=slo)
    e2e_ms = targets.limit(TargetName.E2E)
    if slo.e2e_ms is None or slo.e2e_ms > e2e_ms:
        slo = msgspec.structs.replace(slo, e2e_ms=e2e_ms)
    unavailable = 1.0 - targets.limit(TargetName.AVAILABILITY)
    share = min(config.readiness.most_failed_share, unavailable)
    return Limits(
        settings=msgspec.structs.replace(config.readiness, most_failed_share=share),
        slo=slo,
        least_requests_per_s=targets.limit(TargetName.REQUESTS),
    )


def alerts_set(config: Config) -> int:
    """How many alerts the configuration sets: budgets, and targets that alert."""
    budgets = (config.cost.budget_usd_per_hour, config.cost.budget_usd_per_day)
    targets = 0 if config.targets is None else len(config.targets.alerts)
    return targets + sum(limit is not None for limit in budgets)


def subject_of(frame: Frame, versions: dict[str, str]) -> Subject:
    """What a frame is of. Its checkpoint was not looked at: the model's name tells."""
    return Subject(
        model=frame.model.name[:200],
        device=frame.device_name[:200],
        precision=frame.precision or "",
        strategy=frame.strategy or "",
        versions=versions,
    )


def quality_figures(
    levels: Sequence[LevelQuality], precision: PrecisionName
) -> dict[str, float] | None:
    """The figures of a precision as it is served; `None` where it was not measured. The reference
    loses nothing against itself."""
    level = next((each for each in levels if each.name == precision), None)
    if level is None:
        return None
    ratio = level.ratio
    return {
        "scored_tokens": float(level.scored_tokens),
        "perplexity": level.perplexity.value,
        "perplexity_ratio": 1.0 if ratio is None else ratio.value,
        "perplexity_ratio_high": 1.0 if ratio is None else ratio.high,
    }


def quality_proof(
    subject: Subject, levels: Sequence[LevelQuality], precision: PrecisionName, source: str = SCREEN
) -> Proof | None:
    """The proof that measuring quality gives for a precision, which need not be the one served;
    `None` where it was not measured."""
    figures = quality_figures(levels, precision)
    if figures is None:
        return None
    return Proof(
        item=Item.QUALITY,
        subject=msgspec.structs.replace(subject, precision=precision.value),
        at_wall_s=time.time(),
        figures=figures,
        source=source,
    )


def snapshot_proof(subject: Subject, path: Path, source: str = SCREEN) -> Proof:
    """The proof that a snapshot was written, which is read back here: its figures say whether it
    could be."""
    # Here and not above: the screen's first frame need not wait for it.
    from ...engine.protocol.errors import ProdtopError
    from ...engine.records.snapshot import load_snapshot

    figures = {"bytes": 0.0, "read_back": 0.0}
    try:
        load_snapshot(path)
        figures = {"bytes": float(path.stat().st_size), "read_back": 1.0}
    except (ProdtopError, OSError):
        figures["read_back"] = 0.0
    return Proof(
        item=Item.SNAPSHOT,
        subject=subject,
        at_wall_s=time.time(),
        figures=figures,
        source=source,
    )
