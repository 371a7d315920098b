"""Choosing a model or a GPU type from a list that typing filters: a value, as the form is one."""

from dataclasses import dataclass, replace

from ...engine.planner.cost.hardware import Gpu, known_gpus
from ...engine.planner.question.parsers import SERVED
from ...engine.shape.model_shape import ModelShape
from ...engine.shape.presets import PRESETS
from ..style.formatting import MISSING, binary_bytes, si
from .form import LONGEST
from .units import parameters

MODEL_HEADINGS = ("model", "parameters", "layers × width", "in bf16")
GPU_HEADINGS = ("GPU", "memory", "bandwidth", "bf16 TFLOP/s", "per node")
PICKED = ("model", "gpu")
"""The fields that have a list."""
WEIGHT_BYTES = 2.0
"""Of a parameter in bf16: what the list says of a model's size."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line: what is taken, and what is said beside it, a text a column."""

    name: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picker:
    """A list under a filter. `cursor` is the place among those that match; behind them stands what
    was typed, where it is none of the names: a path, or a count of parameters."""

    title: str
    headings: tuple[str, ...]
    choices: tuple[Choice, ...]
    query: str = ""
    cursor: int = 0

    @property
    def matching(self) -> tuple[Choice, ...]:
        """The choices that have every word of the filter, those that begin with it first."""
        words = self.query.lower().split()
        found = [
            choice
            for choice in self.choices
            if all(word in " ".join((choice.name, *choice.facts)).lower() for word in words)
        ]
        found.sort(key=lambda choice: not choice.name.startswith(" ".join(words)))
        typed = self.query.strip()
        if typed and all(choice.name != typed for choice in self.choices):
            found.append(Choice(typed, ("as typed",)))
        return tuple(found)

    @property
    def taken(self) -> str:
        """What enter takes. With an empty filter there is always something."""
        return self.matching[self.cursor].name

    def typed(self, text: str) -> "Picker":
        """With more in the filter; the cursor goes to the first that matches."""
        printable = "".join(one for one in text if one.isprintable())
        return replace(self, query=(self.query + printable)[:LONGEST], cursor=0)

    def erased(self) -> "Picker":
        return replace(self, query=self.query[:-1], cursor=0)

    def emptied(self) -> "Picker":
        return replace(self, query="", cursor=0)

    def moved(self, steps: int) -> "Picker":
        last = len(self.matching) - 1
        return replace(self, cursor=min(max(0, self.cursor + steps), last))


def picker_for(key: str, current: str, served: ModelShape | None) -> Picker | None:
    """The list of a field's choices with the cursor on what stands there now; `None` for fields
    that have none. `served` is the model of the running engine."""
    if key == "model":
        served_choice = Choice(SERVED, _served_facts(served))
        presets = (_model_choice(name, shape) for name, shape in PRESETS.items())
        picker = Picker("Model", MODEL_HEADINGS, (served_choice, *presets))
    elif key == "gpu":
        choices = tuple(_gpu_choice(name, gpu) for name, gpu in known_gpus().items())
        picker = Picker("GPU", GPU_HEADINGS, choices)
    else:
        return None
    names = [choice.name for choice in picker.choices]
    return replace(picker, cursor=names.index(current) if current in names else 0)


def _model_choice(name: str, shape: ModelShape) -> Choice:
    return Choice(name, _model_facts(shape))


def _model_facts(shape: ModelShape) -> tuple[str, ...]:
    size = parameters(shape.parameters)
    if shape.active_parameters < shape.parameters:
        size = f"{size}, {parameters(shape.active_parameters)} active"
    return size, f"{shape.layers} × {shape.hidden}", binary_bytes(shape.parameters * WEIGHT_BYTES)


def _served_facts(served: ModelShape | None) -> tuple[str, ...]:
    return ("no engine is serving",) if served is None else _model_facts(served)


def _gpu_choice(name: str, gpu: Gpu) -> Choice:
    return Choice(
        name,
        (
            binary_bytes(gpu.memory_bytes),
            f"{gpu.hbm_bytes_s / 1e12:.2f} TB/s",
            f"{si(gpu.bf16_flops / 1e12)}" if gpu.bf16_flops else MISSING,
            f"{gpu.node_gpus}",
        ),
    )
