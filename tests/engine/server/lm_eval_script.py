"""lm-eval's `local-completions` on tasks of a folder; prints each request's text and answer.

Called with the server's URL, the folder, the tokenizer's folder and the tasks' names.
"""

import json
import sys

import lm_eval
from lm_eval.tasks import TaskManager

URL, FOLDER, TOKENIZER, *TASKS = sys.argv[1:]
BACKENDS = {
    "huggingface": {"tokenizer": TOKENIZER},
    "remote": {},
}


def _answer(got: object) -> tuple[object, object]:
    """The log probability, and whether the text is the greedy one where that is told."""
    while isinstance(got, list) and len(got) == 1:
        (got,) = got
    return tuple(got) if isinstance(got, (list, tuple)) else (got, None)


def answers(backend: str) -> list[list[object]]:
    """`[texts, log probability, greedy]` of every request of the tasks; `backend` makes tokens."""
    results = lm_eval.simple_evaluate(
        model="local-completions",
        model_args={
            "model": "bundled",
            "base_url": f"{URL}/v1/completions",
            "tokenizer_backend": backend,
            "max_length": 1024,
            "num_concurrent": 4,
            **BACKENDS[backend],
        },
        tasks=TASKS,
        task_manager=TaskManager(include_path=FOLDER, include_defaults=False),
        bootstrap_iters=0,
    )
    return [
        [list(asked), *_answer(got)]
        for task in TASKS
        for sample in results["samples"][task]
        for asked, got in zip(sample["arguments"], sample["resps"], strict=True)
    ]


if __name__ == "__main__":
    print(json.dumps({backend: answers(backend) for backend in BACKENDS}))
