"""Servers that export no metrics, or none that is known: what is left, and why the rest is not."""

from typing import Final

from ...protocol import EngineKind, Figure
from .engine_map import Endpoint, EngineMap
from .source import spread
from .vllm import MODELS, VERSION

_OURS: Final = frozenset({Figure.MODEL, Figure.GPU})


def _absent(reason: str, *told: Figure) -> dict[Figure, str]:
    return {figure: reason for figure in Figure if figure not in told and figure not in _OURS}


OLLAMA: Final = EngineMap(
    kind=EngineKind.OLLAMA,
    absent={
        **_absent("Ollama has no metrics: use --proxy or --probe"),
        Figure.MEMORY: "Ollama tells a model's memory as a whole only",
    },
    endpoints=(Endpoint("/api/version", 60.0), Endpoint("/api/ps", 5.0)),
)

TRANSFORMERS: Final = EngineMap(
    kind=EngineKind.TRANSFORMERS,
    absent=_absent("transformers serve has no metrics: use --proxy or --probe"),
    endpoints=(MODELS,),
)

UNKNOWN: Final = EngineMap(
    kind=EngineKind.UNKNOWN,
    ttft=spread("gen_ai_server_time_to_first_token_seconds", "gen_ai_server_time_to_first_token"),
    tpot=spread(
        "gen_ai_server_time_per_output_token_seconds", "gen_ai_server_time_per_output_token"
    ),
    e2e=spread("gen_ai_server_request_duration_seconds", "gen_ai_server_request_duration"),
    model_labels=("gen_ai_request_model", "model_name", "model"),
    absent=_absent("no metrics that are known: use --proxy or --probe"),
    endpoints=(
        VERSION,
        MODELS,
        *(
            Endpoint(path, 60.0)
            for path in ("/props", "/info", "/api/version", "/server_info", "/openapi.json")
        ),
    ),
)
"""OpenTelemetry's names for servers of generative AI, and the questions that tell engines apart."""
