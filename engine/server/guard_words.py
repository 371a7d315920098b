"""What is said of the guards at a server's start."""

import msgspec

from ..protocol.server_options import GuardOptions
from .guards.settings import GuardSettings


def guards_line(options: GuardOptions) -> str:
    """One line that says what is guarded: `guards: content, pii; 60 requests/min per key`."""
    settings = msgspec.convert(options.table, GuardSettings)
    content, pii, rate = settings.content, settings.pii, settings.rate
    on = {
        "content": content.prompts or content.outputs,
        "pii": pii.prompts or pii.outputs,
        "injection": settings.injection.enabled,
        "perplexity": settings.perplexity.enabled,
        "uncertainty": settings.uncertainty.enabled,
    }
    parts = [", ".join(name for name, active in on.items() if active) or "no texts"]
    for limit, unit in (
        (rate.requests_per_minute, "requests"),
        (rate.tokens_per_minute, "tokens"),
    ):
        if limit is not None:
            parts.append(f"{limit:g} {unit}/min per key")
    if settings.review.mode != "off":
        parts.append(f"review {settings.review.mode}")
    return f"guards: {'; '.join(parts)}"
