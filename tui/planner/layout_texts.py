"""A layout as the form writes it, so that a found one can be taken over."""

from ...engine.planner.cost.layout import Layout
from .fields import AUTO


def layout_texts(layout: Layout) -> dict[str, str]:
    """The texts of the form's layout fields."""
    split = AUTO if layout.sequence_parallel or layout.tp == 1 else "off"
    return {
        "tp": str(layout.tp),
        "pp": str(layout.pp),
        "vp": str(layout.vp),
        "cp": str(layout.cp),
        "ep": str(layout.ep),
        "micro_batch": str(layout.micro_batch),
        "zero": str(layout.zero),
        "shard": str(layout.dp_shard) if layout.dp_shard else "all",
        "sequence_parallel": split,
        "recompute": layout.recompute,
        "schedule": layout.schedule,
        "offload": layout.offload,
    }
