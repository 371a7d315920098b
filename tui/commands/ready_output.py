"""How `prodtop ready` prints: a line an item, or all of it as JSON."""

from collections.abc import Sequence

import msgspec

from ...engine.readiness.items import ABOUT
from ...engine.readiness.judging import Mark, Standing, age_text, is_ready, summary
from ...engine.text.cleaning import clean
from ..state.readiness import Readiness
from .json_output import print_json

SCHEMA_VERSION = 1
MISSING = "--"
WORDS = {
    Mark.HOLDS: "ok",
    Mark.MISSING: "open",
    Mark.OLD: "old",
    Mark.OTHER: "other",
    Mark.FAILED: "failed",
}


def print_checklist(readiness: Readiness, standings: Sequence[Standing], *, as_json: bool) -> None:
    """Print every item with its mark, measure and age, or with what is missing and what does it."""
    if as_json:
        print_json(checklist_json(readiness, standings))
        return
    if readiness.problem is not None:
        print(clean(readiness.problem))
    width = max(len(ABOUT[each.item].title) for each in standings)
    for each in standings:
        age = MISSING if each.age_s is None else age_text(each.age_s)
        head = f"{WORDS[each.mark]:<6}  {ABOUT[each.item].title:<{width}}  {age:>6}"
        print(clean(f"{head}  {each.measure or MISSING}"))
        if not each.holds:
            print(clean(f"{'':8}{'; '.join(each.reasons)} → {each.how}"))
    print(summary(standings))


def checklist_json(readiness: Readiness, standings: Sequence[Standing]) -> dict[str, object]:
    """The list as JSON: times in Unix seconds, ages in seconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ready": is_ready(standings),
        "subject": msgspec.to_builtins(readiness.subject),
        "problem": readiness.problem,
        "max_age_s": readiness.limits.max_age_s,
        "items": [_item_json(each) for each in standings],
    }


def _item_json(each: Standing) -> dict[str, object]:
    proof, about = each.proof, ABOUT[each.item]
    return {
        "item": each.item.value,
        "title": about.title,
        "holds": each.holds,
        "mark": each.mark.value,
        "measure": each.measure,
        "figures": None if proof is None else proof.figures,
        "measured_at_wall_s": None if proof is None else proof.at_wall_s,
        "age_s": each.age_s,
        "source": None if proof is None else proof.source,
        "reasons": list(each.reasons),
        "command": about.command,
        "key": about.key or None,
    }
