"""A proof's figures in a few words. What was not measured is `--`."""

import math

from .items import Item, Proof

MISSING = "--"


def measure(proof: Proof) -> str:
    """What was measured for the item, as one short line."""
    return _Words(proof.figures).of(proof.item)


class _Words:
    def __init__(self, figures: dict[str, float]) -> None:
        self._figures = figures

    def of(self, item: Item) -> str:
        """The line of an item."""
        f = self._text
        match item:
            case Item.QUALITY:
                ratio, high = f("perplexity_ratio", ".4f"), f("perplexity_ratio_high", ".4f")
                return f"perplexity × {ratio} (to {high}) over {f('scored_tokens')} tokens"
            case Item.BATCHING:
                rows = f("rows_per_step", ".2f")
                return f"{rows} requests a step, {f('cached_tokens')} tokens from caches"
            case Item.GUARDS:
                texts = f("texts")
                return f"{f('guards')} guards, {f('findings')} findings in {texts} texts judged"
            case Item.LOAD:
                latency = f"TTFT p95 {f('ttft_p95_ms', '.0f')} ms, E2E p95 {f('e2e_p95_ms', '.0f')}"
                served = f"{f('requests')} requests by {f('clients')} clients"
                return f"{served}: {f('requests_per_s', '.1f')}/s, {latency} ms, {self._failed()}"
            case Item.RECOVERY:
                lost = f"{f('lost')} requests lost, {f('turned_away')} turned away"
                return f"back in {f('recovery_s', '.1f')} s, {lost}, {f('good_after')} good after"
            case Item.COST:
                return f"{f('usd_per_hour', '.2f')} $/h, {f('alerts')} alerts"
            case Item.DRAIN:
                ended = f"{f('finished')} of {f('in_flight')} in flight finished"
                return f"{ended}, {f('refused')} new got 503"
            case Item.SNAPSHOT:
                return f"{f('bytes')} bytes, read back"

    def _failed(self) -> str:
        return f"{self._text('failed')} failed"

    def _text(self, name: str, form: str = ".0f") -> str:
        value = self._figures.get(name)
        return MISSING if value is None or not math.isfinite(value) else format(value, form)
