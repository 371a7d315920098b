"""The best cell under given limits, why it is, and what the others lack."""

import math
from collections.abc import Mapping

import msgspec

from ..protocol import PrecisionName
from .cells import Cell, Comparison, Measured, label
from .median import Median, Verdict, compare, median
from .metrics import METRICS, summary
from .ranking import leaders, not_told_from
from .samples import Limits, missed_share
from .wording import Unit, change, figure, several

_WORDS = {"ttft_ms": "TTFT", "ttfb_ms": "TTFB", "tpot_ms": "TPOT", "e2e_ms": "E2E"}
_GIB = 2**30


class Wishes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of a cell. Goodput counts the requests within `limits`; without any, those that
    finish. `memory_gib`: the most that the process may hold. `min_quality`: the least retention."""

    limits: Limits
    memory_gib: float | None = None
    min_quality: float | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A measured cell as a candidate. `lacks` is empty where it meets every wish."""

    cell: Cell
    label: str
    goodput_req_s: Median | None
    attainment: Median | None
    memory_bytes: Median | None
    retention: float | None
    lacks: list[str]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The best cell; `None` where none meets the wishes, and then `why` says what is nearest.

    `max_seqs` and `kv_gib`: what the cell took in any repeat, so that no less would serve this load
    as it was served.
    """

    best: Candidate | None
    why: str
    runner_up: Candidate | None
    runner_up_lacks: str | None
    max_seqs: int | None
    kv_gib: float | None
    needs: str | None
    quality: str
    candidates: list[Candidate]


def recommend(
    comparison: Comparison, wishes: Wishes, retention: Mapping[PrecisionName, float] | None = None
) -> Recommendation:
    """Judge every measured cell. `retention` by precision; `None`: quality was not measured."""
    candidates = [_candidate(comparison, each, wishes, retention) for each in comparison.measured()]
    quality = _quality(wishes, retention)
    ranked = _ranked([each for each in candidates if not each.lacks])
    if not ranked:
        return Recommendation(
            best=None,
            why=_nobody(candidates),
            runner_up=None,
            runner_up_lacks=None,
            max_seqs=None,
            kv_gib=None,
            needs=None,
            quality=quality,
            candidates=candidates,
        )
    best, *others = ranked
    # A cell that misses a wish by its goodput alone may still be the one to look at next.
    second = others[0] if others else _nearest([c for c in candidates if c.lacks])
    measured = comparison.find(best.cell)
    max_seqs, kv_gib, needs = _needs(comparison, measured)
    return Recommendation(
        best=best,
        why=_why(best, others, wishes),
        runner_up=second,
        runner_up_lacks=None if second is None else _lacks(best, second),
        max_seqs=max_seqs,
        kv_gib=kv_gib,
        needs=needs,
        quality=quality,
        candidates=candidates,
    )


def _candidate(
    comparison: Comparison,
    measured: Measured,
    wishes: Wishes,
    retention: Mapping[PrecisionName, float] | None,
) -> Candidate:
    limited = bool(wishes.limits.given())

    def of(name: str) -> Median | None:
        return summary(comparison, measured, METRICS[name], wishes.limits)

    goodput = of("goodput_req_s" if limited else "req_s")
    memory = of("memory_bytes")
    kept = None if retention is None else retention.get(measured.cell.precision)
    return Candidate(
        cell=measured.cell,
        label=label(measured.cell, [each.cell for each in comparison.cells]),
        goodput_req_s=goodput,
        attainment=of("attainment" if limited else "success_rate"),
        memory_bytes=memory,
        retention=kept,
        lacks=_missing(measured, goodput, memory, kept, wishes),
    )


def _missing(
    measured: Measured,
    goodput: Median | None,
    memory: Median | None,
    retention: float | None,
    wishes: Wishes,
) -> list[str]:
    """What a cell lacks, in words."""
    lacks: list[str] = []
    if goodput is None:
        lacks.append("its goodput was not measured")
    elif goodput.value <= 0:
        lacks.append(f"no request is within the limits ({_misses(measured, wishes.limits)})")
    if wishes.memory_gib is not None:
        if memory is None:
            lacks.append("its memory was not measured")
        elif memory.value > wishes.memory_gib * _GIB:
            held = figure(memory.value, Unit.BYTES)
            lacks.append(f"holds {held}, above {wishes.memory_gib:g} GiB")
    if wishes.min_quality is not None:
        if retention is None:
            lacks.append(f"the quality of {measured.cell.precision} was not measured")
        elif retention < wishes.min_quality:
            lacks.append(
                f"keeps {_share(retention)} of the quality, below {_share(wishes.min_quality)}"
            )
    return lacks


def _share(fraction: float) -> str:
    return figure(fraction, Unit.FRACTION)


def _misses(measured: Measured, limits: Limits) -> str:
    """`TTFT missed by 82 %, E2E by 4 %`: medians over the repeats, the most missed first."""
    shares = [missed_share(repeat, limits) for repeat in measured.repeats]
    found = {
        name: value.value
        for name in limits.given()
        if (value := median([share[name] for share in shares if name in share])) is not None
    }
    ordered = sorted(found.items(), key=lambda item: -item[1])
    parts = [f"{_WORDS[name]} missed by {_share(share)}" for name, share in ordered if share]
    return ", ".join(parts) or "none finished"


def _ranked(fitting: list[Candidate]) -> list[Candidate]:
    """The best first: by goodput, and among those that it does not tell apart, the one that holds
    the least memory if that is told apart. The others by the median of their goodput."""
    known = [(each, each.goodput_req_s) for each in fitting if each.goodput_req_s is not None]
    if not known:
        return []
    same = [
        known[index][0]
        for index in leaders([goodput for _, goodput in known], METRICS["goodput_req_s"])
    ]
    best = same[0]
    for each in same[1:]:
        if _smaller(each, best):
            best = each
    rest = sorted((pair for pair in known if pair[0] is not best), key=lambda pair: -pair[1].value)
    return [best, *(each for each, _ in rest)]


def _smaller(one: Candidate, other: Candidate) -> bool:
    return (
        one.memory_bytes is not None
        and other.memory_bytes is not None
        and compare(one.memory_bytes, other.memory_bytes) is Verdict.LOWER
    )


def _nearest(candidates: list[Candidate]) -> Candidate | None:
    """Of cells that lack something the one that lacks the least, then the most goodput."""
    return min(
        candidates,
        key=lambda each: (
            len(each.lacks),
            -(0.0 if each.goodput_req_s is None else each.goodput_req_s.value),
        ),
        default=None,
    )


def _nobody(candidates: list[Candidate]) -> str:
    nearest = _nearest(candidates)
    if nearest is None:
        return "nothing was measured"
    return f"no cell meets the wishes; nearest is {nearest.label}: {'; '.join(nearest.lacks)}"


def _why(best: Candidate, others: list[Candidate], wishes: Wishes) -> str:
    goodput = best.goodput_req_s
    assert goodput is not None, "only cells with a goodput are ranked"
    words = f"the most requests within the limits: {figure(goodput.value, Unit.REQUESTS_PER_S)}"
    if not wishes.limits.given():
        words = f"the most finished requests: {figure(goodput.value, Unit.REQUESTS_PER_S)}"
    if best.attainment is not None:
        words += f", {_share(best.attainment.value)} of all that came"
    same = [
        (each, each.goodput_req_s)
        for each in others
        if each.goodput_req_s is not None
        and compare(goodput, each.goodput_req_s) in (Verdict.NO_DIFFERENCE, Verdict.UNDECIDED)
    ]
    if same:
        least = any(_smaller(best, each) for each, _ in same)
        taken = "its lower memory" if least else "its higher median"
        told = not_told_from(goodput, [(each.label, other) for each, other in same])
        words += f"; {told}, and taken for {taken}"
    return words


def _lacks(best: Candidate, second: Candidate) -> str:
    if second.lacks:
        return "; ".join(second.lacks)
    mine, theirs = best.goodput_req_s, second.goodput_req_s
    assert mine is not None, "only cells with a goodput are ranked"
    assert theirs is not None, "likewise"
    verdict = compare(theirs, mine)
    if verdict is Verdict.LOWER:
        return f"goodput {change(mine.value, theirs.value)}"
    if verdict is Verdict.UNDECIDED:
        return f"goodput {change(mine.value, theirs.value)} by the medians: {verdict.value}"
    held = "" if not _smaller(best, second) else ", but it holds more memory"
    return f"{verdict.value} in goodput{held}"


def _needs(
    comparison: Comparison, measured: Measured | None
) -> tuple[int | None, float | None, str | None]:
    """`--max-seqs` and `--kv-gib` for what ran at once, and whether they were all there was."""
    if measured is None:
        return None, None, None
    running = [each.peak_running for each in measured.repeats if each.peak_running is not None]
    held = [each.peak_kv_bytes for each in measured.repeats if each.peak_kv_bytes is not None]
    max_seqs = max(*running, 1) if running else None
    most_held = max(held, default=0)
    # Rounded up, so that what the words below show is enough.
    kv_gib = _rounded_up(most_held / _GIB) if most_held > 0 else None
    parts: list[str] = []
    if max_seqs is not None:
        limits = [each.max_seqs for each in measured.repeats if each.max_seqs is not None]
        parts.append(f"--max-seqs {max_seqs}")
        if limits and max_seqs >= min(limits):
            parts[-1] += " (all that were allowed: more may serve more)"
    if kv_gib is not None:
        all_kv = min(each.memory.kv_bytes for each in measured.repeats)
        used = figure(most_held / all_kv if all_kv else None, Unit.FRACTION)
        parts.append(f"--kv-gib {kv_gib:g} (used {used} of its KV cache)")
    return max_seqs, kv_gib, several(parts) if parts else None


def _rounded_up(value: float) -> float:
    """Up to three significant digits."""
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return math.ceil(value * scale) / scale


def _quality(wishes: Wishes, retention: Mapping[PrecisionName, float] | None) -> str:
    if retention is None:
        return "quality was not measured: give --quality FILE of prodtop quality --json"
    known = ", ".join(f"{name} {_share(value)}" for name, value in retention.items())
    least = "" if wishes.min_quality is None else f"; at least {_share(wishes.min_quality)} asked"
    return f"retention of the reference's perplexity: {known}{least}"
