"""Error budgets and multi-window burn rates, after the SRE Workbook (Google, 2018, chapter 5).

A target of 99.9 % leaves a budget of 0.1 % of requests in a period of 30 days. The burn rate is the
share of bad requests over that budget: at 1 it lasts the period, at 14.4 it is spent in 50 hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol import Burn, Severity
from .binned import BinnedAmounts

PERIOD_S = 30 * 86_400.0
CLEAR_BELOW = 0.8
"""An alert ends once the short window has burnt less than this part of its factor, for as long as
that window is: a rate that sways around the factor neither begins nor ends alerts."""
LEAST_BAD = 3
"""Fewer bad requests are an accident, however small the budget is."""
SHORT_BINS = 10
"""Of a short window."""
PERIOD_BINS = 500


@dataclass(frozen=True, slots=True)
class BurnRule:
    """There is an alert while both windows burn at `factor` or more."""

    factor: float
    long_s: float
    short_s: float
    severity: Severity


RULES = (
    BurnRule(14.4, 3_600.0, 300.0, Severity.PAGE),
    BurnRule(6.0, 21_600.0, 1_800.0, Severity.PAGE),
    BurnRule(1.0, 259_200.0, 21_600.0, Severity.TICKET),
)
"""The workbook's: 2 % of the budget in an hour, 5 % in six hours, 10 % in three days."""


def scaled(rule: BurnRule, time_scale: float) -> BurnRule:
    """The rule with windows `time_scale` times shorter; the factor is no time, and stays."""
    return BurnRule(rule.factor, rule.long_s / time_scale, rule.short_s / time_scale, rule.severity)


class _Watch:
    """One rule over its own two windows, with hysteresis."""

    def __init__(self, rule: BurnRule, budget: float, least: int) -> None:
        self.rule = rule
        self.on = False
        self._budget, self._least = budget, least
        self._amounts = BinnedAmounts(rule.short_s / SHORT_BINS, rule.long_s)
        self._quiet_since_s: float | None = None
        self._began_s: float | None = None

    def add(self, amounts: dict[str, float], now_s: float) -> None:
        self._began_s = now_s if self._began_s is None else self._began_s
        self._amounts.add(amounts, now_s)

    def look(self, now_s: float) -> Burn:
        """The burn rates now; turns the alert on or off."""
        rule = self.rule
        long, short = (self._amounts.over(each, now_s) for each in (rule.long_s, rule.short_s))
        burn = Burn(
            factor=rule.factor,
            long_s=rule.long_s,
            short_s=rule.short_s,
            long=self._rate(long["bad"], long["total"]),
            short=self._rate(short["bad"], short["total"]),
        )
        if self.on:
            self._may_end(burn, now_s)
        else:
            # Until a short window has passed, both windows are one and cannot agree.
            known = self._began_s is not None and now_s - self._began_s >= rule.short_s
            enough = known and long["total"] >= self._least and long["bad"] >= LEAST_BAD
            self.on = enough and _reaches(burn.long, rule) and _reaches(burn.short, rule)
            self._quiet_since_s = None
        return burn

    def _rate(self, bad: float, total: float) -> float | None:
        return bad / total / self._budget if total else None

    def _may_end(self, burn: Burn, now_s: float) -> None:
        if burn.long is None:
            # Nobody has asked for anything in the whole window.
            self.on = False
        elif burn.short is None:
            # Nothing says that it is better.
            self._quiet_since_s = None
        elif burn.short >= CLEAR_BELOW * self.rule.factor:
            self._quiet_since_s = None
        elif self._quiet_since_s is None or now_s < self._quiet_since_s:
            self._quiet_since_s = now_s
        elif now_s - self._quiet_since_s >= self.rule.short_s:
            self.on = False


def _reaches(rate: float | None, rule: BurnRule) -> bool:
    return rate is not None and rate >= rule.factor


class BurnMeter:
    """One target's budget: `budget` is the share of requests that may be bad, in each period."""

    def __init__(
        self,
        budget: float,
        *,
        least_requests: int,
        time_scale: float = 1.0,
        rules: Sequence[BurnRule] = RULES,
    ) -> None:
        if not 0 < budget < 1:
            raise ValueError(f"a budget is a share above 0 and below 1, found {budget}")
        self._budget = budget
        self.period_s = PERIOD_S / time_scale
        self._watches = [_Watch(scaled(each, time_scale), budget, least_requests) for each in rules]
        self._period = BinnedAmounts(self.period_s / PERIOD_BINS, self.period_s)

    def add(self, bad: float, total: float, now_s: float) -> None:
        """So many requests ended, and so many of them badly."""
        if total:
            amounts = {"bad": bad, "total": total}
            self._period.add(amounts, now_s)
            for watch in self._watches:
                watch.add(amounts, now_s)

    def look(self, now_s: float) -> list[Burn]:
        """The burn rates of every rule now. To be called regularly: alerts begin and end here."""
        return [watch.look(now_s) for watch in self._watches]

    def budget_left(self, now_s: float) -> float | None:
        """The share of the budget of the requests of this period that is left; below 0 where more
        was spent, `None` without a request."""
        amounts = self._period.over(self.period_s, now_s)
        if not amounts["total"]:
            return None
        return 1.0 - amounts["bad"] / amounts["total"] / self._budget

    def firing(self, severity: Severity) -> BurnRule | None:
        """The first rule of this severity that is in force since the last look."""
        return next(
            (each.rule for each in self._watches if each.on and each.rule.severity is severity),
            None,
        )
