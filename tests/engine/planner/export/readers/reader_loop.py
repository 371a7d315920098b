"""The loop of every reader: a JSON line with a text comes in, what the engine read goes out."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from unittest.mock import MagicMock

Answer = dict[str, object]
Read = Callable[[str, int], Answer]
"""Reads a text for a world of so many ranks."""


def leave_out(modules: Sequence[str]) -> None:
    """Put dummies in the place of `modules`, which the engine imports and its parser never uses."""
    for name in modules:
        sys.modules[name] = MagicMock()


REFUSALS = (
    *(AssertionError, AttributeError, KeyError, RuntimeError),
    *(SystemExit, TypeError, ValueError),
)
"""How engines say that they do not take a configuration."""


def serve(read: Read) -> None:
    """Answer until the end of input; what an engine refuses is answered with its words."""
    with os.fdopen(int(sys.argv[1]), "w") as answers:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = read(request["text"], request["world"])
            except REFUSALS as error:
                answer = {"refused": f"{type(error).__name__}: {error}"}
            json.dump(answer, answers)
            answers.write("\n")
            answers.flush()
