"""Measured differences in words: the line that says what a switch did."""

from ..protocol import Summary, SwitchEffect

_ASCII = str.maketrans({"→": "->", "×": "x", "−": "-", "±": "+/-", "…": "..."})
_MIB = 1024**2
_GIB = 1024**3


def describe_effect(
    effect: SwitchEffect, *, width: int | None = None, ascii_only: bool = False
) -> str:
    """`single → continuous: tok/s ×7.9, TTFT p95 −41 %, memory +2.1 GiB`.

    What could not be measured on both sides is left out. With a `width`, so are the least important
    parts that do not fit in as many characters.
    """
    head = f"{effect.old} → {effect.new}: "
    parts = _parts(effect)
    line = head + ", ".join(text for _, text in parts)
    while width is not None and len(_final(line, ascii_only)) > width and len(parts) > 1:
        parts.remove(max(parts, key=lambda part: part[0]))
        line = head + ", ".join(text for _, text in parts)
    return _final(line, ascii_only)


def _final(line: str, ascii_only: bool) -> str:
    return line.translate(_ASCII) if ascii_only else line


def _parts(effect: SwitchEffect) -> list[tuple[int, str]]:
    """The differences in the order they are shown, each with its rank: the highest goes first."""
    before, after = effect.before, effect.after
    if after is None:
        return [(0, "measuring…")]
    if before is None:
        return [(0, f"tok/s {_number(after.decode_tok_s)}, nothing to compare with")]
    return [
        (0, f"tok/s {_change(before.decode_tok_s, after.decode_tok_s)}"),
        *_latency_parts(before, after),
        (2, f"memory {_bytes_change(after.memory_bytes - before.memory_bytes)}"),
    ]


def _latency_parts(before: Summary, after: Summary) -> list[tuple[int, str]]:
    rows = (
        (1, "TTFT p95", before.ttft_p95_ms, after.ttft_p95_ms),
        (3, "TTFB p95", before.ttfb_p95_ms, after.ttfb_p95_ms),
        (4, "TPOT p95", before.tpot_p95_ms, after.tpot_p95_ms),
    )
    return [
        (rank, f"{name} {_percent(old, new)}")
        for rank, name, old, new in rows
        if old is not None and new is not None and old > 0.0
    ]


def _change(old: float, new: float) -> str:
    """A factor, or the two values where the first is nothing."""
    return f"{_number(old)} → {_number(new)}" if old <= 0.0 else _factor(new / old)


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
    return f"{value:,.0f}" if value >= 10.0 or value == 0.0 else f"{value:.1f}"
