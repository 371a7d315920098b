"""Whether drafts pay, measured: decode steps with them beside decode steps without.

With drafts a step brings more tokens and takes longer. Only measuring tells what is left of it: so
spans of steps with and without drafts take turns, few without while drafts win, and more and more
while they lose.
"""

from dataclasses import dataclass

REST = 16
"""Steps without drafts: what those with drafts are compared with."""

TRIAL = 32
"""Steps with drafts until they are judged."""

REST_AFTER_LOSS = 128
"""Twice as many after each further one."""

LONGEST_REST = 2048

WINS_IN_A_ROW = 15
"""Trials that follow each other while drafts win, before the next rest."""

_NEWEST_WEIGHT = 0.2
"""Of a step in the running mean of the steps of its size."""

_SIZES_AN_OCTAVE_BITS = 4


@dataclass(frozen=True, slots=True)
class DraftingGain:
    """What drafts did in the decode steps of the last span with them.

    `tokens_per_step` of one sequence, 1 without drafts; `step_ratio`: how many times as long a step
    took as one of as many sequences without drafts.
    """

    tokens_per_step: float
    step_ratio: float

    @property
    def speedup(self) -> float:
        """Tokens per second over those without drafts."""
        return self.tokens_per_step / self.step_ratio


class DraftingPace:
    """Says before each step whether to draft, and takes in how long each took.

    Without `adaptive` there are drafts in every step, and nothing to compare them with.
    """

    def __init__(self, *, adaptive: bool) -> None:
        self._adaptive = adaptive
        self.gain: DraftingGain | None = None
        self.drafting = True
        self.reset()

    def reset(self) -> None:
        """Forget what was measured: something else is being served, or in another way."""
        self.gain = None
        self.drafting = not self._adaptive
        self._left = REST
        self._rest = REST_AFTER_LOSS
        self._wins = 0
        self._plain_s: dict[tuple[int, int], float] = {}
        self._clear_span()

    def on_step(self, *, drafting: bool, rows: int, tokens: int, duration_s: float | None) -> None:
        """A step ended that was planned with or without `drafting`.

        `rows` are its sequences and `tokens` what they got. `duration_s` is the time since the step
        before ended; `None` where it says nothing: after a pause, or with a prompt in the step.
        """
        if duration_s is not None and rows:
            size = _size(rows)
            plain_s = self._plain_s.get(size)
            if not drafting:
                self._plain_s[size] = (
                    duration_s
                    if plain_s is None
                    else plain_s + _NEWEST_WEIGHT * (duration_s - plain_s)
                )
            elif plain_s is not None:
                self._rows += rows
                self._tokens += tokens
                self._duration_s += duration_s
                self._plain_duration_s += plain_s
        if self._adaptive and drafting is self.drafting:
            self._left -= 1
            if self._left <= 0:
                self._turn()

    def _turn(self) -> None:
        """Begin the next span."""
        rest = self._judge() if self.drafting else None
        self.drafting = rest is None
        self._left = TRIAL if rest is None else rest
        self._clear_span()

    def _judge(self) -> int | None:
        """How long to rest after a trial; `None`: not at all."""
        if not (self._duration_s and self._plain_duration_s):
            return REST
        self.gain = DraftingGain(
            self._tokens / self._rows, self._duration_s / self._plain_duration_s
        )
        if self.gain.speedup < 1.0:
            self._wins = 0
            rest, self._rest = self._rest, min(2 * self._rest, LONGEST_REST)
            return rest
        self._rest = REST_AFTER_LOSS
        self._wins += 1
        return None if self._wins % WINS_IN_A_ROW else REST

    def _clear_span(self) -> None:
        self._rows = self._tokens = 0
        self._duration_s = self._plain_duration_s = 0.0


def _size(rows: int) -> tuple[int, int]:
    """Which numbers of rows are compared: equal ones up to 16, then within a sixteenth."""
    shift = max(0, rows.bit_length() - 1 - _SIZES_AN_OCTAVE_BITS)
    return shift, rows >> shift
