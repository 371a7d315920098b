"""Quality: what to measure of each precision, and what came out.

Relative errors and shares are fractions, not percent. The definitions are in docs/quality.md.
"""

from .message import Message, Part
from .settings import PrecisionName

INT4_GROUPS = (32, 64, 128, 256)
"""Weights that may share a scale and a zero at int4."""

SCORED_CHUNK_TOKENS = 512
"""Tokens of a chunk of text, of which the second half is scored, as llama.cpp does it."""


class QualitySpec(Part, frozen=True, kw_only=True):
    """What to measure. `text_file` `None` is the text that ships; `most_chunks` bounds the work."""

    precisions: list[PrecisionName]
    text_file: str | None = None
    most_chunks: int | None = None
    layers: bool = False
    """Report every matrix, and the plain affine schemes beside the levels."""
    greedy_tokens: int = 48
    """How many tokens of the greedy texts are compared."""
    int4_groups: list[int] = []
    """Report int4 in groups of so many weights as well: see `INT4_GROUPS`."""
    int4_rounded: bool = False
    """Report int4 by minimum and maximum of each group as well."""
    int4_calibrated: bool = False
    """Report int4 by GPTQ as well, calibrated on `calibration_file`, or on what ships."""
    calibration_file: str | None = None


class MatrixError(Part, frozen=True, kw_only=True):
    """How far one stored matrix is from its master, over all its weights."""

    layer: int
    matrix: str
    parameters: int
    mean_abs: float
    max_abs: float
    relative: float
    """Sum of absolute errors over that of absolute weights: near-zero weights do not dominate."""
    relative_plain: float | None
    """Mean of |error| / |weight| over the weights that are not zero."""
    snr_std_db: float | None
    """20 log10(std(weights) / std(errors)); `None` without any error."""
    snr_power_db: float | None
    """10 log10(sum of squared weights / sum of squared errors)."""
    least: float
    greatest: float
    step: float | None
    """Mean distance of neighbouring stored values; `None` where it is not one."""
    clipped: float
    """Share of weights beyond what the scheme can store."""
    master_bytes: int
    stored_bytes: int


class ErrorTotals(Part, frozen=True, kw_only=True):
    """A scheme over all matrices. Averages are over weights, not over matrices."""

    scheme: str
    """A precision, `affine-8` (minimum and range of a matrix in 8 bits), or one of
    `LevelQuality.scheme`."""
    parameters: int
    mean_abs: float
    relative: float
    snr_power_db: float | None
    master_bytes: int
    stored_bytes: int

    @property
    def compression(self) -> float:
        """Bytes before over bytes after."""
        return self.master_bytes / self.stored_bytes

    @property
    def size_reduction(self) -> float:
        return 1 - self.stored_bytes / self.master_bytes

    @property
    def parameters_per_mib(self) -> float:
        return self.parameters / (self.stored_bytes / 2**20)


class ErrorReport(Message, frozen=True, kw_only=True):
    """The stored weights of one scheme against the master copy."""

    totals: ErrorTotals
    matrices: list[MatrixError]


class Interval(Part, frozen=True, kw_only=True):
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Divergence(Part, frozen=True, kw_only=True):
    """How the next-token distributions of a level differ from the reference's, by token.

    KL is in nats, of the reference from the level. `same_top`: both have the same likeliest token.
    `rms_dp`: root mean square of the change in the probability of the true token.
    """

    kl_mean: Interval
    kl_median: float
    kl_p99: float
    kl_p999: float
    kl_max: float
    same_top: Interval
    rms_dp: float


class TextPerplexity(Part, frozen=True, kw_only=True):
    """Over whole texts, as lm-eval reports it: not comparable with `Scores.perplexity`."""

    word: float
    byte: float
    bits_per_byte: float


class GreedyText(Part, frozen=True, kw_only=True):
    """The likeliest continuation of one prompt. `parts_at`: the first token that differs from the
    reference's; `None` where none does."""

    prompt: str
    text: str
    parts_at: int | None


class LevelQuality(Message, frozen=True, kw_only=True):
    """What one precision was measured to be worth. `versus_reference` fields are `None` for the
    reference itself."""

    precision: PrecisionName
    reference: PrecisionName
    weights_bytes: int
    scored_tokens: int
    perplexity: Interval
    ratio: Interval | None
    """Perplexity over the reference's, on the same tokens."""
    divergence: Divergence | None
    text: TextPerplexity | None
    greedy: GreedyText | None
    scored_tok_s: float
    """Tokens of text scored a second: a batch workload, not serving."""
    scheme: str = ""
    """`int4 g32`, `int4 gptq` …: another way to its precision than what is served, which is ''."""

    @property
    def name(self) -> str:
        """The scheme, or the precision as it is served."""
        return self.scheme or self.precision

    @property
    def retention(self) -> float | None:
        """The reference's perplexity over this one's: 1 is no loss. `None` over nothing."""
        if self.ratio is None:
            return 1.0
        return 1 / self.ratio.value if self.ratio.value else None

    @property
    def differs(self) -> bool | None:
        """Whether a difference in perplexity was measured: 1 lies outside the ratio's interval."""
        return None if self.ratio is None else not self.ratio.low <= 1 <= self.ratio.high


class LevelSkipped(Message, frozen=True, kw_only=True):
    """A precision that could not be measured, with the reason."""

    precision: PrecisionName
    reason: str
    scheme: str = ""
    """As in `LevelQuality`."""

    @property
    def name(self) -> str:
        """The scheme, or the precision as it is served."""
        return self.scheme or self.precision


class QualityDone(Message, frozen=True, kw_only=True):
    """All that was asked for has been reported."""
