"""The load of a recording as a Mooncake trace: when requests came, and how long they were.

https://github.com/kvcache-ai/Mooncake: one JSON object a line, `timestamp` in ms. Which blocks of
prompts were alike is not recorded, so there are no `hash_ids`.
"""

import json
from collections.abc import Iterator

from ..recording.reader import Recording
from .session import ended_requests


def mooncake_lines(recording: Recording) -> Iterator[str]:
    """Requests by arrival, which is counted from the first. Those that failed before their first
    token are left out, and those whose length a server did not tell: how long they would have been
    is not known."""
    ended = sorted(ended_requests(recording), key=lambda each: each.began_s)
    told = [each for each in ended if each.request.output_tokens and each.request.prompt_tokens]
    for each in told:
        yield json.dumps(
            {
                "timestamp": round((each.began_s - told[0].began_s) * 1e3),
                "input_length": each.request.prompt_tokens,
                "output_length": each.request.output_tokens,
            }
        )
