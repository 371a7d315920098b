"""`prodtop guards`: over a tiny model that is really served, and what they print and keep."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from linked_engine import tiny_checkpoint
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.server.guards.bias_file import load_bias
from prodtop.engine.server.guards.calibrating import Answered
from prodtop.engine.server.guards.model_reference import load_reference
from prodtop.engine.server.guards.samples import sets
from prodtop.tui.commands import own_server
from prodtop.tui.commands.main import run
from prodtop.tui.commands.own_server import own_completions


class Even:
    """A model that finds all equally likely."""

    model, precision = "even", "fp32"

    def answer(self, prompt: str, max_tokens: int, temperature: float, seed: int) -> Answered:
        return Answered(" white", [float(len(prompt))] * max_tokens)

    def score(self, text: str) -> list[float]:
        return [-1.0] * len(text)

    def score_end(self, beginning: str, end: str) -> list[float]:
        return [-1.0] * len(end)


@pytest.fixture
def even(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def served(_options: WorkerOptions) -> Iterator[Even]:
        yield Even()

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(own_server, "own_completions", served)


@pytest.mark.usefixtures("even")
def test_a_calibration_is_told_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["guards", "calibrate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = load_reference("even")
    assert kept is not None
    assert told["reference"]["uncertainty"]["means"] == kept.uncertainty.means
    assert told["uncertainty"]["n"] == len(sets.labelled_prompts())
    assert run(["guards", "calibrate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "even, fp32"
    assert "a heuristic: AUROC 0." in lines[2]
    assert lines[-1] == f"kept in {told['file']}"


@pytest.mark.usefixtures("even")
def test_the_indicator_is_told_with_its_interval_and_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["guards", "bias"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "an indicator" in lines[0]
    assert lines[1].split() == ["probes", "+0.000", "[+0.000,", "+0.000]", "n", "=", "24"]
    kept = load_bias("even")
    assert kept is not None
    assert kept.report.excess.mean == 0.0
    assert run(["guards", "bias", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "even"


def test_a_served_model_scores_texts_as_it_answers_them(tmp_path: Path) -> None:
    options = tiny_checkpoint(tmp_path)
    with own_completions(options) as completions:
        assert completions.precision
        answer = completions.answer("one two three", 5, 0.0, 1)
        assert len(answer.entropies) == 5
        assert all(entropy > 0 for entropy in answer.entropies)
        whole, end = completions.score("one two three"), completions.score_end("one two", " three")
        assert 0 < len(end) < len(whole)
        assert end == whole[-len(end) :]
        # A text is scored as far as the context goes.
        long = completions.score("one two three " * 2000)
        assert 3000 < len(long) < 4096


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "prodtop.tui.commands.main", "guards", "bias", "--model", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("prodtop: ")
    assert "Traceback" not in done.stderr
