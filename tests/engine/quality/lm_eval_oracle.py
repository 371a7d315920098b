"""lm-eval's own windows and figures, in a process of its own: a JSON line in, a JSON line out.

Its package wants much that is never used here: a dummy stands for that.
"""

import importlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

sys.modules["sacrebleu"] = MagicMock()
UTILS = importlib.import_module("lm_eval.utils")
METRICS = importlib.import_module("lm_eval.api.metrics")
WIKITEXT = runpy.run_path(
    str(Path(str(UTILS.__file__)).parent / "tasks" / "wikitext" / "preprocess_wikitext.py")
)
"""From its file, as lm-eval reads it as well: the package around it wants more."""
AGGREGATIONS = {
    "word_perplexity": METRICS.weighted_perplexity,
    "byte_perplexity": METRICS.weighted_perplexity,
    "bits_per_byte": METRICS.bits_per_byte,
}
"""As `tasks/wikitext/wikitext.yaml` and the metrics' registration have them."""


def windows(ids: list[int], prefix: int, longest: int) -> list[list[list[int]]]:
    """What each window sees and what it predicts, as `HFLM.loglikelihood_rolling` cuts them."""
    found = UTILS.get_rolling_token_windows(ids, prefix, max_seq_len=longest, context_len=1)
    return [list(UTILS.make_disjoint_window(pair)) for pair in found]


def figures(page: str, loglikelihood: float) -> dict[str, float]:
    """The figures of one document, as the task `wikitext` reports them."""
    items = WIKITEXT["process_results"]({"page": page}, [loglikelihood])
    return {name: AGGREGATIONS[name]([item]) for name, item in items.items()}


CALLS: dict[str, Callable[..., object]] = {"windows": windows, "figures": figures}

for line in sys.stdin:
    call, *arguments = json.loads(line)
    print(json.dumps(CALLS[call](*arguments)), flush=True)
