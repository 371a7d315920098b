"""What an engine says while it measures quality: a small model at every level, as events.

Perplexities and divergences are those of the bundled model on the text that ships.
"""

import msgspec
from frames import frame
from prodtop.engine.protocol import (
    Divergence,
    ErrorReport,
    ErrorTotals,
    GreedyText,
    Interval,
    LevelQuality,
    LevelSkipped,
    MatrixError,
    PrecisionName,
    Progress,
    QualityDone,
    Report,
)

BF16, INT8, INT4 = PrecisionName.BF16, PrecisionName.INT8, PrecisionName.INT4
LAYERS = 16
MATRICES = {"qkv": 131_072, "output": 65_536, "gate_up": 393_216, "down": 196_608}
SNR_DB = {
    "fp32": None,
    "bf16": None,
    "fp16": 173.6,
    "int8": 42.9,
    "int4": 20.9,
    "affine-16": 86.1,
    "affine-8": 37.9,
    "affine-4": 13.3,
}
BITS = {"fp32": 32.0, "bf16": 16.0, "fp16": 16.0, "int8": 8.05, "int4": 4.5}
PROMPT = "(Being a reprint from the reminiscences of JOHN H. WATSON, M.D.)\n\n"
TEXT = "I am going to the Bank of England to see the Bank of England, and I am going to see it."


def matrix(scheme: str, layer: int, name: str) -> MatrixError:
    """One matrix; the last layers are stored a little worse than the first."""
    middle, count = SNR_DB[scheme], MATRICES[name]
    bits = BITS.get(scheme, float(scheme.partition("-")[2] or 16))
    snr = None if middle is None else middle + 1.2 - 0.15 * layer - (0.8 if name == "down" else 0)
    error = 0.0 if snr is None else 0.06 * 10 ** (-snr / 20)
    return MatrixError(
        layer=layer,
        matrix=name,
        parameters=count,
        mean_abs=0.8 * error,
        max_abs=4 * error,
        relative=0.0 if snr is None else 10 ** (-snr / 20),
        relative_plain=0.0 if snr is None else 5 * 10 ** (-snr / 20),
        snr_std_db=snr,
        snr_power_db=snr,
        least=-0.66,
        greatest=0.61,
        step=None if snr is None else 3.4 * error,
        clipped=0.0,
        master_bytes=2 * count,
        stored_bytes=int(bits * count / 8),
    )


def errors(scheme: str, layers: int = LAYERS) -> ErrorReport:
    """Every matrix in one scheme."""
    found = [matrix(scheme, layer, name) for layer in range(layers) for name in MATRICES]
    weights = sum(each.parameters for each in found)
    totals = ErrorTotals(
        scheme=scheme,
        parameters=weights,
        mean_abs=sum(each.mean_abs * each.parameters for each in found) / weights,
        relative=sum(each.relative * each.parameters for each in found) / weights,
        snr_power_db=SNR_DB[scheme],
        master_bytes=sum(each.master_bytes for each in found),
        stored_bytes=sum(each.stored_bytes for each in found),
    )
    return ErrorReport(totals=totals, matrices=found)


def interval(value: float, half: float) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def level(
    precision: PrecisionName,
    *,
    ratio: Interval | None,
    mib: float,
    kl: float = 0.0,
    parts_at: int | None = None,
    text: str = TEXT,
) -> LevelQuality:
    """One level against bf16; with `ratio` `None` bf16 itself."""
    times = 1.0 if ratio is None else ratio.value
    return LevelQuality(
        precision=precision,
        reference=BF16,
        weights_bytes=int(mib * 2**20),
        scored_tokens=14_025,
        perplexity=interval(20.157 * times, 0.88),
        ratio=ratio,
        divergence=None
        if ratio is None
        else Divergence(
            kl_mean=interval(kl, kl / 50),
            kl_median=0.7 * kl,
            kl_p99=6 * kl,
            kl_p999=13 * kl,
            kl_max=30 * kl,
            same_top=interval(1 - 3 * kl - 0.012, 0.002),
            rms_dp=0.2 * kl**0.5,
        ),
        text=None,
        greedy=GreedyText(prompt=PROMPT, text=text, parts_at=parts_at),
        scored_tok_s=2394.0,
    )


REFERENCE = level(BF16, ratio=None, mib=16.0)
LEVELS = {
    PrecisionName.FP32: level(
        PrecisionName.FP32, ratio=interval(1.00003, 0.0003), mib=32.0, kl=0.00018, parts_at=31
    ),
    BF16: REFERENCE,
    PrecisionName.FP16: level(
        PrecisionName.FP16, ratio=interval(1.00004, 0.0003), mib=14.0, kl=0.00018
    ),
    INT8: level(INT8, ratio=interval(1.0004, 0.0006), mib=10.0, kl=0.00064, parts_at=9,
                text=TEXT[:30] + "Army of Revolution, and I am going to see it at last."),
    INT4: level(INT4, ratio=interval(1.0367, 0.0056), mib=7.4, kl=0.0467, parts_at=4,
                text=TEXT[:14] + "have a little talk with you, Mr. Holmes, said he."),
}  # fmt: skip
SKIPPED = LevelSkipped(
    precision=PrecisionName.FP16, reason="the device has no memory for another copy of the weights"
)


def measured() -> list[Report]:
    """A whole run: weights first, then the reference, then the others."""
    reports: list[Report] = []
    for number, scheme in enumerate(SNR_DB):
        reports += [Progress(what=f"weights at {scheme}", fraction=number / 20), errors(scheme)]
    for number, name in enumerate((BF16, *(name for name in LEVELS if name is not BF16))):
        reports += [Progress(what=f"text at {name}", fraction=0.5 + number / 10), LEVELS[name]]
    return [*reports, QualityDone()]


def served(
    begin: float, precision: PrecisionName, tok_s: float, seconds: int = 9
) -> list[list[Report]]:
    """Serving at a precision, a frame a second: long enough for a speed."""
    polls: list[list[Report]] = []
    for second in range(seconds):
        at = begin + second
        shown = frame(at, precision=precision)
        total = int(1e6 + tok_s * at)
        polls.append([msgspec.structs.replace(shown, generated_tokens_total=total)])
    return polls
