"""Proofs of every item that hold, for tests of readiness."""

from collections.abc import Sequence

from prodtop.engine.readiness.items import Item, Proof, Subject
from prodtop.engine.readiness.settings import DAY_S

NOW_S = 1_800_000_000.0
SUBJECT = Subject(
    model="small",
    device="a processor",
    precision="int8",
    strategy="hybrid",
    versions={"prodtop": "0.1.0", "torch": "2.11"},
    checkpoint="0123456789abcdef",
)
GOOD: dict[Item, dict[str, float]] = {
    Item.QUALITY: {
        "scored_tokens": 510,
        "perplexity_ratio": 1.002,
        "perplexity_ratio_high": 1.01,
    },
    Item.BATCHING: {"rows_per_step": 3.2, "cached_tokens": 704},
    Item.GUARDS: {"guards": 3, "findings": 3, "failures": 0, "texts": 11},
    Item.LOAD: {
        "requests": 64,
        "clients": 8,
        "failed": 0,
        "failed_share": 0,
        "requests_per_s": 22.5,
        "ttft_p95_ms": 92,
        "tpot_p95_ms": 10,
        "e2e_p95_ms": 424,
    },
    Item.RECOVERY: {
        "good_before": 4,
        "restarted": 1,
        "good_after": 6,
        "recovery_s": 5.4,
        "lost": 3,
        "turned_away": 9,
    },
    Item.COST: {"usd_per_hour": 1.5, "alerts": 2},
    Item.DRAIN: {
        "in_flight": 3,
        "finished": 3,
        "lost": 0,
        "refused": 9,
        "served_while_draining": 0,
        "exit_code": 0,
    },
    Item.SNAPSHOT: {"bytes": 6761, "read_back": 1},
}


def proof(item: Item, *, age_s: float = DAY_S, subject: Subject = SUBJECT) -> Proof:
    """One that holds, of a day ago."""
    return Proof(
        item=item,
        subject=subject,
        at_wall_s=NOW_S - age_s,
        figures=GOOD[item],
        source="prodtop ready",
    )


def proofs(leave_out: Sequence[Item] = ()) -> list[Proof]:
    """One for every item."""
    return [proof(item) for item in Item if item not in leave_out]
