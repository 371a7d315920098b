"""Watches all targets: takes in what is reported, and tells how they stand and what alerts."""

from collections.abc import Callable, Mapping

import msgspec

from ..protocol import (
    WINDOW_SECONDS,
    CellResult,
    Command,
    Frame,
    LoadSpec,
    PrecisionName,
    Report,
    RunBench,
    ServerListening,
    Severity,
    StopBench,
    StrategyName,
    TargetAlert,
    TargetFigure,
    TargetName,
    TargetsSample,
    TargetStanding,
    setting_of,
)
from . import figures
from .burn_rate import BurnMeter
from .counted import Counted
from .figures import Figure
from .level_alert import SHORT_PART, LevelAlert
from .settings import TargetSettings, is_met
from .words import alert_text, burn_text

SILENT_S = 10.0
"""Figures of an engine that has told nothing for so long are of the past."""
E2E_SHARE = 0.95
"""The share of requests within the limit, where the 95th percentile is."""
LEAST_VERDICTS = 20

Price = Callable[[Frame], float | None]
"""US dollars per hour of what a frame tells of."""
_Cell = tuple[StrategyName, PrecisionName, LoadSpec]


class TargetWatch:
    """Everything is told in calls, with the time of a monotonic clock; none is read here."""

    def __init__(self, settings: TargetSettings, price: Price = lambda _: None) -> None:
        self._settings = settings
        self._price = price
        self._span_s = WINDOW_SECONDS[settings.span]
        self._short_s = self._span_s / SHORT_PART
        self._limits = {name: settings.limit(name) for name in TargetName}
        self._counted = Counted(self._limits[TargetName.E2E], self._span_s)
        self._served = False
        self._repeats: dict[_Cell, list[CellResult]] = {}
        self._bench_load = LoadSpec()
        self._burns = {
            name: BurnMeter(
                budget,
                least_requests=settings.least_requests,
                time_scale=settings.time_scale,
            )
            for name, budget in (
                (TargetName.E2E, 1 - E2E_SHARE),
                (TargetName.AVAILABILITY, 1 - settings.availability),
                (TargetName.SAFETY, settings.safety_violations),
            )
        }
        self._levels = {
            name: LevelAlert(name, self._limits[name], self._short_s)
            for name in TargetName
            if name not in self._burns
        }
        self._began_wall_s: dict[tuple[TargetName, Severity], float] = {}

    # What is reported

    def on_command(self, command: Command) -> None:
        """What is asked of the engine: while it measures cells its figures are not serving's."""
        match command:
            case RunBench(spec=spec):
                self._counted.measuring = True
                self._bench_load = msgspec.structs.replace(spec.load, seed=0)
            case StopBench():
                self._counted.measuring = False
            case _:
                pass

    def take(self, report: Report, now_s: float) -> None:
        """Take a report in."""
        match report:
            case ServerListening():
                self._served = True
            case CellResult(strategy=strategy, precision=precision):
                cell = (strategy, precision, self._bench_load)
                self._repeats.setdefault(cell, []).append(report)
            case _:
                self._count(self._counted.take(report, now_s), now_s)

    def _count(self, added: Mapping[str, float], now_s: float) -> None:
        slow = added.get("slow", 0.0), added.get("timed", 0.0)
        for name, (bad, total) in (
            (TargetName.E2E, slow),
            (TargetName.AVAILABILITY, figures.unavailable(added, server=self._served)),
            (TargetName.SAFETY, figures.violations(added)),
        ):
            self._burns[name].add(bad, total, now_s)

    # How they stand

    def look(self, now_s: float, wall_s: float) -> tuple[TargetsSample, list[TargetAlert]]:
        """All targets now, and the alerts that begin or end. To be called about once a second."""
        counts = self._counted.over(self._span_s, now_s)
        told = [self._target(name, counts, now_s) for name in TargetName]
        changes = [change for figure in told for change in self._changes(figure, now_s, wall_s)]
        in_force = {
            name: severity
            for severity in reversed(Severity)
            for name in TargetName
            if (name, severity) in self._began_wall_s
        }
        told = [msgspec.structs.replace(each, alert=in_force.get(each.name)) for each in told]
        return TargetsSample(at_s=now_s, targets=told), changes

    def _target(self, name: TargetName, counts: Mapping[str, float], now_s: float) -> TargetFigure:
        found, limit = self._figure(name, counts, now_s), self._limits[name]
        standing = TargetStanding.UNKNOWN
        if found.value is not None:
            met = is_met(name, found.value, limit)
            standing = TargetStanding.MET if met else TargetStanding.MISSED
        burn = self._burns.get(name)
        kept = name in (TargetName.QUALITY, TargetName.CONSISTENCY)
        return TargetFigure(
            name=name,
            limit=limit,
            standing=standing,
            value=found.value,
            samples=found.samples,
            window_s=None if kept else self._span_s,
            note=found.note,
            budget_left=None if burn is None else burn.budget_left(now_s),
            burns=[] if burn is None else burn.look(now_s),
        )

    def _figure(self, name: TargetName, counts: Mapping[str, float], now_s: float) -> Figure:
        counted = self._counted
        frame = counted.frame
        match name:
            case TargetName.QUALITY:
                return figures.satisfied(counted.review)
            case TargetName.CONSISTENCY:
                return figures.variation(frame, self._repeats_served())
            case TargetName.AVAILABILITY:
                return figures.availability(counts, server=self._served)
            case TargetName.SAFETY:
                return figures.safety(counts, guarded=counted.guards_seen)
            case _:
                pass
        if frame is None or counted.frame_at_s is None:
            return Figure(note="no engine yet")
        if now_s - counted.frame_at_s > SILENT_S:
            return Figure(note="the engine is silent")
        if counted.measuring:
            return Figure(note="cells are measured")
        match name:
            case TargetName.E2E:
                latency = frame.latency.get(self._settings.span)
                return figures.e2e_p95_ms(None if latency is None else latency.e2e)
            case TargetName.REQUESTS:
                return figures.requests_per_s(counts)
            case TargetName.GPU:
                return figures.utilization(counts, gpu_seen=counted.gpu_seen)
            case TargetName.MEMORY:
                return figures.efficiency(counts)
            case _:
                return figures.usd_per_request(counts, self._price(frame))

    def _repeats_served(self) -> list[CellResult]:
        """The repeats of the cell that is served: strategy, precision and load."""
        frame = self._counted.frame
        setting = None if frame is None else setting_of(frame)
        if setting is None:
            return []
        load = msgspec.structs.replace(setting.load, seed=0)
        return self._repeats.get((setting.strategy, setting.precision, load), [])

    # Alerts

    def _changes(self, figure: TargetFigure, now_s: float, wall_s: float) -> list[TargetAlert]:
        """The alerts of one target that begin or end now."""
        name, settings = figure.name, self._settings
        if name not in settings.alerts:
            return []
        reasons: dict[Severity, str] = {}
        if (burn := self._burns.get(name)) is not None:
            for severity in Severity:
                rule = burn.firing(severity)
                if rule is not None:
                    reasons[severity] = burn_text(rule.factor, figure.burns)
        elif self._level_fires(figure, now_s):
            reasons[Severity.TICKET] = ""
        changes = []
        for severity in Severity:
            key = (name, severity)
            if (severity in reasons) == (key in self._began_wall_s):
                continue
            active = severity in reasons
            if active and severity is Severity.TICKET and Severity.PAGE in reasons:
                # The louder one says it. If this lasts longer, it begins then.
                continue
            began_wall_s = wall_s if active else self._began_wall_s.pop(key)
            if active:
                self._began_wall_s[key] = wall_s
            changes.append(
                TargetAlert(
                    target=name,
                    severity=severity,
                    active=active,
                    began_wall_s=began_wall_s,
                    wall_s=wall_s,
                    text=alert_text(figure, reasons.get(severity, ""), active=active),
                    limit=figure.limit,
                    value=figure.value,
                )
            )
        return changes

    def _level_fires(self, figure: TargetFigure, now_s: float) -> bool:
        name = figure.name
        kept = figure.window_s is None
        short = self._figure(name, self._counted.over(self._short_s, now_s), now_s)
        least = LEAST_VERDICTS if name is TargetName.QUALITY else self._settings.least_requests
        finished = self._counted.over(self._span_s, now_s)["finished"]
        enough = (figure.samples if kept else finished) >= least
        if name is TargetName.CONSISTENCY:
            enough = figure.value is not None
        alert = self._levels[name]
        alert.look(figure.value, short.value, now_s, enough=enough)
        return alert.on
