"""Which models torchtitan has under which name, and what it cannot do with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from ...files.toml_text import parse_toml
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


class _Family(msgspec.Struct):
    """Models of one module: flavor and assets by preset, and what they can be split by."""

    module: str
    flavors: dict[str, tuple[str, str]]
    pipeline: bool = True
    context: bool = True
    flex: bool = False

    def models(self) -> Iterator[TitanModel]:
        """Each flavor by itself."""
        for preset, (flavor, assets) in self.flavors.items():
            yield TitanModel(
                preset=preset,
                module=self.module,
                flavor=flavor,
                assets=f"./assets/hf/{assets}",
                pipeline=self.pipeline,
                context=self.context,
                flex=self.flex,
            )


def _registry() -> dict[str, tuple[TitanModel, ...]]:
    text = files(__package__).joinpath("titan_models.toml").read_text(encoding="utf-8")
    found = msgspec.convert(parse_toml(text), type=dict[str, list[_Family]])
    return {
        release: tuple(model for family in families for model in family.models())
        for release, families in found.items()
    }


MODELS_0_2, MODELS_0_3 = (_registry()[release] for release in ("0.2", "0.3"))


def titan_model(engine: Engine, shape: ModelShape, known: tuple[TitanModel, ...]) -> TitanModel:
    """The registry's model of exactly this shape; raises `InexpressibleError` where there is none.

    Only the shape counts, not the name: Llama 3, 3.1 and 3.3 of one size are the same model.
    """
    for entry in known:
        if same_structure(PRESETS[entry.preset], shape):
            return entry
    names = ", ".join(entry.preset for entry in known)
    raise engine.refusal("model", f"has no flavor of the shape of {shape.name}; it has {names}")
