"""One step of an engine, part by part.

A step runs tokens through the layers: one of each running sequence while decoding, or the prompts
of new ones. Kernels follow each other, so their times add up.
"""

from dataclasses import dataclass

from .server import Server
from .work import (
    communication_s,
    decode_attention_s,
    elementwise_s,
    head_s,
    kernels_s,
    products_s,
    prompt_attention_s,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Seconds of one step with what engines reach, part by part."""

    products_s: float
    head_s: float
    attention_s: float
    elementwise_s: float
    kernels_s: float
    communication_s: float
    host_s: float

    @property
    def total_s(self) -> float:
        """All parts, one after the other."""
        return (
            self.products_s
            + self.head_s
            + self.attention_s
            + self.elementwise_s
            + self.kernels_s
            + self.communication_s
            + self.host_s
        )


def decode_step(server: Server, batch: int, context: float) -> Step:
    """A decode step of `batch` sequences that have `context` tokens each."""
    engine = server.engine
    return Step(
        products_s=products_s(server, batch),
        head_s=head_s(server, batch),
        attention_s=decode_attention_s(server, batch, context),
        elementwise_s=elementwise_s(server, batch),
        kernels_s=kernels_s(server),
        communication_s=communication_s(server, batch),
        host_s=engine.step_s + batch * engine.sequence_s,
    )


def prefill_step(server: Server, prompts: int, prompt_tokens: int) -> Step:
    """The step that computes `prompts` prompts of `prompt_tokens` each, up to their first token."""
    rows = float(prompts * prompt_tokens)
    engine = server.engine
    return Step(
        products_s=products_s(server, rows),
        head_s=head_s(server, prompts),
        attention_s=prompt_attention_s(server, rows, prompt_tokens),
        elementwise_s=elementwise_s(server, rows),
        kernels_s=kernels_s(server),
        communication_s=communication_s(server, rows),
        host_s=engine.step_s + prompts * (engine.sequence_s + engine.request_s),
    )
