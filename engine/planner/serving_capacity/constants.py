"""The constants of `serving.toml`: what a serving engine reaches of a GPU."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from ...shape.field_errors import FieldError


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
        constants = msgspec.convert(tomllib.loads(text), type=ServingConstants)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FieldError("serving constants", f"{source}: {error}") from error
    values = {**vars(constants.engine), **constants.copy}
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise FieldError(name, f"{source}: must be a finite number above 0, found {value}")
    if "default" not in constants.copy:
        raise FieldError("copy", f"{source}: a default is missing")
    return constants
