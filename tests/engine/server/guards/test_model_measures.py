"""What is measured of a model for its guards: against models whose figures are known beforehand."""

import itertools
import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.bias import (
    bootstrap,
    gap,
    measure_bias,
    report_of,
)
from prodtop.engine.server.guards.bias_file import bias_file, keep_bias, load_bias
from prodtop.engine.server.guards.calibrating import (
    Answered,
    auroc_with_interval,
    calibration_prompts,
    measure_reference,
    measure_uncertainty,
)
from prodtop.engine.server.guards.model_reference import limits_of
from prodtop.engine.server.guards.samples.sets import BiasPair, bias_pairs, labelled_prompts
from prodtop.engine.server.guards.uncertainty import entropy_of_top


@dataclass
class Known:
    """A model that knows the right word of every other labelled prompt, and doubts when it does
    not; every token of a text has the logprob -2."""

    model: str = "known"
    precision: str = "fp32"
    asked: int = 0

    def answer(self, prompt: str, max_tokens: int, temperature: float, seed: int) -> Answered:
        self.asked += 1
        right = {each.text: min(each.right) for each in labelled_prompts()}.get(prompt)
        if right is None:
            return Answered("so it went on", [seed / 100] * max_tokens)
        knows = self.asked % 2 == 0
        return Answered(f" {right if knows else 'xyzzy'}", [0.1 if knows else 1.5] * max_tokens)

    def score(self, text: str) -> list[float]:
        return [-2.0] * len(text.split())

    def score_end(self, beginning: str, end: str) -> list[float]:
        return [-1.0 if " he " in beginning else -3.0] * len(end.split())


def silent(_what: str, _share: float) -> None:
    pass


def test_a_model_that_knows_what_it_does_not_know_has_an_auroc_of_1() -> None:
    model = Known()
    reference = measure_reference(model, "2026-12-01", silent)
    assert (reference.model, reference.precision) == ("known", "fp32")
    assert reference.uncertainty.means == sorted(reference.uncertainty.means)
    limits = reference.perplexity
    assert limits.affix_perplexity == pytest.approx(math.exp(2))
    longest = max(len(text) for text in calibration_prompts())
    assert limits.length_per_perplexity <= longest / math.exp(2)
    found = measure_uncertainty(model, reference.uncertainty, silent)
    assert found.n == len(labelled_prompts())
    assert found.wrong in (found.n // 2, found.n - found.n // 2)
    assert found.score is not None
    assert (found.score.value, found.score.low, found.score.high) == (1.0, 1.0, 1.0)


def test_what_tells_nothing_has_an_interval_around_a_half() -> None:
    draw = random.Random(3)
    scores = [draw.random() for _ in range(200)]
    labels = [draw.random() < 0.5 for _ in range(200)]
    found = auroc_with_interval(scores, labels)
    assert found is not None
    assert found.low < 0.5 < found.high
    assert auroc_with_interval(scores, [True] * 200) is None


def test_the_limits_are_the_smallest_that_so_many_do_not_exceed() -> None:
    values = [float(n) for n in range(1, 201)]
    limits = limits_of(values, values[:50], share=0.99)
    assert (limits.length_per_perplexity, limits.affix_perplexity) == (198.0, 50.0)
    assert (limits.prompts, limits.affixes) == (200, 50)
    with pytest.raises(ValueError, match="20 words"):
        limits_of(values, [])


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=60), st.integers(1, 20))
def test_a_flat_distribution_never_looks_more_certain_than_a_peaked_one_of_the_same_tail(
    weights: list[float], kept: int
) -> None:
    """What is not told is at least as spread out as the last that is."""
    shares = sorted((weight / sum(weights) for weight in weights), reverse=True)
    logprobs = [math.log(share) for share in shares]
    whole = -math.fsum(share * math.log(share) for share in shares)
    found = [entropy_of_top(logprobs[:most]) for most in range(1, len(shares) + 1)]
    assert all(low <= high + 1e-9 for low, high in itertools.pairwise(found))
    assert found[-1] == pytest.approx(whole, abs=1e-9)
    # Of even shares it is exact from the first on.
    even = [-math.log(len(shares))] * len(shares)
    assert entropy_of_top(even[:kept]) == pytest.approx(math.log(len(shares)))


def test_the_gap_is_a_mean_over_tokens() -> None:
    pair = BiasPair("probe", "then he ", "then she ", " one two three")
    assert gap(pair, Known().score_end) == 2.0
    with pytest.raises(ValueError, match="no tokens"):
        gap(pair, lambda _beginning, _end: [])


def test_a_gap_that_controls_show_as_well_is_no_excess() -> None:
    pairs = bias_pairs()
    report = measure_bias("m", pairs, lambda beginning, end: [-len(beginning) / 10] * len(end))
    fair = report_of("m", [(pair, 0.5) for pair in pairs])
    assert (fair.excess.mean, fair.excess.low, fair.excess.high) == (0.0, 0.0, 0.0)
    assert fair.probes.n + fair.controls.n == fair.excess.n == len(pairs)
    biased = report_of("m", [(pair, 0.5 + (pair.kind == "probe")) for pair in pairs])
    assert biased.excess.mean == 1.0
    assert report.excess.low <= report.excess.mean <= report.excess.high
    with pytest.raises(ValueError, match="5 probes"):
        report_of("m", [(pair, 0.0) for pair in pairs if pair.kind == "control"])


def test_a_bootstrap_interval_is_as_wide_as_the_standard_error_says() -> None:
    draw = random.Random(1)
    sample = [draw.gauss(0, 1) for _ in range(400)]
    found = bootstrap([sample], lambda samples: sum(samples[0]) / len(samples[0]))
    deviation = math.sqrt(sum((x - found.mean) ** 2 for x in sample) / len(sample))
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation / 20, rel=0.15)


def test_every_probe_has_a_control_of_the_same_words() -> None:
    pairs = bias_pairs()
    probes = [each for each in pairs if each.kind == "probe"]
    assert len(probes) == len(pairs) - len(probes) >= 20
    assert all(each.first != each.second and each.end[0] == " " for each in pairs)
    assert len({each.text for each in labelled_prompts()}) == len(labelled_prompts()) > 100


def test_the_last_indicator_is_kept(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_bias("m") is None
    report = report_of("m", [(pair, 0.5) for pair in bias_pairs()])
    keep_bias(report, 5.0)
    kept = load_bias("m")
    assert kept is not None
    assert (kept.measured_at_wall_s, kept.report) == (5.0, report)
    bias_file("m").write_text("{")
    assert load_bias("m") is None
