"""One way to serve a model: on these GPUs, at this precision, with these constants."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files

import msgspec

from ...files.toml_text import UnreadableTomlError, parse_toml
from ...shape.field_errors import FieldError, positive
from ...shape.model_shape import ModelShape
from ..cost.calibration import Calibration, default_constants
from ..cost.hardware import Cluster, Gpu
from ..cost.setting import Setting
from .storage import Storage, check_split, storage_of


@dataclass(frozen=True, kw_only=True)
class EngineConstants:
    """One serving engine's constants; `serving.toml` says where each comes from.

    Shares are of the copy bandwidth that a GPU reaches. `*_kernels` are kernels a layer beside its
    products. `int8_weights_s` and `int4_weights_s` are weights per second and SM that a weight-only
    kernel converts.
    """

    weights_share: float
    experts_share: float
    kv_share: float
    products: float
    wave: float
    kernel_s: float
    layer_kernels: float
    qk_norm_kernels: float
    fp8_kernels: float
    moe_kernels: float
    elementwise: float
    fp8_cast: float
    step_s: float
    sequence_s: float
    request_s: float
    all_reduce_s: float
    int8_weights_s: float
    int4_weights_s: float
    chunk_tokens: int
    reserve_share: float
    graph_bytes: float


@dataclass(frozen=True)
class ServingConstants:
    """All of `serving.toml`. `copy` is the share of its memory bandwidth that a GPU copies at."""

    engine: EngineConstants
    copy: Mapping[str, float]

    def copy_share(self, gpu: str) -> float:
        """Of the GPU type called `gpu`, or the default where none was measured."""
        return self.copy.get(gpu, self.copy["default"])


@cache
def serving_constants() -> ServingConstants:
    """The packaged constants."""
    text = files(__package__).joinpath("serving.toml").read_text(encoding="utf-8")
    return parse_serving(text, "serving.toml")


def parse_serving(text: str, source: str) -> ServingConstants:
    """Read constants from TOML; raises `FieldError` for a missing or absurd one."""
    try:
        constants = msgspec.convert(parse_toml(text), type=ServingConstants)
    except (UnreadableTomlError, msgspec.ValidationError) as error:
        raise FieldError("serving constants", f"{source}: {error}") from error
    values = {**vars(constants.engine), **constants.copy}
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise FieldError(name, f"{source}: must be a finite number above 0, found {value}")
    if "default" not in constants.copy:
        raise FieldError("copy", f"{source}: a default is missing")
    return constants


MOST_TOKENS_A_STEP = 64.0
"""Of a request: no method that guesses has been published with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests in flight at a time, each with so many prompt and output tokens.

    speculation: tokens that one decode step brings a request, 1 without guesses; what the guesses
    cost is the caller's to take off. disaggregated: prompts are computed by servers of their own.
    """

    requests: int = 32
    prompt_tokens: int = 512
    output_tokens: int = 256
    speculation: float = 1.0
    disaggregated: bool = False

    def __post_init__(self) -> None:
        positive("requests", self.requests)
        positive("prompt tokens", self.prompt_tokens)
        positive("output tokens", self.output_tokens)
        if not 1 <= self.speculation <= MOST_TOKENS_A_STEP:
            raise FieldError("speculation", f"must lie between 1 and {MOST_TOKENS_A_STEP:g}")

    @property
    def context_tokens(self) -> int:
        """Tokens of a request at its end."""
        return self.prompt_tokens + self.output_tokens

    @property
    def mean_context_tokens(self) -> float:
        """Tokens of a request halfway through its output."""
        return self.prompt_tokens + self.output_tokens / 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Server:
    """`model` on `gpus` GPUs of one node by tensor parallelism.

    `measured`: constants of the GPU and the share of its bandwidth that a copy reaches, as the
    packaged files or a calibration of this machine have them.
    """

    model: ModelShape
    gpu: Gpu
    gpus: int
    storage: Storage
    engine: EngineConstants
    measured: Calibration

    @cached_property
    def setting(self) -> Setting:
        """The same for the planner's products and passes: one layer's forward work."""
        constants = default_constants()
        software = replace(
            constants.profile("torch-compile"),
            name="serving",
            label="a serving engine",
            attention="flash3",
            elementwise=self.engine.elementwise,
            fp8_cast=self.engine.fp8_cast,
        )
        return Setting(
            model=self.model,
            cluster=Cluster(gpu=self.gpu, gpus=self.gpus, node_gpus=self.gpu.node_gpus),
            sequence=1,
            software=software,
            constants=constants,
            calibration=self.measured,
        )

    @property
    def copy_bytes_s(self) -> float:
        """What a plain copy reaches on one GPU, read and written bytes together."""
        return self.gpu.hbm_bytes_s * self.measured.hbm


def server(
    model: ModelShape,
    gpu: Gpu,
    gpus: int,
    precision: str | Storage,
    *,
    constants: ServingConstants | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Server:
    """A server; `calibrations`, by GPU key, are constants measured on machines at hand.

    Raises:
        FieldError: the GPUs cannot share the model, or lack the precision.
    """
    chosen = constants or serving_constants()
    storage = precision if isinstance(precision, Storage) else storage_of(precision)
    check_split(model, gpu, positive("gpus", gpus), storage)
    engine = chosen.engine
    own = (calibrations or {}).get(gpu.key)
    if own is None:
        packaged = default_constants().gpu(gpu.key)
        own = replace(
            packaged,
            hbm=chosen.copy_share(gpu.key),
            gemm_bf16=min(1.0, packaged.gemm_bf16 * engine.products),
            gemm_fp8=min(1.0, packaged.gemm_fp8 * engine.products),
        )
    return Server(
        model=model,
        gpu=gpu,
        gpus=gpus,
        storage=storage,
        engine=engine,
        measured=replace(own, gemm_wave=engine.wave, kernel_s=engine.kernel_s),
    )
