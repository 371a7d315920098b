"""The three scenarios that one key sets up: 1B, 7B and 70B on 32 GPUs."""

from collections.abc import Mapping

from ...engine.planner.question.options import FORM, SERVING

_FIRST = {key: line.first for key, line in FORM.items() if line.group != SERVING}
"""The first form is a 7B model on 32 GPUs. What to serve it with stays as it is."""

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "1B": _FIRST | {"model": "generic-1b", "tokens": "100B", "micro_batch": "4"},
    "7B": _FIRST,
    "70B": _FIRST
    | {
        "model": "generic-70b",
        "batch": "128",
        "tokens": "2T",
        "tp": "8",
        "pp": "2",
        "recompute": "selective",
    },
}
