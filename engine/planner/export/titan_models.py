"""Which models torchtitan has under which name, and what it cannot do with them."""

from dataclasses import dataclass

from ...shape.model_shape import ModelShape
from ...shape.presets import PRESETS
from ...shape.variants import same_structure
from .contract import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class TitanModel:
    """A model of torchtitan's registry: `module` and `flavor`, and the preset of the same shape.

    assets: the folder that its download script fills. pipeline, context: whether it can be split
    that way. flex: attention by FlexAttention, whose context parallelism balances otherwise.
    """

    preset: str
    module: str
    flavor: str
    assets: str
    pipeline: bool = True
    context: bool = True
    flex: bool = False


def _family(
    module: str,
    flavors: dict[str, tuple[str, str]],
    *,
    pipeline: bool = True,
    context: bool = True,
    flex: bool = False,
) -> tuple[TitanModel, ...]:
    return tuple(
        TitanModel(
            preset=preset,
            module=module,
            flavor=flavor,
            assets=f"./assets/hf/{assets}",
            pipeline=pipeline,
            context=context,
            flex=flex,
        )
        for preset, (flavor, assets) in flavors.items()
    )


_LLAMA = {
    "llama-3.1-8b": ("8B", "Llama-3.1-8B"),
    "llama-3.1-70b": ("70B", "Llama-3.1-70B"),
    "llama-3.1-405b": ("405B", "Llama-3.1-405B"),
}
_SMALL_LLAMA = {
    "llama-3.2-1b": ("1B", "Llama-3.2-1B"),
    "llama-3.2-3b": ("3B", "Llama-3.2-3B"),
}
_QWEN = {
    "qwen3-0.6b": ("0.6B", "Qwen3-0.6B"),
    "qwen3-1.7b": ("1.7B", "Qwen3-1.7B"),
    "qwen3-4b": ("4B", "Qwen3-4B"),
    "qwen3-8b": ("8B", "Qwen3-8B"),
    "qwen3-14b": ("14B", "Qwen3-14B"),
    "qwen3-32b": ("32B", "Qwen3-32B"),
    "qwen3-30b-a3b": ("30B-A3B", "Qwen3-30B-A3B"),
    "qwen3-235b-a22b": ("235B-A22B", "Qwen3-235B-A22B"),
}
_DEEPSEEK = {
    "deepseek-v2-lite": ("16B", "deepseek-moe-16b-base"),
    "deepseek-v3": ("671B", "DeepSeek-V3.1-Base"),
}
_GPT_OSS = {
    "gpt-oss-20b": ("20b", "gpt-oss-20b"),
    "gpt-oss-120b": ("120b", "gpt-oss-120b"),
}

MODELS_0_2 = (
    *_family("llama3", _LLAMA),
    *_family("qwen3", _QWEN, pipeline=False),
    *_family("deepseek_v3", _DEEPSEEK, context=False),
    *_family("gpt_oss", _GPT_OSS, pipeline=False, context=False),
)
"""Version 0.2.2: Qwen3 and GPT-OSS have no pipelining function, and context parallelism works with
the plain attention kernel only."""

MODELS_0_3 = (
    *_family("llama3", {**_SMALL_LLAMA, **_LLAMA}, flex=True),
    *_family("qwen3", _QWEN, flex=True),
    *_family("deepseek_v3", _DEEPSEEK, flex=True),
    *_family("gpt_oss", _GPT_OSS, context=False),
)
"""Version 0.3.0 and later: FlexAttention by default; GPT-OSS attends with variable lengths, which
context parallelism does not split."""


def titan_model(engine: Engine, shape: ModelShape, known: tuple[TitanModel, ...]) -> TitanModel:
    """The registry's model of exactly this shape; raises `InexpressibleError` where there is none.

    Only the shape counts, not the name: Llama 3, 3.1 and 3.3 of one size are the same model.
    """
    for entry in known:
        if same_structure(PRESETS[entry.preset], shape):
            return entry
    names = ", ".join(entry.preset for entry in known)
    raise engine.refusal("model", f"has no flavor of the shape of {shape.name}; it has {names}")
