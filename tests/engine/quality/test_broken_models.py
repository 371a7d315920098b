"""Models that answer with no numbers, or with far too small probabilities: said, never printed."""

import math
from collections.abc import Callable

import msgspec
import pytest
import torch
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import BUNDLED_FOLDER, LoadedModel, load_model
from prodtop.engine.precision.projection import Projection
from prodtop.engine.protocol import (
    ErrorReport,
    LevelQuality,
    LevelSkipped,
    PrecisionName,
    QualitySpec,
)
from prodtop.engine.quality.evaluation import Evaluation, Outcome
from prodtop.engine.quality.statistics import all_finite, exponential, exponential_interval
from prodtop.engine.quality.text_perplexity import text_perplexity

BF16, FP16 = PrecisionName.BF16, PrecisionName.FP16


@pytest.mark.parametrize("exponent", [-1e9, -800.0, 0.0, 3.5, 800.0, 1e300])
def test_e_to_anything_is_a_positive_number(exponent: float) -> None:
    found = exponential(exponent)
    assert 0 < found < math.inf
    assert 0 < 1 / found < math.inf
    if abs(exponent) < 10:
        assert found == math.exp(exponent)


def test_a_model_that_has_lost_everything_has_finite_figures() -> None:
    losses = torch.tensor([900.0, 1e5, 3e38], dtype=torch.float64)
    assert all_finite(exponential_interval(losses))
    assert all_finite(exponential_interval(-losses))
    found = text_perplexity(losses, "one two")
    assert all_finite(found)
    assert found.word > 1e300


def measured(change: Callable[[torch.Tensor], object], asked: list[PrecisionName]) -> list[Outcome]:
    """The bundled model, one of whose matrices was changed, on a chunk of text."""
    model: LoadedModel = load_model("bundled")
    down = model.master.layers[0].down
    assert isinstance(down, Projection)
    change(down.weight)
    decoder = Decoder(model.master, BF16, torch.device("cpu"), 512)
    text = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    spec = QualitySpec(precisions=asked, most_chunks=1, greedy_tokens=4)
    return list(Evaluation(model, text, spec, lambda: decoder).run())


def test_weights_that_no_fp16_holds_skip_that_level_alone() -> None:
    outcomes = measured(lambda weight: weight[3, 5].fill_(1e6), [BF16, FP16])
    (level,) = [each for each in outcomes if isinstance(each, LevelQuality)]
    (skipped,) = [each for each in outcomes if isinstance(each, LevelSkipped)]
    assert (level.precision, skipped.precision) == (BF16, FP16)
    assert "answers with no numbers" in skipped.reason
    reports = [each.totals.scheme for each in outcomes if isinstance(each, ErrorReport)]
    assert reports == ["bf16"]
    for each in outcomes:
        assert all_finite(each)
        assert b"null" not in msgspec.json.encode(level.perplexity)


def test_nothing_is_compared_with_a_reference_that_answers_with_no_numbers() -> None:
    asked = [PrecisionName.INT8, BF16]
    outcomes = measured(lambda weight: weight.fill_(math.nan), asked)
    skipped = [each for each in outcomes if isinstance(each, LevelSkipped)]
    assert {each.precision for each in skipped} == set(asked)
    assert all("bf16 answers with no numbers" in each.reason for each in skipped)
    assert not any(isinstance(each, LevelQuality | ErrorReport) for each in outcomes)
