"""The frame of a server that tells little, for tests of what is measured beside it."""

from frame_samples import frame
from prodtop.engine.protocol import Attached, EngineKind, Frame, Queue, SloSpec, Throughput

_SILENT = Throughput(
    prefill_tok_s=None,
    decode_tok_s=None,
    cached_tok_s=None,
    requests_per_s=None,
    arrivals_per_s=None,
    steps_per_s=None,
)


def attached_frame(**changes: object) -> Frame:
    """It has no metrics; its TTFT is to be below a minute."""
    told: dict[str, object] = {
        "attached": Attached(kind=EngineKind.OLLAMA, url="http://x", name="x"),
        "strategy": None,
        "precision": None,
        "throughput": _SILENT,
        "latency": {},
        "queue": Queue(running=None, waiting=None, preemptions=None),
        "accounting": None,
        "generated_tokens_total": None,
        "slo": SloSpec(ttft_ms=60_000.0),
    }
    return frame(**{**told, **changes})
