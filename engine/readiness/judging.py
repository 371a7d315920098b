"""Whether an item holds: its newest proof against the subject, its age and the limits. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .items import ABOUT, Item, Proof, Subject
from .measures import measure
from .settings import DAY_S, Limits

CLOCK_SLACK_S = 300.0
"""By how much the clock may have been set back since a proof."""

LOAD_LATENCIES = ("ttft", "tpot", "e2e")
"""What a client can measure of the latencies that may have a limit."""


class Mark(StrEnum):
    """How an item stands; it is ready where every one `HOLDS`."""

    HOLDS = "holds"
    MISSING = "missing"
    OLD = "old"
    OTHER = "other"
    """Proved for another model, device, release or setting."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Requirement:
    """That a figure is at least or at most a limit; `what` names it in a sentence."""

    figure: str
    what: str
    least: float = -math.inf
    most: float = math.inf

    def failure(self, figures: dict[str, float]) -> str | None:
        """Why it is not met; a figure that is missing or no number meets nothing."""
        value = figures.get(self.figure)
        if value is None or not math.isfinite(value):
            return f"{self.what}: not measured"
        if value < self.least:
            return f"{self.what}: {value:.4g}, at least {self.least:g}"
        if value > self.most:
            return f"{self.what}: {value:.4g}, at most {self.most:g}"
        return None


@dataclass(frozen=True, slots=True)
class Standing:
    """An item as it stands now: `reasons` say why it does not hold."""

    item: Item
    mark: Mark
    proof: Proof | None = None
    """The one that was judged, or the newest of another subject."""
    age_s: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.mark is Mark.HOLDS

    @property
    def measure(self) -> str | None:
        """What was measured, in words; `None` where nothing was."""
        return None if self.proof is None else measure(self.proof)

    @property
    def how(self) -> str:
        """What proves it: a command or a setting."""
        return ABOUT[self.item].command


def requirements(item: Item, limits: Limits) -> list[Requirement]:
    """All that the figures of an item's proof must meet."""
    settings = limits.settings
    match item:
        case Item.QUALITY:
            ratio = settings.most_perplexity_ratio
            return [
                Requirement("scored_tokens", "scored tokens", least=1),
                Requirement("perplexity_ratio_high", "perplexity over the reference's", most=ratio),
            ]
        case Item.BATCHING:
            return [
                Requirement("rows_per_step", "requests a step", least=1.01),
                Requirement("cached_tokens", "tokens from a cache", least=1),
            ]
        case Item.GUARDS:
            return [
                Requirement("guards", "guards at work", least=1),
                Requirement("findings", "findings in the samples", least=1),
                Requirement("failures", "failures of guards", most=0),
            ]
        case Item.LOAD:
            return _load_requirements(limits)
        case Item.RECOVERY:
            return [
                Requirement("good_before", "good requests before", least=1),
                Requirement("restarted", "workers started again", least=1),
                Requirement("good_after", "good requests after", least=1),
                Requirement("recovery_s", "seconds to recover", most=settings.most_recovery_s),
            ]
        case Item.COST:
            return [
                Requirement("usd_per_hour", "price an hour", least=1e-9),
                Requirement("alerts", "alerts set", least=1),
            ]
        case Item.DRAIN:
            return [
                Requirement("in_flight", "requests in flight", least=1),
                Requirement("lost", "requests in flight that were lost", most=0),
                Requirement("refused", "new requests answered by 503", least=1),
                Requirement("served_while_draining", "new requests served", most=0),
                Requirement("exit_code", "exit code", least=0, most=0),
            ]
        case Item.SNAPSHOT:
            return [
                Requirement("bytes", "bytes", least=1),
                Requirement("read_back", "snapshots read back", least=1),
            ]


def _load_requirements(limits: Limits) -> list[Requirement]:
    share, fewest = limits.settings.most_failed_share, limits.settings.load_requests
    asked = [
        Requirement("requests", "requests", least=fewest),
        Requirement("clients", "clients", least=limits.settings.load_clients),
        Requirement("failed_share", "share of failed requests", most=share),
        Requirement("requests_per_s", "requests/s", least=limits.least_requests_per_s or 1e-9),
    ]
    for latency in LOAD_LATENCIES:
        limit_ms = limits.slo.limit_ms(latency)
        if limit_ms is not None:
            what = f"{latency.upper()} p95 in ms"
            asked.append(Requirement(f"{latency}_p95_ms", what, most=limit_ms))
    return asked


def failures(proof: Proof, limits: Limits) -> tuple[str, ...]:
    """What of an item's requirements its proof does not meet."""
    found = (each.failure(proof.figures) for each in requirements(proof.item, limits))
    return tuple(reason for reason in found if reason is not None)


def standing(
    item: Item, proofs: Sequence[Proof], subject: Subject, limits: Limits, now_wall_s: float
) -> Standing:
    """How an item stands: the newest proof of this subject decides, whatever older ones said."""
    own = [proof for proof in proofs if proof.item is item]
    newest = sorted(own, key=lambda proof: proof.at_wall_s, reverse=True)
    fitting = [proof for proof in newest if subject.difference(proof.subject, item) is None]
    if not fitting:
        if not newest:
            return Standing(item, Mark.MISSING, reasons=("never measured",))
        other = newest[0]
        reason = subject.difference(other.subject, item) or ""
        return _of(other, Mark.OTHER, now_wall_s, (f"measured {reason}",))
    proof = fitting[0]
    age_s = now_wall_s - proof.at_wall_s
    if age_s < -CLOCK_SLACK_S:
        return _of(proof, Mark.FAILED, now_wall_s, ("its time lies in the future",))
    failed = failures(proof, limits)
    if failed:
        return _of(proof, Mark.FAILED, now_wall_s, failed)
    if age_s > limits.max_age_s:
        days = f"older than {limits.settings.max_age_days:g} days"
        return _of(proof, Mark.OLD, now_wall_s, (days,))
    return _of(proof, Mark.HOLDS, now_wall_s, ())


def checklist(
    proofs: Sequence[Proof], subject: Subject, limits: Limits, now_wall_s: float
) -> tuple[Standing, ...]:
    """Every item, in the order of the list."""
    return tuple(standing(item, proofs, subject, limits, now_wall_s) for item in Item)


def is_ready(standings: Sequence[Standing]) -> bool:
    """Whether every item holds, and none is left out."""
    return {each.item for each in standings if each.holds} == set(Item)


def summary(standings: Sequence[Standing]) -> str:
    """`ready`, or how many items are open."""
    if is_ready(standings):
        return "ready: every item holds"
    open_items = sum(not each.holds for each in standings)
    return f"not ready: {open_items} of {len(standings)} items are open"


def age_text(age_s: float) -> str:
    """`3 d`, `5 h`, `12 min`, `now`."""
    for unit_s, unit in ((DAY_S, "d"), (3600.0, "h"), (60.0, "min")):
        if age_s >= unit_s:
            return f"{int(age_s // unit_s)} {unit}"
    return "now"


def _of(proof: Proof, mark: Mark, now_wall_s: float, reasons: tuple[str, ...]) -> Standing:
    age_s = max(0.0, now_wall_s - proof.at_wall_s)
    return Standing(proof.item, mark, proof, age_s, reasons)
