"""One way to serve a model: on these GPUs, at this precision, with these constants."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ...shape.field_errors import positive
from ...shape.model_shape import ModelShape
from ..cost.calibration import Calibration, default_constants
from ..cost.hardware import Cluster, Gpu
from ..cost.setting import Setting
from .constants import EngineConstants, ServingConstants, serving_constants
from .storage import Storage, check_split, storage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests in flight at a time, each with so many prompt and output tokens."""

    requests: int = 32
    prompt_tokens: int = 512
    output_tokens: int = 256

    def __post_init__(self) -> None:
        positive("requests", self.requests)
        positive("prompt tokens", self.prompt_tokens)
        positive("output tokens", self.output_tokens)

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
