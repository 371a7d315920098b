"""What `prodtop quality` prints: JSON lines or tables on stdout, progress on stderr."""

import sys
from collections.abc import Sequence

import msgspec

from ...engine.protocol import (
    ErrorReport,
    ErrorTotals,
    LevelQuality,
    LevelSkipped,
    MatrixError,
    Note,
    Progress,
)
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ..views.quality.wording import change, decibel, figure, half_width, share, small
from .status_line import StatusLine
from .text_table import aligned

BAR_CELLS = 24
MIB = 2**20
MISSING = "--"

QualityReport = Progress | Note | ErrorReport | LevelQuality | LevelSkipped


class QualityOutput:
    """Takes reports as they come, and prints tables at the end unless they are JSON lines."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._status = StatusLine(sys.stderr)
        self._levels: list[LevelQuality] = []
        self._errors: list[ErrorReport] = []
        self._skipped: list[LevelSkipped] = []

    def take(self, report: QualityReport) -> None:
        match report:
            case Progress(what=what, fraction=fraction):
                filled = round((fraction or 0.0) * BAR_CELLS)
                bar = "#" * filled + "." * (BAR_CELLS - filled)
                self._status.show(f"[{bar}] {what}")
            case Note(message=message):
                self._status.say(clean(message))
            case LevelSkipped():
                self._skipped.append(report)
                self._status.say(f"{report.name} skipped: {clean(report.reason)}")
            case ErrorReport():
                self._errors.append(report)
                self._print_json(report)
            case LevelQuality():
                self._levels.append(report)
                self._print_json(report)

    def close(self) -> None:
        """Print what is printed last: also where it was interrupted."""
        self._status.clear()
        if self._json:
            return
        for block in (
            level_lines(self._levels),
            scheme_lines([each.totals for each in self._errors]),
            *(matrix_lines(each) for each in self._errors if each.matrices),
            skipped_lines(self._skipped),
        ):
            if block:
                print("\n".join(block), end="\n\n")

    def _print_json(self, report: ErrorReport | LevelQuality) -> None:
        if not self._json:
            return
        fields: dict[str, object] = msgspec.to_builtins(report)
        fields["kind"] = "errors" if isinstance(report, ErrorReport) else "level"
        del fields["type"]
        self._status.clear()
        print(msgspec.json.encode(fields).decode(), flush=True)


def level_lines(levels: Sequence[LevelQuality]) -> list[str]:
    """The levels against the reference. A difference inside its interval is called none."""
    if not levels:
        return []
    reference = levels[0].reference
    rows = [
        ("precision", "weights", "perplexity", "± 95 %", "change", "KL mean", "KL 99.9 %",
         "same top", "parts at", "word ppl"),
        *(_level_row(level) for level in levels),
    ]  # fmt: skip
    first = levels[0]
    note = f"{first.scored_tokens:,} tokens scored, against {reference}; perplexity as llama.cpp"
    return [*aligned(rows), note + ", word perplexity as lm-eval"]


def _level_row(level: LevelQuality) -> tuple[str, ...]:
    value, other = level.perplexity, level.divergence
    text, greedy = level.text, level.greedy
    parts = MISSING if greedy is None or level.ratio is None else "never"
    if greedy is not None and greedy.parts_at is not None:
        parts = counted(greedy.parts_at, "token")
    return (
        level.name,
        f"{level.weights_bytes / MIB:,.1f} MiB",
        figure(value.value),
        half_width(value),
        change(level),
        MISSING if other is None else small(other.kl_mean.value),
        MISSING if other is None else small(other.kl_p999),
        MISSING if other is None else share(other.same_top.value),
        parts,
        MISSING if text is None else f"{text.word:.4g}",
    )


def scheme_lines(totals: Sequence[ErrorTotals]) -> list[str]:
    """What is stored of the weights of all layers, by scheme."""
    if not totals:
        return []
    rows = [
        (
            "weights",
            "bytes",
            "compression",
            "smaller by",
            "per MiB",
            "mean error",
            "relative",
            "SNR",
        ),
        *(
            (
                each.scheme,
                f"{each.stored_bytes / MIB:,.1f} MiB",
                f"{each.compression:.2f}x",
                f"{100 * each.size_reduction:.1f} %",
                f"{each.parameters_per_mib:,.0f}",
                f"{each.mean_abs:.3g}",
                f"{100 * each.relative:.3g} %",
                decibel(each.snr_power_db),
            )
            for each in totals
        ),
    ]
    return aligned(rows)


def matrix_lines(report: ErrorReport) -> list[str]:
    """Every matrix of one scheme."""
    rows = [
        ("layer", "matrix", "mean", "max", "relative", "SNR std", "SNR power", "range", "clipped"),
        *(_matrix_row(matrix) for matrix in report.matrices),
    ]
    return [f"{report.totals.scheme}:", *aligned(rows)]


def _matrix_row(matrix: MatrixError) -> tuple[str, ...]:
    return (
        str(matrix.layer),
        matrix.matrix,
        f"{matrix.mean_abs:.3g}",
        f"{matrix.max_abs:.3g}",
        f"{100 * matrix.relative:.3g} %",
        decibel(matrix.snr_std_db),
        decibel(matrix.snr_power_db),
        f"{matrix.least:.3g} … {matrix.greatest:.3g}",
        f"{100 * matrix.clipped:.2g} %",
    )


def skipped_lines(skipped: Sequence[LevelSkipped]) -> list[str]:
    return [f"{each.name}: {clean(each.reason)}" for each in skipped]
