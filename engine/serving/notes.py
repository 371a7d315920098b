"""What the engine tells its user when something is wrong, in words."""

from ..protocol import PrecisionName
from ..protocol.wording import counted

NO_MEMORY_FOR_DRAFTS = "the device ran out of memory for the draft model: drafts are off"


def out_of_memory_text(failed: int, limit: int) -> str:
    """A step found no memory: so many requests failed, and at most `limit` run from now on."""
    requests = counted(failed, "request")
    return f"the device ran out of memory: {requests} failed, at most {limit} run from now on"


def broken_logits_text(precision: PrecisionName) -> str:
    """The model's logits were NaN."""
    return (
        f"the model gives no numbers (NaN) at {precision}: requests that meet this fail; switch "
        "the precision, or serve another model"
    )
