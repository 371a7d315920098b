"""Which engine answers, by the names of its metrics or by what its JSON says, and its table."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from ...protocol import EngineKind
from .dynamo import DYNAMO, DYNAMO_WORKER, PREFIX
from .engine_map import EngineMap
from .llama_cpp import LLAMA_CPP
from .prodtop import PRODTOP
from .ray_serve import RAY_SERVE, RAY_SERVE_ALONE
from .sglang import SGLANG
from .source import known
from .tensorrt_llm import TENSORRT_LLM
from .tgi import TGI
from .triton import TRITON
from .vllm import VLLM
from .without_metrics import OLLAMA, TRANSFORMERS, UNKNOWN

TABLES: Final[Mapping[EngineKind, EngineMap]] = {
    EngineKind.PRODTOP: PRODTOP,
    EngineKind.VLLM: VLLM,
    EngineKind.SGLANG: SGLANG,
    EngineKind.TENSORRT_LLM: TENSORRT_LLM,
    EngineKind.TRITON: TRITON,
    EngineKind.TGI: TGI,
    EngineKind.LLAMA_CPP: LLAMA_CPP,
    EngineKind.OLLAMA: OLLAMA,
    EngineKind.DYNAMO: DYNAMO,
    EngineKind.RAY_SERVE: RAY_SERVE,
    EngineKind.TRANSFORMERS: TRANSFORMERS,
    EngineKind.UNKNOWN: UNKNOWN,
}

_WORKERS: Final = {
    "vllm_": VLLM.extended(DYNAMO_WORKER, EngineKind.DYNAMO),
    "sglang_": SGLANG.extended(DYNAMO_WORKER, EngineKind.DYNAMO),
    "trtllm_": TENSORRT_LLM.extended(DYNAMO_WORKER, EngineKind.DYNAMO),
}
"""A Dynamo worker passes its engine's metrics on, beside its own."""

_PREFIXES: Final = (
    ("prodtop_engine_", PRODTOP),
    ("prodtop_requests_", PRODTOP),
    ("sglang_", SGLANG),
    ("vllm_", VLLM),
    ("trtllm_", TENSORRT_LLM),
    ("nv_trt_llm_", TRITON),
    ("nv_inference_", TRITON),
    ("tgi_", TGI),
    ("llamacpp_", LLAMA_CPP),
)
_PROTOCOL: Final = ("num_requests_waiting", "num_requests_running")
"""What Kubernetes' model server protocol asks for, under whatever prefix: vLLM's words."""
_DYNAMO_ONLY: Final = ("disconnected_clients", "input_sequence_tokens_sum")
"""Dynamo's frontend has both, whatever its prefix is."""


class Scrape(Protocol):
    """What is asked of an exposition."""

    @property
    def names(self) -> Iterable[str]:
        """The canonical names of its metrics."""

    def raw_name(self, name: str) -> str:
        """How the server writes a canonical name."""

    def alias(self, prefix: str, usual: str) -> None:
        """Enter the metrics under another prefix, too."""


def recognise(scrape: Scrape) -> EngineMap | None:
    """The table for a scrape, whose names are made those of the table; `None` for an unknown one.

    `prodtop serve` also has vLLM's names, Ray's and Dynamo's servers those of the engine inside:
    the outermost one counts.
    """
    names = set(scrape.names)
    firsts = {name.partition("_")[0] for name in names}
    prefixes = {
        prefix
        for prefix, _ in _PREFIXES
        if prefix.partition("_")[0] in firsts and any(n.startswith(prefix) for n in names)
    }
    if "prodtop_engine_" in prefixes or "prodtop_requests_" in prefixes:
        return PRODTOP
    ray = _ray(scrape, names, has_vllm="vllm_" in prefixes)
    if ray is not None:
        return ray
    dynamo = _dynamo(scrape, names, prefixes)
    if dynamo is not None:
        return dynamo
    for prefix, table in _PREFIXES:
        if prefix in prefixes:
            return table
    for name in sorted(names):
        for ending in _PROTOCOL:
            if name.endswith(f"_{ending}"):
                scrape.alias(name.removesuffix(ending), "vllm_")
                return _PROTOCOL_TABLE
    if any(name.startswith("gen_ai_server_") for name in names):
        return UNKNOWN
    return None


_PROTOCOL_TABLE: Final = VLLM.extended(UNKNOWN, EngineKind.UNKNOWN).explained(
    dict.fromkeys(UNKNOWN.absent, "not exported by this server"), UNKNOWN.endpoints
)


def _ray(scrape: Scrape, names: set[str], *, has_vllm: bool) -> EngineMap | None:
    if has_vllm and any(
        scrape.raw_name(name).startswith("ray_") for name in names if name.startswith("vllm_")
    ):
        return RAY_SERVE
    if any(scrape.raw_name(n).startswith("ray_serve_") for n in names if n.startswith("serve_")):
        return RAY_SERVE_ALONE
    return None


def _dynamo(scrape: Scrape, names: set[str], prefixes: set[str]) -> EngineMap | None:
    usual = known(PREFIX)
    if any(name.startswith(usual) for name in names):
        return DYNAMO
    first, second = _DYNAMO_ONLY
    for name in sorted(names):
        prefix = name.removesuffix(first)
        if prefix != name and prefix + second in names:
            scrape.alias(prefix, usual)
            return DYNAMO
    if any(name.startswith("dynamo_") for name in names):
        worker = next((each for each in _WORKERS if each in prefixes), None)
        return DYNAMO if worker is None else _WORKERS[worker]
    return None
