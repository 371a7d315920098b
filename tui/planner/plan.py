"""The plan that the form's texts ask for; errors keep the field that they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from ...engine.planner.cost.hardware import Cluster
from ...engine.planner.cost.layout import Layout, check_layout
from ...engine.planner.cost.setting import Setting
from ...engine.planner.question.options import SERVE_AT
from ...engine.planner.question.parsers import ALL, AUTO
from ...engine.planner.question.question import (
    Question,
    Reader,
    ReferenceData,
    read_load,
    read_question,
)
from ...engine.planner.search.constraints import Constraints
from ...engine.planner.search.legal import Shape, Sharding, Split, build
from ...engine.planner.serving_capacity.server import Load
from ...engine.planner.serving_capacity.storage import Storage, storage_of
from ...engine.protocol.wording import counted
from ...engine.shape.field_errors import FieldError
from ...engine.shape.model_shape import ModelShape

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Plan:
    """A model on a cluster under one layout, and what it is judged by.

    `tokens` to train on in all; `price` in US dollars per GPU and hour where there is one; `load`
    and `storage` are what to serve the model with.
    """

    setting: Setting
    constraints: Constraints
    layout: Layout
    tokens: float
    price: float | None
    load: Load
    storage: Storage

    @property
    def model(self) -> ModelShape:
        return self.setting.model

    @property
    def cluster(self) -> Cluster:
        return self.setting.cluster

    @property
    def batch(self) -> int:
        """Sequences of the global batch."""
        return self.constraints.batch

    @property
    def limit_bytes(self) -> float:
        """The memory per GPU to stay within."""
        return self.constraints.limit_bytes(self.cluster.gpu.memory_bytes)


def read_plan(texts: Mapping[str, str], data: ReferenceData, touched: str = "") -> Plan:
    """What the form's `texts` ask for.

    `touched` is the field that was changed last: where fields disagree it gets the blame.

    Raises:
        QuestionError: with the reason for each wrong field.
    """
    reader = Reader(texts, touched)
    load, storage = read_load(reader), storage_of(reader.read(SERVE_AT))
    question = read_question(reader, data)
    with reader.blaming_options():
        return Plan(
            setting=question.setting,
            constraints=question.constraints,
            layout=_layout(question),
            tokens=_given("tokens", question.tokens),
            price=question.price,
            load=load,
            storage=storage,
        )


def _layout(question: Question) -> Layout:
    """The layout that the form fixes: the replicas that the cluster holds, and the micro-batches
    that each runs in a step, follow."""
    setting, fixed = question.setting, question.constraints
    gpus, batch = setting.cluster.gpus, fixed.batch
    tp, pp, cp = _given("tp", fixed.tp), _given("pp", fixed.pp), _given("cp", fixed.cp)
    micro_batch = _given("micro_batch", fixed.micro_batch)
    dp, rest = divmod(gpus, tp * pp * cp)
    if rest:
        factors = f"tensor {tp} × pipeline {pp} × context {cp}"
        raise FieldError("dp", f"{counted(gpus, 'GPU')} cannot be split by {factors}")
    micro_batches, rest = divmod(batch, dp * micro_batch)
    if rest:
        split = f"{counted(dp, 'replica')} × micro-batches of {micro_batch}"
        raise FieldError("batch", f"{counted(batch, 'sequence')} cannot be split into {split}")
    layout = build(
        setting,
        fixed,
        Split(dp, tp, pp, cp, _given("ep", fixed.ep)),
        Sharding(_given("zero", fixed.zero), _given("dp_shard", fixed.dp_shard)),
        Shape(
            micro_batch,
            micro_batches,
            _given("vp", fixed.vp),
            _given("recompute", fixed.recompute),
            fixed.recompute_layers,
        ),
    )
    check_layout(layout, setting.model, setting.cluster, setting.sequence, batch)
    return layout


def _given(field: str, value: _Value | None) -> _Value:
    """What the form must fix."""
    if value is None:
        raise FieldError(field, "must be given here: it is the search that leaves it open")
    return value


def layout_texts(layout: Layout) -> dict[str, str]:
    """A layout as the form writes it, so that one that was found can be taken over."""
    same = ("tp", "pp", "vp", "cp", "ep", "micro_batch", "zero")
    return {
        **{key: str(getattr(layout, key)) for key in same},
        "dp_shard": str(layout.dp_shard or ALL),
        "sequence_parallel": AUTO if layout.sequence_parallel or layout.tp == 1 else "off",
        "recompute": layout.recomputation,
        "schedule": layout.schedule,
        "offload": layout.offload,
    }
