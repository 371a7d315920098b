"""What an engine used over a span, as it must be paid for: its device's time, tokens, energy."""

from .message import Part


class Usage(Part, frozen=True, kw_only=True):
    """Amounts over `span_s` seconds, in which the device was held, at work or not.

    `device_s` is what its steps took, `prefill_device_s` the part of it that went to prompts: of a
    step the share of prompt tokens among those that it computed and generated.
    """

    span_s: float
    requests: int
    """Requests that finished."""
    prefill_tokens: int
    """Prompt tokens computed, again after a preemption."""
    decode_tokens: int
    """Tokens generated."""
    cached_prompt_tokens: int
    """Taken from the prefix cache."""
    cached_output_tokens: int
    """Taken from the response cache."""
    device_s: float
    prefill_device_s: float
    mbu: float | None = None
    mfu: float | None = None
    energy_j: float | None = None
    """By the GPU's own counter, of the whole card; `None` where it has none."""
