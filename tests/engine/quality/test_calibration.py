"""Calibrating int4 layer by layer: from what inputs, and whether a model's outputs come nearer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import BUNDLED_FOLDER, LoadedModel, load_model
from prodtop.engine.precision.gptq import damped, gptq_int4
from prodtop.engine.precision.int4_descent import descend
from prodtop.engine.precision.int4_rounding import Int4Rounding, PlainInt4
from prodtop.engine.precision.projection import Projection, master_weight
from prodtop.engine.protocol import (
    ErrorReport,
    LevelQuality,
    LevelSkipped,
    PrecisionName,
    QualitySpec,
)
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.quality.calibration import Calibration
from prodtop.engine.quality.calibration_text import (
    CALIBRATION_TOKENS,
    MOST_SEQUENCES,
    calibration_sequences,
    calibration_text,
)
from prodtop.engine.quality.evaluation import Evaluation
from prodtop.engine.quality.schemes import schemes_of
from prodtop.engine.quality.text_scorer import TextScorer
from torch import Tensor

CPU = torch.device("cpu")
LAYERS, SEQUENCES, LENGTH = 2, 12, 128


@pytest.fixture(scope="module")
def bundled() -> LoadedModel:
    """Its first layers alone, which makes no good text but is rounded in a moment."""
    whole = load_model("bundled")
    master = whole.master
    config = replace(master.config, layers=LAYERS)
    return replace(whole, master=replace(master, layers=master.layers[:LAYERS], config=config))


@pytest.fixture(scope="module")
def sequences(bundled: LoadedModel) -> list[list[int]]:
    ids = calibration_sequences(bundled.tokenizer, calibration_text(None, "another text"))
    return [sequence[:LENGTH] for sequence in ids[:SEQUENCES]]


@pytest.fixture(scope="module")
def calibration(bundled: LoadedModel, sequences: list[list[int]]) -> Calibration:
    made = Calibration(bundled.master, CPU)
    pieces = sum(1 for _ in made.run(sequences))
    assert pieces == Calibration.pieces(bundled.master, SEQUENCES)
    return made


def test_the_first_matrix_is_rounded_for_the_inputs_that_it_has(
    bundled: LoadedModel, sequences: list[list[int]], calibration: Calibration
) -> None:
    first = bundled.master.layers[0]
    embedded = bundled.master.embedding[torch.tensor(sequences).flatten()]
    weight = first.attention_norm.weight
    x = F.rms_norm(embedded, weight.shape, weight, bundled.config.norm_eps).float()
    matrix, hessian = master_weight(first.qkv), x.t() @ x
    start = gptq_int4(matrix, hessian, 64, torch.bfloat16)
    expected = descend(matrix, start, damped(hessian), torch.bfloat16)
    found = calibration(first.qkv, CPU)
    assert (found.q == expected.q).double().mean() > 0.99, "but for the order of sums"
    torch.testing.assert_close(found.scale, expected.scale, rtol=0.02, atol=0)


def test_each_matrix_makes_up_for_those_before_it(
    bundled: LoadedModel, sequences: list[list[int]], calibration: Calibration
) -> None:
    """On a text that it was not calibrated on, hidden states are nearer to the unrounded ones."""
    ids = calibration_sequences(bundled.tokenizer, calibration_text(None, "another text"))
    fresh = ids[SEQUENCES][:LENGTH]

    def hidden(precision: PrecisionName, int4: Int4Rounding | None = None) -> Tensor:
        decoder = Decoder(bundled.master, precision, CPU, LENGTH, int4)
        return TextScorer(decoder, LENGTH).hidden(fresh).float()

    exact = hidden(PrecisionName.FP32)
    errors = [
        float((hidden(PrecisionName.INT4, int4) - exact).norm())
        for int4 in (calibration, None, PlainInt4(fitted=False))
    ]
    assert errors[0] < 0.9 * errors[1] < errors[1] < errors[2]


def test_the_master_copy_and_what_is_served_stay_as_they_are(
    bundled: LoadedModel, calibration: Calibration
) -> None:
    fresh = load_model("bundled").master
    for ours, theirs in zip(bundled.master.layers, fresh.layers, strict=False):
        for here, there in zip(ours.projections(), theirs.projections(), strict=True):
            assert torch.equal(master_weight(here), master_weight(there))
    with pytest.raises(KeyError):
        calibration(Projection(torch.zeros(16, 64)), CPU)


def test_a_text_becomes_sequences_of_one_length(bundled: LoadedModel) -> None:
    text = calibration_text(None, "another text")
    cut = calibration_sequences(bundled.tokenizer, text)
    assert {len(sequence) for sequence in cut} == {CALIBRATION_TOKENS}
    assert 64 < len(cut) < MOST_SEQUENCES
    assert len(calibration_sequences(bundled.tokenizer, text * 3)) == MOST_SEQUENCES
    with pytest.raises(BadInputError, match=r"has \d+ tokens: it needs 512 at least"):
        calibration_sequences(bundled.tokenizer, "A short text.")


def test_what_ships_to_calibrate_on_is_not_in_what_ships_to_score() -> None:
    scored = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    paragraphs = [part for part in calibration_text(None, scored).split("\n\n") if len(part) > 80]
    assert len(paragraphs) > 300
    assert not [part for part in paragraphs if part in scored]


@pytest.mark.parametrize("change", ["{}", "{}\n", "before it\n{}"])
def test_the_text_that_is_scored_is_refused(change: str, tmp_path: Path) -> None:
    scored = "It was a dark night.\n" * 50
    file = tmp_path / "text"
    file.write_text(change.format(scored), encoding="utf-8")
    with pytest.raises(BadInputError, match="is the text that is scored: give another"):
        calibration_text(str(file), scored)


def test_schemes_are_what_is_served_then_each_method_at_each_size() -> None:
    spec = QualitySpec(
        precisions=[PrecisionName.BF16, PrecisionName.INT4],
        int4_groups=[32, 128],
        int4_rounded=True,
        int4_calibrated=True,
    )
    assert [str(scheme) for scheme in schemes_of(spec)] == [
        *("bf16", "int4", "int4 rtn", "int4 gptq", "int4 g32", "int4 rtn g32", "int4 gptq g32"),
        *("int4 g128", "int4 rtn g128", "int4 gptq g128"),
    ]
    assert [scheme.name for scheme in schemes_of(spec)][:2] == ["", ""]
    with pytest.raises(BadInputError, match="int4 groups of 48: choose from 32, 64, 128, 256"):
        schemes_of(QualitySpec(precisions=[], int4_groups=[48]))


def test_an_evaluation_reports_each_scheme_beside_what_is_served(bundled: LoadedModel) -> None:
    decoder = Decoder(bundled.master, PrecisionName.BF16, CPU, 1024)
    spec = QualitySpec(
        precisions=[PrecisionName.INT4],
        most_chunks=2,
        greedy_tokens=2,
        int4_groups=[32],
        int4_calibrated=True,
    )
    scored = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    calibrated_on = calibration_text(None, scored)[:8000]
    evaluation = Evaluation(bundled, scored, spec, lambda: decoder, calibrated_on)
    outcomes = [*evaluation.run()]
    assert not [each for each in outcomes if isinstance(each, LevelSkipped)]
    levels = {each.name: each for each in outcomes if isinstance(each, LevelQuality)}
    names = ["int4", "int4 gptq", "int4 g32", "int4 gptq g32"]
    assert list(levels) == ["bf16", *names]
    errors = [each.totals.scheme for each in outcomes if isinstance(each, ErrorReport)]
    assert errors == names
    bytes_of = {name: level.weights_bytes for name, level in levels.items()}
    assert bytes_of["int4 g32"] > bytes_of["int4"]
    assert bytes_of["int4 gptq"] == bytes_of["int4"]
    divergences = {name: levels[name].divergence for name in names}
    means = {name: each.kl_mean.value for name, each in divergences.items() if each is not None}
    assert means["int4 g32"] < means["int4"]
    assert means["int4 gptq"] < means["int4"]
