"""Every engine by the key that a user names it with."""

from collections.abc import Callable, Mapping

from ...shape.field_errors import FieldError
from ..cost.layout import Layout
from ..cost.setting import Setting
from .accelerate import export_accelerate
from .contract import Export, TrainingRun
from .deepspeed import export_deepspeed
from .megatron import export_megatron
from .torchtitan_python import export_titan_main, export_titan_release
from .torchtitan_toml import export_titan_toml

Exporter = Callable[[Setting, Layout, TrainingRun], Export]

ENGINES: Mapping[str, Exporter] = {
    "torchtitan": export_titan_release,
    "torchtitan-main": export_titan_main,
    "torchtitan-0.2.2": export_titan_toml,
    "megatron": export_megatron,
    "deepspeed": export_deepspeed,
    "accelerate": export_accelerate,
}


def export(engine: str, setting: Setting, layout: Layout, run: TrainingRun) -> Export:
    """`layout` as the configuration of `engine`, a key of `ENGINES`.

    Raises:
        FieldError: there is no such engine, or the layout cannot be run.
        InexpressibleError: the engine has no way to say it; names the field and why.
    """
    exporter = ENGINES.get(engine)
    if exporter is None:
        known = ", ".join(ENGINES)
        raise FieldError("engine", f"unknown engine {engine!r}: choose from {known}")
    return exporter(setting, layout, run)
