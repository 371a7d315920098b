"""Perplexity, divergence and greedy texts against transformers, on the same folders."""

import math

import pytest
import torch
from bundled_peer import log_probabilities, peer
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import BUNDLED_FOLDER, LoadedModel, load_model
from prodtop.engine.precision.projection import Projection
from prodtop.engine.protocol import (
    ErrorReport,
    LevelQuality,
    LevelSkipped,
    PrecisionName,
    Progress,
    QualitySpec,
)
from prodtop.engine.quality.chunks import (
    ScoredChunk,
    beginning,
    encode_text,
    llama_cpp_chunks,
)
from prodtop.engine.quality.evaluation import Evaluation
from prodtop.engine.quality.statistics import quantile
from prodtop.engine.quality.text_scorer import TextScorer
from prodtop.engine.quality.token_scores import (
    divergence,
    scored_hidden,
    token_differences,
    token_losses,
)

CPU = torch.device("cpu")
CHUNKS = 3


@pytest.fixture(scope="module")
def bundled() -> LoadedModel:
    return load_model("bundled")


@pytest.fixture(scope="module")
def text() -> str:
    return (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chunks(bundled: LoadedModel, text: str) -> list[ScoredChunk]:
    ids = encode_text(bundled.tokenizer, text)
    return llama_cpp_chunks(ids, beginning(bundled.tokenizer), 512, CHUNKS)


def test_perplexity_and_divergence_are_those_of_transformers(
    bundled: LoadedModel, chunks: list[ScoredChunk]
) -> None:
    """The other model is the same one without a part of its layers: exactly so on both sides."""
    exact, damaged = peer(torch.float32), peer(torch.float32)
    with torch.no_grad():
        for name, tensor in damaged.named_parameters():
            if name.endswith("down_proj.weight"):
                tensor[:24] = 0
    damaged_here = load_model("bundled")
    for layer in damaged_here.master.layers:
        assert isinstance(layer.down, Projection)
        layer.down.weight[:24] = 0
    ours = TextScorer(Decoder(bundled.master, PrecisionName.FP32, CPU, 512), 512)
    theirs = TextScorer(Decoder(damaged_here.master, PrecisionName.FP32, CPU, 512), 512)
    losses, differences, peer_losses, kl, same, change = [], [], [], [], [], []
    for chunk in chunks:
        base, level = scored_hidden(ours, chunk), scored_hidden(theirs, chunk)
        losses.append(token_losses(ours, chunk, base))
        differences.append(token_differences(theirs, level, ours, base, chunk))
        p, q = (log_probabilities(model, chunk) for model in (exact, damaged))
        true = torch.tensor(chunk.tokens[chunk.first :]).unsqueeze(1)
        peer_losses.append(-p.gather(1, true).squeeze(1))
        kl.append((p.exp() * (p - q)).sum(-1))
        same.append(p.argmax(-1) == q.argmax(-1))
        change.append((q.gather(1, true).exp() - p.gather(1, true).exp()).squeeze(1))
    perplexity = math.exp(float(torch.cat(losses).mean()))
    assert perplexity == pytest.approx(math.exp(float(torch.cat(peer_losses).mean())), rel=1e-3)
    found, whole = divergence(differences), torch.cat(kl)
    assert found.kl_mean.value == pytest.approx(float(whole.mean()), rel=1e-3)
    assert found.kl_median == pytest.approx(quantile(whole, 0.5), rel=1e-3)
    assert found.kl_p99 == pytest.approx(quantile(whole, 0.99), rel=1e-3)
    assert found.kl_max == pytest.approx(float(whole.max()), rel=1e-3)
    assert found.same_top.value == pytest.approx(float(torch.cat(same).double().mean()), abs=2e-3)
    rms = float(torch.cat(change).square().mean().sqrt())
    assert found.rms_dp == pytest.approx(rms, rel=1e-3)
    assert found.kl_mean.value > 0.01


def test_greedy_texts_are_those_of_transformers(bundled: LoadedModel, text: str) -> None:
    prompt = encode_text(bundled.tokenizer, text)[:40]
    scorer = TextScorer(Decoder(bundled.master, PrecisionName.FP32, CPU, 128), 128)
    model = peer(torch.float32)
    generated = model.generate(
        torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0
    )
    found = scorer.greedy(prompt, 24, bundled.config.eos_token_ids)
    assert found == generated[0, len(prompt) :].tolist()


def test_an_evaluation_reports_each_level_once_and_ends(bundled: LoadedModel, text: str) -> None:
    decoder = Decoder(bundled.master, PrecisionName.BF16, CPU, 1024)
    asked = [PrecisionName.INT8, PrecisionName.INT4, PrecisionName.BF16, PrecisionName.FP8]
    spec = QualitySpec(precisions=asked, most_chunks=2, greedy_tokens=8)
    evaluation = Evaluation(bundled, text, spec, lambda: decoder)
    outcomes = [*evaluation.run()]
    fractions = [each.fraction or 0.0 for each in outcomes if isinstance(each, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0, abs=0.35)  # the skipped level's part is never done
    levels = {each.precision: each for each in outcomes if isinstance(each, LevelQuality)}
    assert list(levels) == [PrecisionName.BF16, PrecisionName.INT8, PrecisionName.INT4]
    (skipped,) = [each for each in outcomes if isinstance(each, LevelSkipped)]
    assert skipped.precision is PrecisionName.FP8
    assert [each.totals.scheme for each in outcomes if isinstance(each, ErrorReport)] == asked[:3]
    reference, int8, int4 = levels.values()
    assert (reference.ratio, reference.divergence, reference.differs) == (None, None, None)
    assert reference.scored_tokens == 2 * 255
    assert int8.differs is False
    assert int8.divergence is not None
    assert int4.divergence is not None
    assert int4.divergence.kl_mean.low > int8.divergence.kl_mean.high
    assert int4.weights_bytes < int8.weights_bytes < reference.weights_bytes


def test_a_level_compared_with_itself_has_no_difference(
    bundled: LoadedModel, chunks: list[ScoredChunk]
) -> None:
    scorer = TextScorer(Decoder(bundled.master, PrecisionName.BF16, CPU, 512), 512)
    hidden = scored_hidden(scorer, chunks[0])
    found = divergence([token_differences(scorer, hidden, scorer, hidden, chunks[0])])
    assert found.kl_max == found.rms_dp == 0.0
    assert found.same_top.value == 1.0
