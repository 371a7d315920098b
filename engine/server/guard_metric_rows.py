"""The metrics of the guards and of the review queue."""

from collections.abc import Mapping
from typing import Final

from ..metrics.histogram import LogHistogram
from ..protocol import ReviewSample
from .exposed import Exposed, Scraped, Values

ADDED_BOUNDS_S: Final = (
    *(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2),
    *(0.1, 0.2, 0.5, 1.0),
)
"""From 10 µs to 1 s; that of 1 ms is the goal for all guards of text together."""

_ITEMS = ("undecided", "held", "accepted", "rejected")
_ENDS = ("released", "corrected", "refused", "timed_out", "abandoned")


def _texts(scraped: Scraped) -> Values:
    guarding = scraped.guarding
    counts = {} if guarding is None else guarding.counts.texts
    return {(guard, outcome.name.lower()): count for (guard, outcome), count in counts.items()}


def _failures(scraped: Scraped) -> Values:
    guarding = scraped.guarding
    counts = {} if guarding is None else guarding.counts.failures
    return {(guard,): count for guard, count in counts.items()}


def _unjudged(scraped: Scraped) -> Values:
    guarding = scraped.guarding
    counts = {} if guarding is None else guarding.counts.unjudged
    return {(guard,): count for guard, count in counts.items()}


def _added(scraped: Scraped) -> Mapping[tuple[str, ...], LogHistogram]:
    added = {} if scraped.guarding is None else scraped.guarding.added()
    return {(guard,): histogram for guard, histogram in added.items()}


def _false_positives(scraped: Scraped) -> Values:
    rates = {} if scraped.guarding is None else scraped.guarding.false_positives
    shares = {(guard,): rate.share for guard, rate in rates.items()}
    return {labels: share for labels, share in shares.items() if share is not None}


def _review(scraped: Scraped) -> ReviewSample | None:
    return None if scraped.guarding is None else scraped.guarding.review_sample


def _items(scraped: Scraped) -> Values:
    sample = _review(scraped)
    known = {} if sample is None else {(name,): getattr(sample, name) for name in _ITEMS}
    return {labels: count for labels, count in known.items() if count is not None}


def _held_ends(scraped: Scraped) -> Values:
    sample = _review(scraped)
    return {} if sample is None else {(name,): getattr(sample, name) for name in _ENDS}


def _held_s(scraped: Scraped) -> Values:
    sample = _review(scraped)
    return {} if sample is None else {(): sample.held_s}


def _noted(scraped: Scraped) -> Values:
    sample = _review(scraped)
    return {} if sample is None else {(): sample.noted}


def _lost(scraped: Scraped) -> Values:
    sample = _review(scraped)
    return {} if sample is None else {("full",): sample.full, ("failed",): sample.failures}


GUARD_ROWS: Final = (
    Exposed(
        "prodtop_guard_texts_total",
        "counter",
        "Texts that a guard has judged, by the strongest thing it did: pass, flag, redact or block",
        ("guard", "outcome"),
        _texts,
    ),
    Exposed(
        "prodtop_guard_failures_total",
        "counter",
        "Texts at which a guard failed",
        ("guard",),
        _failures,
    ),
    Exposed(
        "prodtop_guard_unjudged_texts_total",
        "counter",
        "Texts that a guard let pass, as it has no reference of the model",
        ("guard",),
        _unjudged,
    ),
    Exposed(
        "prodtop_guard_added_seconds",
        "histogram",
        "Time that a text waited for a guard, over all of its pieces; all: for those of text",
        ("guard",),
        distributions=_added,
        bounds_s=ADDED_BOUNDS_S,
    ),
    Exposed(
        "prodtop_guard_false_positive_ratio",
        "gauge",
        "Part of the benign texts that ship in which a guard finds something by the rules in force,"
        " measured at the server's start; all: in which any of text does",
        ("guard",),
        _false_positives,
    ),
    Exposed(
        "prodtop_review_items",
        "gauge",
        "Items in the review queue: without a verdict, held, accepted, rejected",
        ("state",),
        _items,
    ),
    Exposed(
        "prodtop_review_noted_texts_total",
        "counter",
        "Texts that went out and were put into the review queue",
        read=_noted,
    ),
    Exposed(
        "prodtop_review_held_answers_total",
        "counter",
        "Answers whose wait for a verdict has ended, by how; corrected ones are released as well",
        ("outcome",),
        _held_ends,
    ),
    Exposed(
        "prodtop_review_held_seconds_total",
        "counter",
        "Time that answers have waited for a verdict, all together",
        read=_held_s,
    ),
    Exposed(
        "prodtop_review_lost_items_total",
        "counter",
        "Texts that did not get into the review queue, or whose item could not be read, by reason",
        ("reason",),
        _lost,
    ),
)
