"""Word and byte perplexity against lm-eval's package: its windows, its arithmetic."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from bundled_peer import log_probabilities, peer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import BUNDLED_FOLDER, LoadedModel, load_model
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.quality.chunks import ScoredChunk, encode_text, prefix_of, rolling_chunks
from prodtop.engine.quality.text_perplexity import text_perplexity
from prodtop.engine.quality.text_scorer import TextScorer
from prodtop.engine.quality.token_scores import scored_hidden, token_losses

ORACLE = Path(sys.prefix) / "oracles" / "lm-eval"
SCRIPT = Path(__file__).with_name("lm_eval_oracle.py")


class LmEval:
    """The package, asked over a pipe."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def windows(self, ids: list[int], prefix: int, longest: int) -> list[ScoredChunk]:
        """Its windows as chunks: what is seen but the last token, what is predicted."""
        answer = self._ask("windows", ids, prefix, longest)
        assert isinstance(answer, list)
        return [ScoredChunk([*seen, *predicted], len(seen)) for seen, predicted in answer]

    def figures(self, page: str, loglikelihood: float) -> dict[str, float]:
        answer = self._ask("figures", page, loglikelihood)
        assert isinstance(answer, dict)
        return answer

    def _ask(self, *call: object) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "lm-eval has ended"
        answer: object = json.loads(line)
        return answer


@pytest.fixture(scope="module")
def lm_eval() -> Iterator[LmEval]:
    if not ORACLE.is_dir():
        pytest.skip("lm-eval is not there: `make test` installs it")
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ORACLE)},
        text=True,
    ) as process:
        yield LmEval(process)
        assert process.stdin is not None
        process.stdin.close()


@given(ids=st.lists(st.integers(0, 9), min_size=1, max_size=40), longest=st.integers(1, 12))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_are_those_of_lm_eval(lm_eval: LmEval, ids: list[int], longest: int) -> None:
    assert rolling_chunks(ids, [99], longest) == lm_eval.windows(ids, 99, longest)


@pytest.fixture(scope="module")
def bundled() -> LoadedModel:
    return load_model("bundled")


@pytest.mark.parametrize("characters", [300, 1500, 2311])
def test_word_and_byte_perplexity_are_those_of_lm_eval(
    lm_eval: LmEval, bundled: LoadedModel, characters: int
) -> None:
    """Its windows, scored by transformers, through its arithmetic."""
    text = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    page = f"  {text[:characters]} \n  naïve — 東京"
    ids = encode_text(bundled.tokenizer, page)
    prefix = prefix_of(bundled.tokenizer, bundled.config.eos_token_ids)
    scorer = TextScorer(Decoder(bundled.master, PrecisionName.FP32, torch.device("cpu"), 128), 128)
    chunks = rolling_chunks(ids, prefix, 128)
    losses = [token_losses(scorer, chunk, scored_hidden(scorer, chunk)) for chunk in chunks]
    found = text_perplexity(torch.cat(losses), page)

    model, loglikelihood = peer(torch.float32), 0.0
    for window in lm_eval.windows(ids, prefix[0], 128):
        true = torch.tensor(window.tokens[window.first :]).unsqueeze(1)
        loglikelihood += float(log_probabilities(model, window).gather(1, true).sum())
    theirs = lm_eval.figures(page, loglikelihood)
    assert found.word == pytest.approx(theirs["word_perplexity"], rel=1e-3)
    assert found.byte == pytest.approx(theirs["byte_perplexity"], rel=1e-3)
    assert found.bits_per_byte == pytest.approx(theirs["bits_per_byte"], rel=1e-3)
