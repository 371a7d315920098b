"""lm-eval's own client: loglikelihoods over HTTP are those that transformers computes."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from asgi_client import Json
from client_scripts import program_of, run_client
from prodtop.engine.model.loading import BUNDLED_FOLDER
from serve_process import serving_process
from served_figures import scrape
from served_folders import ids_of
from transformers import AutoModelForCausalLM

CHOICES = [" the old man", " and then he", " zebra\n quantum!", "."]
CHOOSING = """
task: choosing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/choosing.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: 0
target_delimiter: ""
"""
ROLLING = """
task: rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rolling.jsonl}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}]
"""
BACKENDS = ("huggingface", "remote")


def paragraphs() -> list[str]:
    text = (BUNDLED_FOLDER / "heldout.txt").read_text(encoding="utf-8")
    return [each for each in text.split("\n\n") if 200 < len(each) < 400][:6]


def write_tasks(folder: Path) -> None:
    """A task of choices and one of whole texts, over JSON lines."""
    rows: dict[str, list[Json]] = {
        "choosing": [{"context": each[:120], "choices": CHOICES} for each in paragraphs()],
        "rolling": [{"text": each} for each in paragraphs()[:3]],
    }
    for (name, lines), task in zip(rows.items(), (CHOOSING, ROLLING), strict=True):
        (folder / f"{name}.yaml").write_text(task.format(folder=folder))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))


class Evaluated:
    """What lm-eval got with each of its tokenizers, and what the server counted meanwhile."""

    def __init__(self, folder: Path) -> None:
        write_tasks(folder)
        with serving_process("--precision", "fp32") as url:
            before = scrape(url)
            self.answers = run_client(
                "lm-eval", "lm_eval_script.py", url, str(folder), str(BUNDLED_FOLDER),
                "choosing", "rolling",
            )  # fmt: skip
            after = scrape(url)
        self.counted = {name: after[name] - before.get(name, 0) for name in after}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    program_of("lm-eval")
    return Evaluated(tmp_path_factory.mktemp("tasks"))


def parted(*texts: str) -> tuple[list[int], int]:
    """The ids of a request as lm-eval cuts them, and how many of them are seen: the context's,
    without blanks at its end. A text alone begins a document."""
    if len(texts) == 1:
        return [0, *ids_of(texts[0])], 1
    return ids_of("".join(texts)), len(ids_of(texts[0].rstrip()))


@cache
def expected(*texts: str) -> tuple[float, bool]:
    """The continuation's log probability by transformers, and whether it is the greedy one."""
    model = AutoModelForCausalLM.from_pretrained(BUNDLED_FOLDER, dtype=torch.float32)
    ids, seen = parted(*texts)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)[seen - 1 : -1]
    true = torch.tensor(ids[seen:])
    total = logits.gather(1, true[:, None]).sum()
    return float(total), bool((logits.argmax(-1) == true).all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_loglikelihoods_are_those_of_transformers(evaluated: Evaluated, backend: str) -> None:
    answers = evaluated.answers[backend]
    assert sorted(len(texts) for texts, _, _ in answers) == [1] * 3 + [2] * 6 * len(CHOICES)
    greedy = [expected(*texts)[1] for texts, _, _ in answers if len(texts) == 2]
    assert [found for texts, _, found in answers if len(texts) == 2] == greedy
    for texts, loglikelihood, _ in answers:
        assert loglikelihood == pytest.approx(expected(*texts)[0], abs=1e-3)


def test_tokens_and_requests_are_counted(evaluated: Evaluated) -> None:
    asked = [texts for backend in BACKENDS for texts, _, _ in evaluated.answers[backend]]
    counted = evaluated.counted
    assert counted["prodtop_requests_submitted_total"] == len(asked)
    assert counted["vllm:prompt_tokens_total"] == sum(len(parted(*texts)[0]) for texts in asked)
    # lm-eval asks for one token after each text.
    assert counted["prodtop_generation_tokens_total"] == len(asked)
