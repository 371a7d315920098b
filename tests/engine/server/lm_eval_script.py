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


def answers(backend: str) -> list[list[object]]:
    """`[context, continuation, what it got]` of every request of the tasks, by their tokens'
    `backend`."""
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
        [*pair[-2:], answer]
        for task in TASKS
        for sample in results["samples"][task]
        for pair, (answer,) in zip(sample["arguments"], sample["resps"], strict=True)
    ]


if __name__ == "__main__":
    print(json.dumps({backend: answers(backend) for backend in BACKENDS}))
