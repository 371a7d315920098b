"""A server that prodtop watches and does not run: what it is, and where its figures come from."""

from enum import StrEnum

from .message import Message, Part


class EngineKind(StrEnum):
    """The serving engines that are recognised."""

    PRODTOP = "prodtop"
    VLLM = "vLLM"
    SGLANG = "SGLang"
    TENSORRT_LLM = "TensorRT-LLM"
    TRITON = "Triton TensorRT-LLM"
    TGI = "TGI"
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "Ollama"
    DYNAMO = "Dynamo"
    RAY_SERVE = "Ray Serve"
    TRANSFORMERS = "transformers serve"
    UNKNOWN = "unknown"


class Figure(StrEnum):
    """What a frame can tell of a server, by the name that the screen uses for it."""

    RUNNING = "running"
    WAITING = "waiting"
    KV_USAGE = "KV usage"
    KV_SIZE = "KV size"
    PREFIX_HITS = "prefix hit rate"
    PREFILL_TOK_S = "prefill tok/s"
    CACHED_TOK_S = "cached tok/s"
    DECODE_TOK_S = "decode tok/s"
    REQUESTS_PER_S = "req/s"
    ARRIVALS_PER_S = "arrivals/s"
    REJECTED_PER_S = "rejected/s"
    STEPS_PER_S = "steps/s"
    BATCH_ROWS = "rows per step"
    TTFT = "TTFT"
    TTFB = "TTFB"
    ITL = "ITL"
    TPOT = "TPOT"
    E2E = "E2E"
    QUEUE_TIME = "queue time"
    FINISHED = "finished"
    FAILED = "failed"
    PREEMPTIONS = "preemptions"
    ACCEPTANCE = "draft acceptance"
    MBU = "MBU"
    MFU = "MFU"
    MEMORY = "memory"
    MODEL = "model"
    MAX_SEQS = "max seqs"
    GPU = "GPU"


class Origin(Part, frozen=True, kw_only=True):
    """Where a figure comes from: `expression` in the words of the source, with its metric's names
    and labels (`rate(vllm:generation_tokens_total)`), and how old it was when the frame was made.

    `missing`: why there is no figure; `None` where there is one.
    """

    expression: str = ""
    age_s: float | None = None
    missing: str | None = None


class Unit(StrEnum):
    """What a further figure counts."""

    COUNT = ""
    SHARE = "share"
    MILLISECONDS = "ms"
    BYTES = "B"
    PER_S = "/s"
    TOKENS_PER_S = "tok/s"
    BYTES_PER_S = "B/s"


class FurtherFigure(Part, frozen=True, kw_only=True):
    """A figure that some engines tell and no panel has a place for: LoRA adapters, KV blocks on the
    host, the phases of a request. `expression` and `age_s` as in `Origin`."""

    name: str
    value: float
    unit: Unit
    expression: str
    age_s: float


class Attached(Part, frozen=True, kw_only=True):
    """The server behind a frame. `name` is what the user calls it, or its address.

    `scraped_per_s` is how often it is asked now, after any back-off; `scrape_ms` how long the last
    answer took. `ranks`: data-parallel engines whose figures were added up.
    """

    kind: EngineKind
    url: str
    name: str
    version: str | None = None
    ranks: int = 1
    scraped_per_s: float | None = None
    scrape_ms: float | None = None
    origins: dict[Figure, Origin] = {}
    further: list[FurtherFigure] = []


class ServerDown(Message, frozen=True, kw_only=True):
    """The server that is watched does not answer, or not as it should. `retry_in_s`: then it is
    asked again. `name`: as in `Attached`, here and below."""

    name: str
    reason: str
    retry_in_s: float


class ServerBack(Message, frozen=True, kw_only=True):
    """It answers again."""

    name: str


class ServerProcess(Message, frozen=True, kw_only=True):
    """The server runs on this machine, as this process: its GPU can be looked at."""

    name: str
    pid: int
