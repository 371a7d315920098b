"""Measured differences in words: the line that says what a switch did, and what of it is good."""

from dataclasses import dataclass, replace

from ..protocol import Percentile, Summary, SwitchEffect

NOTABLE = 0.1
"""Less than a tenth is neither better nor worse: the next ten seconds may differ as much."""

_ASCII = str.maketrans({"→": "->", "×": "x", "−": "-", "±": "+/-", "…": "...", "≥": ">="})
_MIB = 1024**2
_GIB = 1024**3
_LEAST_SPAN_S = 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A piece of the line. `better` is `None` where it is neither, or cannot be known yet.

    `rank`: pieces with the highest go first where there is no room.
    """

    text: str
    rank: int = 0
    better: bool | None = None


@dataclass(frozen=True, slots=True)
class EffectWords:
    """`single → continuous`, and the pieces that follow it."""

    head: str
    parts: tuple[Difference, ...]

    @property
    def text(self) -> str:
        return f"{self.head}: " + ", ".join(part.text for part in self.parts)

    @property
    def better(self) -> bool | None:
        """Whether all that changed is better, or all worse; `None` for both, or for nothing."""
        verdicts = {part.better for part in self.parts} - {None}
        return verdicts.pop() if len(verdicts) == 1 else None


def effect_words(effect: SwitchEffect) -> EffectWords:
    """Everything there is to say of a switch."""
    return EffectWords(f"{effect.old} → {effect.new}", tuple(_parts(effect)))


def fitted(words: EffectWords, width: int, *, ascii_only: bool = False) -> EffectWords:
    """As much of `words` as fits into `width` characters, the most important first."""
    words = _spelled(words, ascii_only)
    while len(words.text) > width:
        least = max(words.parts, key=lambda part: part.rank)
        if not least.rank:
            break
        words = replace(words, parts=tuple(part for part in words.parts if part is not least))
    names = words.head.count(",")
    if len(words.text) > width and names:
        words = replace(words, head=f"{names // 2 + 1} changes")
    return words


def describe_effect(
    effect: SwitchEffect, *, width: int | None = None, ascii_only: bool = False
) -> str:
    """`single → continuous: tok/s ×7.9, TTFT p95 −41 %, queue ±0/s, 0 failed, over 10 s / 10 s`.

    With a `width`, the least important parts that do not fit in as many characters are left out.
    """
    words = effect_words(effect)
    if width is None:
        return _spelled(words, ascii_only).text
    return fitted(words, width, ascii_only=ascii_only).text


def _spelled(words: EffectWords, ascii_only: bool) -> EffectWords:
    if not ascii_only:
        return words
    return EffectWords(
        words.head.translate(_ASCII),
        tuple(replace(part, text=part.text.translate(_ASCII)) for part in words.parts),
    )


def _parts(effect: SwitchEffect) -> list[Difference]:
    """The differences in the order they are shown."""
    before, after = effect.before, effect.after
    if after is None:
        return _measuring(effect.so_far)
    if before is None:
        return [
            Difference(f"tok/s {_number(after.decode_tok_s)}"),
            Difference(f"TTFT p95 {_latency(after.ttft_p95)}"),
            _queue(None, after),
            _failures(None, after),
            Difference(f"over {_span(after)}, nothing steady before it"),
        ]
    return [
        _throughput(before, after),
        _ttft(before, after),
        _queue(before, after),
        _failures(before, after),
        Difference(f"over {_span(before)} / {_span(after)}", 2),
        *_memory(before, after),
        *_change("TTFB p95", 4, before.ttfb_p95, after.ttfb_p95),
        *_change("TPOT p95", 5, _exact(before.tpot_p95_ms), _exact(after.tpot_p95_ms)),
    ]


def _measuring(so_far: Summary | None) -> list[Difference]:
    """What can be said before a comparison is fair: how long it has been looked at, and what is
    known from below."""
    if so_far is None or so_far.span_s < _LEAST_SPAN_S:
        return [Difference("measuring…")]
    if not so_far.arrivals:
        return [Difference(f"measuring… {_span(so_far)}, no request came")]
    return [
        Difference(f"measuring… {_span(so_far)}"),
        Difference(f"TTFT p95 {_latency(so_far.ttft_p95)}", 1),
        _queue(None, so_far),
        _failures(None, so_far),
    ]


def _throughput(before: Summary, after: Summary) -> Difference:
    old, new = before.decode_tok_s, after.decode_tok_s
    text = f"{_number(old)} → {_number(new)}" if old <= 0.0 else _factor(new / old)
    return Difference(f"tok/s {text}", better=_is_lower(new, old))


def _ttft(before: Summary, after: Summary) -> Difference:
    """Always said: it is what the client waits for."""
    old, new = before.ttft_p95, after.ttft_p95
    found = _change("TTFT p95", 0, old, new)
    return found[0] if found else Difference(f"TTFT p95 {_latency(old)} → {_latency(new)}")


def _queue(before: Summary | None, after: Summary) -> Difference:
    """By how much the system fills: as long as it does, no latency is what it will be."""
    rate = after.growth_per_s if after.growing or after.growth_per_s < 0.0 else 0.0
    rounded = _number(abs(rate))
    sign = "±" if rounded == "0" else "+" if rate > 0.0 else "−"
    text = f"queue {sign}{rounded}/s"
    if before is not None and before.growing and not after.growing:
        return Difference(f"{text}, was +{_number(before.growth_per_s)}/s", better=True)
    return Difference(text, 0 if after.growing else 1, better=False if after.growing else None)


def _failures(before: Summary | None, after: Summary) -> Difference:
    text = f"{after.failed} failed"
    if before is None or not (before.failed or after.failed):
        return Difference(text, 0 if after.failed else 1, better=False if after.failed else None)
    old, new = (each.failed / max(each.span_s, _LEAST_SPAN_S) for each in (before, after))
    return Difference(f"{text}, were {before.failed}", better=_is_lower(old, new))


def _memory(before: Summary, after: Summary) -> list[Difference]:
    old, new = before.memory_bytes, after.memory_bytes
    if old is None or new is None:
        return []
    return [Difference(f"memory {_bytes_change(new - old)}", 3, _is_lower(old, new))]


def _change(
    name: str, rank: int, old: Percentile | None, new: Percentile | None
) -> list[Difference]:
    """A latency on both sides: as a percentage only where both are known and not from below."""
    if old is None or new is None:
        return []
    text = f"{_latency(old)} → {_latency(new)}"
    if old.value_ms > 0.0 and not (old.at_least or new.at_least):
        text = _percent(old.value_ms, new.value_ms)
    return [Difference(f"{name} {text}", rank, _is_shorter(old, new))]


def _is_shorter(old: Percentile, new: Percentile) -> bool | None:
    """What two latencies tell, also where one of them, or both, are at least what they say."""
    lower = _is_lower(old.value_ms, new.value_ms)
    if not (old.at_least or new.at_least):
        return lower
    # At least what is higher already is higher; at least what is lower may be either.
    return lower if old.at_least is not new.at_least and lower is old.at_least else None


def _is_lower(old: float, new: float) -> bool | None:
    """Whether `new` is lower than `old`, `None` where hardly; of what ought to be low, whether it
    is better."""
    return None if abs(new - old) <= NOTABLE * max(old, new) else new < old


def _exact(value_ms: float | None) -> Percentile | None:
    return None if value_ms is None else Percentile(value_ms=value_ms)


def _latency(percentile: Percentile | None) -> str:
    if percentile is None:
        return "--"
    value_ms = percentile.value_ms
    words = f"{value_ms:.0f} ms" if value_ms < 999.5 else f"{_tenths(value_ms / 1e3)} s"
    return f"≥ {words}" if percentile.at_least else words


def _span(summary: Summary) -> str:
    return f"{summary.span_s:.0f} s"


def _factor(ratio: float) -> str:
    if 0.0 < ratio < 0.0095:
        return f"×{ratio:.1g}"
    if ratio < 0.995:
        return f"×{ratio:.2f}"
    return f"×{ratio:.1f}" if ratio < 9.95 else f"×{ratio:,.0f}"


def _percent(old: float, new: float) -> str:
    """A percentage up to twice as much, a factor beyond it and below a hundredth."""
    ratio = new / old
    percent = round((ratio - 1.0) * 100)
    if percent >= 100 or percent <= -100:
        return _factor(ratio)
    if percent == 0:
        return "±0 %"
    return f"{'+' if percent > 0 else '−'}{abs(percent)} %"


def _bytes_change(difference: int) -> str:
    if abs(difference) < _MIB / 2:
        return "±0"
    sign = "+" if difference > 0 else "−"
    size = abs(difference)
    if size < 0.9995 * _GIB:
        return f"{sign}{size / _MIB:.0f} MiB"
    return f"{sign}{size / _GIB:.1f} GiB"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 or value < 0.05 else f"{value:.1f}"


def _tenths(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"
