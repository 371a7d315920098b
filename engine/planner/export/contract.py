"""What an export is, what it is made from, and how an engine refuses a layout."""

from dataclasses import dataclass

from ...protocol.wording import counted
from ...shape.field_errors import FieldError, positive, positive_number
from ...text.cleaning import clean
from ..cost.hardware import Cluster
from ..cost.layout import Layout, check_layout
from ..cost.setting import Setting

HEAD_NODE = "$HEAD_NODE"
PORT = 29500

HEAD_NOTE = "Set HEAD_NODE to the first node's address, and start the line on every node."


def torchrun(cluster: Cluster, program: str) -> str:
    """`torchrun` over all of `cluster`, for `program` with its arguments.

    One node finds itself; more meet at the first one (torchrun's c10d rendezvous).
    """
    if cluster.nodes == 1:
        return f"torchrun --standalone --nproc_per_node {cluster.gpus} {program}"
    return (
        f"torchrun --nnodes {cluster.nodes} --nproc_per_node {cluster.node_gpus}"
        f" --rdzv_id prodtop --rdzv_backend c10d --rdzv_endpoint {HEAD_NODE}:{PORT} {program}"
    )


def launch_notes(cluster: Cluster) -> tuple[str, ...]:
    """What to know about the line: nothing on a single node."""
    return (HEAD_NOTE,) if cluster.nodes > 1 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """What a configuration needs beside the layout. `learning_rate` is the peak; it is no advice.

    `script` is the user's own training script, for the engines that bring none. Raises `FieldError`
    for values that are none.
    """

    steps: int = 1000
    learning_rate: float = 3e-4
    script: str = "train.py"

    def __post_init__(self) -> None:
        positive("steps", self.steps)
        positive_number("learning_rate", self.learning_rate)
        if not self.script.strip() or clean(self.script) != self.script:
            raise FieldError("script", "must be the name of a file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One engine's configuration of one layout.

    version: of the engine whose form this is. launch: the shell line for every node, which reads
    `file_name` from the working directory. notes: what the text cannot say, one sentence each.
    """

    engine: str
    version: str
    file_name: str
    text: str
    launch: str
    notes: tuple[str, ...] = ()


class InexpressibleError(FieldError):
    """The engine has no way to say this part of the layout; `field` names it, `reason` says why."""

    def __init__(self, engine: str, field: str, reason: str) -> None:
        super().__init__(field, f"{engine} {reason}")
        self.engine = engine


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine's name and the version whose form is written."""

    name: str
    version: str

    @property
    def label(self) -> str:
        """As people write it: `torchtitan 0.3.0`."""
        return f"{self.name} {self.version}"

    def refusal(self, field: str, reason: str) -> InexpressibleError:
        """The error to raise; the reason goes on from the engine's name."""
        return InexpressibleError(self.label, field, reason)

    def check(self, setting: Setting, layout: Layout) -> None:
        """Refuse what no engine here can be told.

        Raises:
            FieldError: the layout cannot be run at all.
            InexpressibleError: adapters, or nodes that are not alike.
        """
        check_layout(layout, setting.model, setting.cluster, setting.sequence)
        if setting.frozen:
            raise self.refusal("frozen", "is exported for full training only, not for adapters")
        cluster = setting.cluster
        if cluster.nodes > 1 and cluster.gpus % cluster.node_gpus:
            raise self.refusal(
                "gpus",
                f"is started with the same count on each node;"
                f" {counted(cluster.gpus, 'GPU')} cannot fill nodes of {cluster.node_gpus}",
            )


@dataclass(frozen=True, slots=True)
class Sharding:
    """The data-parallel ranks as FSDP sees them: `shard` of them hold one copy of the states.

    `stage` is the ZeRO stage, 0 where there is no other rank to share with.
    """

    stage: int
    shard: int
    replicate: int


def sharding(engine: Engine, layout: Layout) -> Sharding:
    """`layout`'s data-parallel ranks without context parallelism, which shards within them.

    Raises `InexpressibleError` where one copy does not take whole context groups.
    """
    stage = layout.zero if layout.dp * layout.cp > 1 else 0
    if stage == 0:
        return Sharding(stage=0, shard=1, replicate=layout.dp)
    if layout.shards % layout.cp:
        raise engine.refusal(
            "dp_shard",
            f"shards over whole context groups; {layout.shards} is no multiple of cp {layout.cp}",
        )
    shard = layout.shards // layout.cp
    return Sharding(stage=stage, shard=shard, replicate=layout.dp // shard)
