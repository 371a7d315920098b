"""What servers say as JSON beside their metrics: version, model, slots, loads.

Only the fields named here are read. Texts of users, as `/slots` may carry them, never leave
`read_answer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from ..protocol import EngineKind
from ..text.cleaning import clean
from .exposition import MOST_VALUE

MOST_JSON_BYTES: Final = 4 * 2**20
MOST_TEXT: Final = 256
"""Characters of a name or a version."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one JSON answer says. `fields` are numbers that tables may name; `kind` is told only by
    answers that no other engine gives."""

    kind: EngineKind | None = None
    version: str | None = None
    model: str | None = None
    context_tokens: int | None = None
    parameters: int | None = None
    vocabulary: int | None = None
    fields: Mapping[str, float] = field(default_factory=dict)


class _Lenient(msgspec.Struct, frozen=True):
    """Unknown fields are left; a known one of another type makes the answer unreadable."""


class _Version(_Lenient, frozen=True):
    version: str


class _ModelMeta(_Lenient, frozen=True):
    n_ctx_train: int | None = None
    n_vocab: int | None = None
    n_params: int | None = None


class _ModelCard(_Lenient, frozen=True):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    meta: _ModelMeta | None = None


class _Models(_Lenient, frozen=True):
    data: list[_ModelCard]


class _Generation(_Lenient, frozen=True):
    n_ctx: int | None = None


class _Props(_Lenient, frozen=True):
    total_slots: int
    model_path: str | None = None
    model_alias: str | None = None
    build_info: str | None = None
    default_generation_settings: _Generation = _Generation()


class _Slot(_Lenient, frozen=True):
    n_ctx: int
    is_processing: bool = False
    n_prompt_tokens: int | None = None


class _LoadMemory(_Lenient, frozen=True):
    weight_gb: float | None = None
    kv_cache_gb: float | None = None
    graph_gb: float | None = None


class _Load(_Lenient, frozen=True):
    num_running_reqs: float | None = None
    num_waiting_reqs: float | None = None
    num_used_tokens: float | None = None
    max_total_num_tokens: float | None = None
    max_running_requests: float | None = None
    token_usage: float | None = None
    gen_throughput: float | None = None
    memory: _LoadMemory | None = None


class _Loads(_Lenient, frozen=True):
    loads: list[_Load]
    version: str | None = None


class _ServerInfo(_Lenient, frozen=True):
    model_path: str
    version: str | None = None
    served_model_name: str | None = None
    context_length: int | None = None
    max_running_requests: int | None = None
    page_size: int | None = None


class _TgiInfo(_Lenient, frozen=True):
    model_id: str
    version: str | None = None
    max_concurrent_requests: int | None = None
    max_total_tokens: int | None = None
    max_batch_total_tokens: int | None = None


class _OllamaModel(_Lenient, frozen=True):
    name: str
    size_vram: int | None = None
    context_length: int | None = None


class _OllamaModels(_Lenient, frozen=True):
    models: list[_OllamaModel]


class _KvStats(_Lenient, frozen=True):
    maxNumBlocks: int | None = None  # noqa: N815 (TensorRT-LLM's name)
    usedNumBlocks: int | None = None  # noqa: N815
    tokensPerBlock: int | None = None  # noqa: N815


class _Iteration(_Lenient, frozen=True):
    numActiveRequests: int | None = None  # noqa: N815
    numQueuedRequests: int | None = None  # noqa: N815
    maxNumActiveRequests: int | None = None  # noqa: N815
    kvCacheStats: _KvStats | None = None  # noqa: N815


class _TritonServer(_Lenient, frozen=True):
    name: str
    version: str | None = None


class _OpenApi(_Lenient, frozen=True):
    paths: dict[str, msgspec.Raw]


_OWNERS: Final = {
    "vllm": EngineKind.VLLM,
    "sglang": EngineKind.SGLANG,
    "llamacpp": EngineKind.LLAMA_CPP,
    "library": EngineKind.OLLAMA,
    "prodtop": EngineKind.PRODTOP,
    "tensorrt_llm": EngineKind.TENSORRT_LLM,
    "nvidia": EngineKind.DYNAMO,
}


def _text(value: str | None) -> str | None:
    return clean(value)[:MOST_TEXT].strip() or None if value else None


def _natural(value: int | None) -> int | None:
    return value if value is not None and 0 < value < 2**53 else None


def _fields(**values: float | None) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if value is not None and 0 <= value <= MOST_VALUE
    }


def _ratio(part: int | None, whole: int | None) -> float | None:
    return min(1.0, max(0, part) / whole) if part is not None and whole and whole > 0 else None


def _models(found: _Models) -> Answer:
    names = sorted({name for card in found.data if (name := _text(card.id))})
    if not names:
        return Answer()
    first = min(found.data, key=lambda card: card.id)
    meta = first.meta or _ModelMeta()
    return Answer(
        kind=_OWNERS.get((first.owned_by or "").lower()),
        model=joined_names(names),
        context_tokens=_natural(first.max_model_len),
        parameters=_natural(meta.n_params) if len(names) == 1 else None,
        vocabulary=_natural(meta.n_vocab) if len(names) == 1 else None,
    )


def joined_names(names: list[str]) -> str:
    """`a`, `a and 1 more`: the models of one address."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _props(found: _Props) -> Answer:
    path = (found.model_path or "").replace("\\", "/").rpartition("/")[2]
    return Answer(
        kind=EngineKind.LLAMA_CPP,
        version=_text(found.build_info),
        model=_text(found.model_alias) or _text(path),
        context_tokens=_natural(found.default_generation_settings.n_ctx),
        fields=_fields(total_slots=found.total_slots),
    )


def _slots(found: list[_Slot]) -> Answer:
    """A slot's `n_prompt_tokens` are the tokens in its cache, those generated included."""
    context = sum(max(slot.n_ctx, 0) for slot in found)
    used = [slot.n_prompt_tokens for slot in found if slot.n_prompt_tokens is not None]
    share = min(1.0, max(0, sum(used)) / context) if used and context else None
    busy = sum(slot.is_processing for slot in found)
    return Answer(
        kind=EngineKind.LLAMA_CPP,
        fields=_fields(kv_usage=share, n_ctx=context or None, slots=len(found), processing=busy),
    )


def _loads(found: _Loads) -> Answer:
    def total(read: Callable[[_Load], float | None]) -> float | None:
        values = [value for each in found.loads if (value := read(each)) is not None]
        return sum(values) if values else None

    usage = total(lambda each: each.token_usage)

    def bytes_of(read: Callable[[_LoadMemory], float | None]) -> float | None:
        held = total(lambda each: None if each.memory is None else read(each.memory))
        return None if held is None else held * 2.0**30

    return Answer(
        kind=EngineKind.SGLANG,
        version=_text(found.version),
        fields=_fields(
            num_running_reqs=total(lambda each: each.num_running_reqs),
            num_waiting_reqs=total(lambda each: each.num_waiting_reqs),
            max_total_num_tokens=total(lambda each: each.max_total_num_tokens),
            max_running_requests=total(lambda each: each.max_running_requests),
            gen_throughput=total(lambda each: each.gen_throughput),
            token_usage=None if usage is None else min(1.0, usage / len(found.loads)),
            weight_bytes=bytes_of(lambda memory: memory.weight_gb),
            kv_cache_bytes=bytes_of(lambda memory: memory.kv_cache_gb),
            graph_bytes=bytes_of(lambda memory: memory.graph_gb),
        ),
    )


def _server_info(found: _ServerInfo) -> Answer:
    return Answer(
        kind=EngineKind.SGLANG,
        version=_text(found.version),
        model=_text(found.served_model_name) or _text(found.model_path),
        context_tokens=_natural(found.context_length),
        fields=_fields(max_running_requests=found.max_running_requests, page_size=found.page_size),
    )


def _tgi_info(found: _TgiInfo) -> Answer:
    return Answer(
        kind=EngineKind.TGI,
        version=_text(found.version),
        model=_text(found.model_id),
        context_tokens=_natural(found.max_total_tokens),
        fields=_fields(
            max_concurrent_requests=found.max_concurrent_requests,
            max_batch_total_tokens=found.max_batch_total_tokens,
        ),
    )


def _ollama_models(found: _OllamaModels) -> Answer:
    names = sorted({name for each in found.models if (name := _text(each.name))})
    held = [each.size_vram for each in found.models if each.size_vram is not None]
    contexts = {_natural(each.context_length) for each in found.models}
    return Answer(
        kind=EngineKind.OLLAMA,
        model=joined_names(names) if names else None,
        context_tokens=contexts.pop() if len(contexts) == 1 else None,
        fields=_fields(loaded_models=len(found.models), vram_bytes=sum(held) if held else None),
    )


def _iterations(found: list[_Iteration]) -> Answer:
    """TensorRT-LLM's statistics of the last iterations; the newest comes last."""
    if not found:
        return Answer()
    newest = found[-1]
    kv = newest.kvCacheStats or _KvStats()
    return Answer(
        kind=EngineKind.TENSORRT_LLM if newest.numActiveRequests is not None else None,
        fields=_fields(
            numActiveRequests=newest.numActiveRequests,
            numQueuedRequests=newest.numQueuedRequests,
            maxNumActiveRequests=newest.maxNumActiveRequests,
            maxNumBlocks=kv.maxNumBlocks,
            usedNumBlocks=kv.usedNumBlocks,
            tokensPerBlock=kv.tokensPerBlock,
            kvUsage=_ratio(kv.usedNumBlocks, kv.maxNumBlocks),
        ),
    )


def _openapi(found: _OpenApi) -> Answer:
    """`transformers serve` says nowhere what it is, but has these paths of its own."""
    own = {"/load_model", "/reset", "/v1/models"} <= found.paths.keys()
    return Answer(kind=EngineKind.TRANSFORMERS if own else None)


_Shape = TypeVar("_Shape")


def _as(shape: type[_Shape], read: Callable[[_Shape], Answer]) -> Callable[[bytes], Answer]:
    decoder = msgspec.json.Decoder(shape, strict=False)
    return lambda body: read(decoder.decode(body))


_READERS: Final[Mapping[str, Callable[[bytes], Answer]]] = {
    "/version": _as(_Version, lambda found: Answer(version=_text(found.version))),
    "/v1/models": _as(_Models, _models),
    "/props": _as(_Props, _props),
    "/slots": _as(list[_Slot], _slots),
    "/v1/loads": _as(_Loads, _loads),
    "/server_info": _as(_ServerInfo, _server_info),
    "/get_server_info": _as(_ServerInfo, _server_info),
    "/info": _as(_TgiInfo, _tgi_info),
    "/api/version": _as(
        _Version, lambda found: Answer(EngineKind.OLLAMA, version=_text(found.version))
    ),
    "/api/ps": _as(_OllamaModels, _ollama_models),
    "/metrics": _as(list[_Iteration], _iterations),
    "/openapi.json": _as(_OpenApi, _openapi),
    "/v2": _as(_TritonServer, lambda found: Answer(EngineKind.TRITON, _text(found.version))),
}


def read_answer(endpoint: str, body: bytes) -> Answer | None:
    """What a JSON answer says; `None` where it is no such answer, or over 4 MiB."""
    read = _READERS.get(endpoint.partition("?")[0])
    if read is None or len(body) > MOST_JSON_BYTES:
        return None
    try:
        return read(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
