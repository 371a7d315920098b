"""The load on the engine."""

from .message import Part


class LoadSpec(Part, frozen=True, kw_only=True):
    """The load that the built-in generator puts on the engine.

    Closed loop: `users` clients, each with one request in the system and `think_s` between them.
    Open loop: arrivals at `rate_per_s`; `burstiness` is the gamma shape (1 is Poisson, below 1
    burstier, above 1 smoother). `rate_per_s` set means open loop.
    """

    users: int = 8
    think_s: float = 0.0
    rate_per_s: float | None = None
    burstiness: float = 1.0
    zipf_exponent: float = 1.1
    output_tokens_min: int = 16
    output_tokens_max: int = 96
    prompt_tokens_min: int | None = None
    """Prompts cut or joined to a length drawn from min … max; `None`: the prompts as they are."""
    prompt_tokens_max: int | None = None
    temperature: float = 0.8
    top_p: float = 0.95
    fixed_seed_share: float = 0.25
    """Share of sampled requests that repeat exactly when their prompt does, as a client with a
    fixed seed does; the others are sampled anew each time. Greedy requests always repeat."""
    ignore_eos: bool = False
    chat: bool = False
    """Prompts go through the model's chat template, as a system's and a user's turn."""
    seed: int = 0
    paused: bool = False
